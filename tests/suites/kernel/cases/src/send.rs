//! Sending: what arrives, and what returns at once.

use abi::{Code, FaultKind};
use suite::{Case, Part, check, check_eq, check_is};
use userlib::ipc::{self, Received};

use crate::help::{call, call_server, calls_next, next_message, reply, serve, waits, words};
use crate::{CLIENT, LAST, MIDDLE, SECOND, SERVER};

/// Bytes of a message that is recognised.
fn pattern(index: usize) -> u8 {
    (index * 7 + index / 256) as u8
}

fn filled<const N: usize>() -> [u8; N] {
    core::array::from_fn(pattern)
}

pub const CASES: &[Case] = &[
    Case::new(
        "send-in-registers",
        &[
            "IPC-REG-1",
            "IPC-REG-2",
            "IPC-RECV-6",
            "IPC-SEND-2",
            "IPC-REPLY-1",
            "IPC-SEND-8",
        ],
        &[
            Part::serves(SERVER, |stage| {
                let message = next_message()?;
                check_eq!(message.sender.0, stage.id(CLIENT).0);
                check_eq!(message.operation, 0xabcd);
                check_eq!(message.len, 64);
                check_eq!(message.reply_capacity, 64);
                check_eq!(message.lease_count, 0);
                let mut answer = message.payload;
                for (index, word) in answer.iter_mut().enumerate() {
                    check_eq!(*word, 0x0101_0101_0101_0101 * (index as u64 + 1));
                    *word = !*word;
                }
                ipc::reply(message.sender, 77, &answer, 64);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let payload =
                    core::array::from_fn(|index| 0x0101_0101_0101_0101 * (index as u64 + 1));
                let answer = ipc::call(stage.id(SERVER), 0xabcd, &payload, 64, 64, &[]);
                check_eq!(answer.code.0, 77);
                check_eq!(answer.len, 64);
                for (found, sent) in answer.payload.iter().zip(payload) {
                    check_eq!(*found, !sent);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-nothing",
        &["IPC-REG-2", "IPC-RECV-6", "IPC-REPLY-1"],
        &[
            Part::serves(SERVER, |_| {
                let message = next_message()?;
                check_eq!(message.len, 0);
                check_eq!(message.operation, 0);
                ipc::reply(message.sender, Code::SERVER_LAST, &[0; 8], 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let answer = ipc::call(stage.id(SERVER), 0, &[0; 8], 0, 0, &[]);
                check_eq!(answer.code.0, Code::SERVER_LAST);
                check_eq!(answer.len, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-4096-bytes",
        &["IPC-SEND-7", "IPC-SEND-8", "IPC-REPLY-1"],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0; 4096];
                let received = ipc::receive_into(0, &mut buffer);
                let message = check_is!(received, Received::Message(message) => message);
                check_eq!(message.len, 4096);
                check!(buffer == filled::<4096>());
                buffer.reverse();
                ipc::reply_long(message.sender, 5, &buffer);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut answer = [0; 4096];
                let message = filled::<4096>();
                let result = ipc::call_long(stage.id(SERVER), 1, &message, &mut answer, &[]);
                check_eq!(result.code.0, 5);
                check_eq!(result.len, 4096);
                check!(answer.iter().rev().eq(&message));
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-65-bytes",
        &["IPC-SEND-7"],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0; 66];
                let received = ipc::receive_into(0, &mut buffer);
                let message = check_is!(received, Received::Message(message) => message);
                check_eq!(message.len, 65);
                check!(buffer.starts_with(&filled::<65>()));
                check_eq!(buffer[65], 0);
                ipc::reply_long(message.sender, 0, &buffer[..65]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut answer = [0; 80];
                let result = ipc::call_long(stage.id(SERVER), 1, &filled::<65>(), &mut answer, &[]);
                check_eq!(result.len, 65);
                check!(answer.starts_with(&filled::<65>()));
                check!(answer[65..] == [0; 15]);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-truncated",
        &["IPC-SEND-7"],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0xee; 128];
                let received = ipc::receive_into(0, &mut buffer[..100]);
                let message = check_is!(received, Received::Message(message) => message);
                check_eq!(message.len, 200);
                check!(buffer.starts_with(&filled::<100>()));
                check!(buffer[100..] == [0xee; 28]);
                reply(message.sender, 1);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let result =
                    ipc::call_long(stage.id(SERVER), 1, &filled::<200>(), &mut [0; 8], &[]);
                check_eq!(result.payload[0], 1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-long-without-buffer",
        &["IPC-SEND-7"],
        &[
            Part::serves(SERVER, |_| {
                let message = next_message()?;
                check_eq!(message.len, 200);
                reply(message.sender, 1);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let result =
                    ipc::call_long(stage.id(SERVER), 1, &filled::<200>(), &mut [0; 8], &[]);
                check_eq!(result.payload[0], 1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-queued-at-a-death",
        &["IPC-SEND-10", "IPC-DEATH-1"],
        &[
            Part::dies(SERVER, FaultKind::Panic, |stage| {
                waits(stage, CLIENT);
                panic!("with a message in the queue");
            }),
            Part::returns(CLIENT, |stage| {
                calls_next(stage, CLIENT);
                check_eq!(call_server(stage, 1, 0).code.0, Code::DEAD.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-received-at-a-death",
        &["IPC-SEND-10", "IPC-DEATH-1"],
        &[
            Part::dies(SERVER, FaultKind::Panic, |_| {
                next_message()?;
                panic!("before the reply");
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call_server(stage, 1, 0).code.0, Code::DEAD.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-to-a-task-that-is-down",
        &["IPC-SEND-4", "IPC-ID-3"],
        &[
            Part::dies(SERVER, FaultKind::Stopped, serve),
            Part::returns(CLIENT, |stage| {
                check_eq!(stage.stop(SERVER).0, Code::OK.0);
                let (id, code) = ipc::refresh(stage.index(SERVER));
                check_eq!(code.0, Code::DOWN.0);
                check_eq!(call(id, 1, 0).code.0, Code::DOWN.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-order-by-priority",
        &["IPC-SEND-3", "IPC-RECV-2"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, MIDDLE);
                for expected in [MIDDLE, SECOND, CLIENT, LAST] {
                    let message = next_message()?;
                    check_eq!(message.operation, expected);
                    reply(message.sender, 0);
                }
                Ok(())
            }),
            Part::returns(MIDDLE, |stage| {
                waits(stage, CLIENT);
                calls_next(stage, MIDDLE);
                check_eq!(call_server(stage, MIDDLE as u16, 0).code.0, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                waits(stage, SECOND);
                calls_next(stage, CLIENT);
                check_eq!(call_server(stage, CLIENT as u16, 0).code.0, 0);
                Ok(())
            }),
            Part::returns(SECOND, |stage| {
                waits(stage, LAST);
                calls_next(stage, SECOND);
                check_eq!(call_server(stage, SECOND as u16, 0).code.0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                calls_next(stage, LAST);
                check_eq!(call_server(stage, LAST as u16, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "send-through-two-servers",
        &["IPC-REG-2", "IPC-RECV-6", "IPC-REPLY-1"],
        &[
            Part::serves(SERVER, serve),
            Part::serves(MIDDLE, |stage| {
                let message = next_message()?;
                let answer = call_server(stage, 1, message.payload[0]);
                ipc::reply(message.sender, 0, &words(answer.payload[0] * 2), 8);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call(stage.id(MIDDLE), 1, 20).payload[0], 42);
                Ok(())
            }),
        ],
    ),
];
