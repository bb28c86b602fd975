//! Replying.

use abi::{Code, FaultKind, ReplyDescriptor, Syscall, TaskId};
use suite::{Case, Part, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::provoke;

use crate::help::{
    KERNEL_HALF, call_server, calls_next, elsewhere, next_message, notes, read_only, reply,
    reply_from, reply_raw, stale, told, waits, words,
};
use crate::{CLIENT, LAST, SECOND, SERVER};

/// The client of a server that dies of its reply, and what the supervisor is told of that.
macro_rules! bereaved {
    ($kind:ident, $call:ident, $address:expr) => {
        Part::returns(CLIENT, |stage| {
            let answer = call_server(stage, 1, 0);
            check_eq!(answer.code.0, Code::DEAD.0);
            check_eq!(answer.len, 0);
            let call = Syscall::$call as u16;
            told(stage, SERVER, FaultKind::$kind, call, Some($address))
        })
    };
}

/// Lengths of replies around what travels in registers, up to the longest.
const LENGTHS: [usize; 8] = [0, 64, 65, 66, 127, 128, 4095, 4096];

pub const CASES: &[Case] = &[
    Case::new(
        "reply-too-long-in-registers",
        &["IPC-REPLY-3"],
        &[
            Part::dies(SERVER, FaultKind::ReplyTooLong, |_| {
                let message = next_message()?;
                ipc::reply(message.sender, 0, &[0; 8], 16);
                Ok(())
            }),
            bereaved!(ReplyTooLong, Reply, ReplyDescriptor::new(0, 16).0),
        ],
    ),
    Case::new(
        "reply-too-long-in-memory",
        &["IPC-REPLY-3"],
        &[
            Part::dies(SERVER, FaultKind::ReplyTooLong, |_| {
                let message = next_message()?;
                ipc::reply_long(message.sender, 0, &[0; 101]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut answer = [0xee; 120];
                let result = ipc::call_long(stage.id(SERVER), 1, &[], &mut answer[..100], &[]);
                check_eq!(result.code.0, Code::DEAD.0);
                check!(answer == [0xee; 120]);
                let descriptor = ReplyDescriptor::new(0, 101).0;
                let call = Syscall::Reply as u16;
                told(
                    stage,
                    SERVER,
                    FaultKind::ReplyTooLong,
                    call,
                    Some(descriptor),
                )
            }),
        ],
    ),
    Case::new(
        "reply-with-a-kernel-code",
        &["IPC-REPLY-4"],
        &[
            Part::dies(SERVER, FaultKind::SyscallUsage, |_| {
                let message = next_message()?;
                reply_raw(message.sender, ReplyDescriptor::new(Code::DEAD.0, 0).0, 0);
                Ok(())
            }),
            bereaved!(SyscallUsage, Reply, ReplyDescriptor::new(Code::DEAD.0, 0).0),
        ],
    ),
    Case::new(
        "long-reply-and-receive",
        &["IPC-REPLY-7", "IPC-SEND-8", "IPC-REPLY-1"],
        &[
            Part::serves(SERVER, |_| {
                let mut buffer = [0; 4096];
                let mut received = ipc::receive_into(0, &mut buffer);
                for len in LENGTHS {
                    let message = check_is!(received, Received::Message(message) => message);
                    for (index, byte) in buffer.iter_mut().enumerate() {
                        *byte = (index * 3 + len) as u8;
                    }
                    let code = len as u32;
                    received =
                        ipc::reply_receive_in_place(message.sender, code, len, 0, &mut buffer);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for len in LENGTHS {
                    let mut answer = [0xee; 4096];
                    let room = &mut answer[..len.max(1)];
                    let result = ipc::call_long(stage.id(SERVER), 1, &[1; 100], room, &[]);
                    check_eq!(result.code.0, len as u32);
                    check_eq!(result.len, len);
                    if len > 64 {
                        let right = |(index, byte): (usize, &u8)| *byte == (index * 3 + len) as u8;
                        check!(answer[..len].iter().enumerate().all(right));
                        check!(answer[len..].iter().all(|byte| *byte == 0xee));
                    } else {
                        check!(answer == [0xee; 4096]);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // The filter of its receive is one that no task has.
    Case::new(
        "an-armed-reply-and-receive",
        &["IPC-PRIV-6", "IPC-ID-5"],
        &[
            Part::dies(SERVER, FaultKind::Injected, |stage| {
                let message = next_message()?;
                let fault = stage.life == 1;
                if fault {
                    check_eq!(stage.arm_fault(SERVER, 1).0, 0);
                }
                let descriptor = ReplyDescriptor::new(0, 0).0;
                let arguments = [message.sender.0, descriptor, 0, 0, 0xff, 0, 0, 0];
                provoke::reply_receive(arguments, &[0; 8]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let call = Syscall::ReplyReceive as u16;
                check_eq!(call_server(stage, 1, 0).code.0, Code::DEAD.0);
                told(stage, SERVER, FaultKind::SyscallUsage, call, Some(0xff))?;
                check_eq!(stage.restart(SERVER).0, 0);
                check_eq!(call_server(stage, 1, 0).code.0, Code::DEAD.0);
                told(stage, SERVER, FaultKind::Injected, call, Some(0))
            }),
        ],
    ),
    Case::new(
        "reply-reserved-bits",
        &["IPC-REG-9"],
        &[
            Part::dies(SERVER, FaultKind::SyscallUsage, |_| {
                let message = next_message()?;
                reply_raw(message.sender, 1 << 48, 0);
                Ok(())
            }),
            bereaved!(SyscallUsage, Reply, 1 << 48),
        ],
    ),
    Case::new(
        "reply-from-the-kernel",
        &["IPC-REPLY-6"],
        &[
            Part::dies(SERVER, FaultKind::BadSlice, |_| {
                let message = next_message()?;
                reply_from(message.sender, KERNEL_HALF, 100);
                Ok(())
            }),
            bereaved!(BadSlice, Reply, KERNEL_HALF),
        ],
    ),
    Case::new(
        "reply-from-read-only-memory",
        &["IPC-REPLY-6"],
        &[
            Part::serves(SERVER, |_| {
                let message = next_message()?;
                reply_from(message.sender, read_only(), 200);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let mut answer = [0; 200];
                let result = ipc::call_long(stage.id(SERVER), 1, &[], &mut answer, &[]);
                check_eq!(result.len, 200);
                check_eq!(answer[199], 0x5a);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-twice",
        &["IPC-REPLY-2"],
        &[
            Part::serves(SERVER, |_| {
                let message = next_message()?;
                reply(message.sender, 1);
                reply(message.sender, 2);
                let message = next_message()?;
                reply(message.sender, 3);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call_server(stage, 1, 0).payload[0], 1);
                check_eq!(call_server(stage, 1, 0).payload[0], 3);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-to-the-dead",
        &["IPC-REPLY-2"],
        &[
            Part::returns(SERVER, |stage| {
                let message = next_message()?;
                check_eq!(stage.stop(CLIENT).0, Code::OK.0);
                reply(message.sender, 1);
                check_eq!(stage.restart(CLIENT).0, Code::OK.0);
                // The next life waits for its own reply; the late one is not it.
                let next = next_message()?;
                reply(message.sender, 2);
                reply(next.sender, 3);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let answer = call_server(stage, 1, 0);
                check_eq!(stage.life, 1);
                check_eq!(answer.payload[0], 3);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-to-a-stranger",
        &["IPC-REPLY-2", "IPC-ID-7"],
        &[
            Part::returns(SERVER, |stage| {
                reply(stage.id(LAST), 9);
                reply(stale(stage.id(LAST)), 9);
                reply(stage.id(SERVER), 9);
                let message = next_message()?;
                reply(stage.id(LAST), 9);
                for other in elsewhere(message.sender) {
                    reply(other, 9);
                }
                reply(message.sender, 1);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call_server(stage, 1, 0).payload[0], 1);
                Ok(())
            }),
            Part::returns(LAST, |_| Ok(())),
        ],
    ),
    Case::new(
        "reply-before-it-is-received",
        &["IPC-REPLY-2"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, LAST);
                reply(stage.id(LAST), 9);
                let message = next_message()?;
                check_eq!(message.payload[0], 5);
                reply(message.sender, 1);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                calls_next(stage, LAST);
                check_eq!(call_server(stage, 1, 5).payload[0], 1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-to-another-servers-client",
        &["IPC-REPLY-2"],
        &[
            Part::serves(SERVER, |stage| {
                let message = next_message()?;
                // The stranger has tried meanwhile.
                notes(stage, 1);
                reply(message.sender, 1);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call_server(stage, 1, 0).payload[0], 1);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                reply(stage.id(CLIENT), 9);
                stage.note(1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-out-of-order",
        &["IPC-REPLY-5"],
        &[
            Part::returns(SERVER, |_| {
                let first = next_message()?;
                let second = next_message()?;
                let third = next_message()?;
                for message in [second, third, first] {
                    reply(message.sender, u64::from(message.operation));
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call_server(stage, CLIENT as u16, 0).payload[0], CLIENT);
                Ok(())
            }),
            Part::returns(SECOND, |stage| {
                check_eq!(call_server(stage, SECOND as u16, 0).payload[0], SECOND);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                check_eq!(call_server(stage, LAST as u16, 0).payload[0], LAST);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-and-receive",
        &["IPC-REPLY-1", "IPC-REPLY-7"],
        &[
            Part::returns(SERVER, |_| {
                let mut message = next_message()?;
                for _ in 0..100 {
                    let answer = words(message.payload[0] + 1);
                    let received = ipc::reply_receive(message.sender, 0, &answer, 8, 0, &mut []);
                    message = check_is!(received, Received::Message(message) => message);
                }
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for value in 0..100 {
                    check_eq!(call_server(stage, 1, value).payload[0], value + 1);
                }
                check_eq!(call_server(stage, 1, 0).payload[0], 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-and-bad-receive",
        &["IPC-REPLY-7"],
        &[
            Part::dies(SERVER, FaultKind::BadSlice, |_| {
                let message = next_message()?;
                // A slice of read-only memory can only be made by a call with raw arguments; a receive into it.
                let arguments = [
                    message.sender.0,
                    ReplyDescriptor::new(0, 8).0,
                    0,
                    0,
                    TaskId::ANY.0,
                    read_only(),
                    100,
                    0,
                ];
                provoke::reply_receive(arguments, &words(1));
                Ok(())
            }),
            bereaved!(BadSlice, ReplyReceive, read_only()),
        ],
    ),
];
