//! Replying and receiving as the last time.

use abi::{Code, FaultKind, ReplyDescriptor, Syscall, notification};
use suite::{Case, Part, Result, Stage, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::{provoke, time};

use crate::help::{call_server, next_message, stale, told, words};
use crate::notify::{granted, own};
use crate::{CLIENT, LAST, SECOND, SERVER};

/// Replies that a server dies of whose client can take 32 bytes, and why.
fn deadly(life: u64) -> (u64, FaultKind) {
    match life {
        0 => (ReplyDescriptor::new(0, 40).0, FaultKind::ReplyTooLong),
        1 => (1 << 48, FaultKind::SyscallUsage),
        2 => (Code::KERNEL_FIRST.into(), FaultKind::SyscallUsage),
        _ => (4097 << 32, FaultKind::SyscallUsage),
    }
}

/// How many there are.
const DEADLY: u64 = 4;

fn again(to: abi::TaskId, value: u64) -> Received {
    let descriptor = ReplyDescriptor::new(value as u32, 8).0;
    provoke::reply_again([to.0, descriptor, 0], &words(value))
}

/// A call with a message and room for 32 bytes.
fn calls(stage: &Stage, value: u64) -> Result {
    let answer = ipc::call(stage.id(SERVER), 1, &words(0), 8, 32, &[]);
    check_eq!(answer.code.0, value as u32);
    check_eq!(answer.payload[0], value);
    Ok(())
}

pub const CASES: &[Case] = &[
    Case::new(
        "reply-again",
        &["IPC-REPLY-8", "IPC-RECV-1", "IPC-SEND-7"],
        &[
            Part::returns(SERVER, |_| {
                let ping = own("ping")?;
                let mut buffer = [0u8; 200];
                let received = ipc::receive_into(ping, &mut buffer);
                let first = check_is!(received, Received::Message(message) => message);
                // A short message, a bit, a bit that is not wanted and a short one, a long one.
                let second =
                    check_is!(again(first.sender, 1), Received::Message(message) => message);
                let bits = check_is!(again(second.sender, 2), Received::Notification(bits) => bits);
                check_eq!(bits, ping);
                let none = [stale(first.sender).0, 0, 0];
                let third = check_is!(provoke::reply_again(none, &words(0)), Received::Message(message) => message);
                check_eq!(third.len, 8);
                let long = check_is!(again(third.sender, 3), Received::Message(message) => message);
                check_eq!(long.len, 150);
                check!(buffer[..150].iter().all(|byte| *byte == 0x77));
                check!(buffer[150..].iter().all(|byte| *byte == 0));
                ipc::reply(long.sender, 4, &words(4), 8);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                calls(stage, 1)?;
                calls(stage, 2)?;
                let (ping, pong) = (
                    granted(stage, SERVER, "ping")?,
                    granted(stage, SERVER, "pong")?,
                );
                check_eq!(ipc::post(stage.id(SERVER), ping).0, 0);
                check_eq!(ipc::post(stage.id(SERVER), pong).0, 0);
                calls(stage, 3)?;
                let answer = ipc::call_long(stage.id(SERVER), 1, &[0x77; 150], &mut [0; 8], &[]);
                check_eq!(answer.code.0, 4);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "reply-again-from-anybody",
        &["IPC-REPLY-8", "IPC-RECV-2"],
        &[
            Part::returns(SERVER, |stage| {
                let only = stage.id(CLIENT);
                let first =
                    check_is!(ipc::receive_from(only, 0), Received::Message(message) => message);
                let next = check_is!(again(first.sender, 5), Received::Message(message) => message);
                check_eq!(next.sender.0, stage.id(SECOND).0);
                ipc::reply(next.sender, 6, &words(6), 8);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| calls(stage, 5)),
            Part::returns(SECOND, |stage| calls(stage, 6)),
        ],
    ),
    // Each life of the server makes another such reply.
    Case::new(
        "reply-again-that-is-wrong",
        &["IPC-REPLY-3", "IPC-REPLY-4", "IPC-REG-9"],
        &[
            Part::dies(SERVER, FaultKind::SyscallUsage, |stage| {
                let message = next_message()?;
                // The second time when its receive is one of this call.
                let message =
                    check_is!(again(message.sender, 1), Received::Message(message) => message);
                let descriptor = deadly(stage.life).0;
                provoke::reply_again([message.sender.0, descriptor, 0], &[0; 8]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for life in 0..DEADLY {
                    calls(stage, 1)?;
                    let answer = ipc::call(stage.id(SERVER), 1, &words(0), 8, 32, &[]);
                    check_eq!(answer.code.0, Code::DEAD.0);
                    let (_, kind) = deadly(life);
                    told(stage, SERVER, kind, Syscall::ReplyAgain as u16, None)?;
                    if life + 1 < DEADLY {
                        check_eq!(stage.restart(SERVER).0, 0);
                    }
                }
                Ok(())
            }),
        ],
    ),
    // What a life before received into is nobody's.
    Case::new(
        "reply-again-in-a-new-life",
        &["IPC-REPLY-8"],
        &[
            Part::serves(SERVER, |stage| {
                let mut buffer = [0u8; 200];
                if stage.life == 0 {
                    let ping = own("ping")?;
                    ipc::receive_into(ping, &mut buffer);
                } else {
                    let none = [stale(stage.id(SERVER)).0, 0, 0];
                    let long = check_is!(provoke::reply_again(none, &words(0)), Received::Message(message) => message);
                    check_eq!(long.len, 150);
                    check!(buffer == [0; 200]);
                    ipc::reply(long.sender, 4, &words(4), 8);
                }
                loop {
                    next_message()?;
                }
            }),
            Part::returns(LAST, |stage| {
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(stage.restart(SERVER).0, 0);
                let ping = granted(stage, SERVER, "ping")?;
                check_eq!(ipc::post(stage.id(SERVER), ping).0, 0);
                let answer = ipc::call_long(stage.id(SERVER), 1, &[0x77; 150], &mut [0; 8], &[]);
                check_eq!(answer.code.0, 4);
                check_eq!(stage.stop(SERVER).0, 0);
                Ok(())
            }),
        ],
    ),
    // A bit that is pending when it receives, and one that is when it receives again.
    Case::new(
        "reply-again-after-bits-at-once",
        &["IPC-REPLY-8", "IPC-RECV-1"],
        &[
            Part::serves(SERVER, |stage| {
                let wake = granted(stage, CLIENT, "wake")?;
                loop {
                    let message = next_message()?;
                    check_eq!(ipc::post(message.sender, wake).0, 0);
                    ipc::reply(message.sender, 0, &words(0), 8);
                }
            }),
            Part::returns(CLIENT, |stage| {
                let wake = own("wake")?;
                for _ in 0..2 {
                    check_eq!(call_server(stage, 1, 0).code.0, 0);
                    let bits = check_is!(ipc::receive(wake | 1 << 15), Received::Notification(bits) => bits);
                    check_eq!(bits, wake);
                    check_eq!(call_server(stage, 1, 0).code.0, 0);
                    let none = [stale(stage.id(CLIENT)).0, 0, 0];
                    let again = provoke::reply_again(none, &words(0));
                    let bits = check_is!(again, Received::Notification(bits) => bits);
                    check_eq!(bits, wake);
                    // None of them is taken twice.
                    time::set_timer(Some(time::Ticks(0)));
                    let bits =
                        check_is!(ipc::receive(u32::MAX), Received::Notification(bits) => bits);
                    check_eq!(bits & !notification::PEER, notification::TIMER);
                }
                Ok(())
            }),
        ],
    ),
];
