//! Posts, and control of interrupts.

use abi::{Code, FaultKind, Syscall, TaskId, notification};
use suite::{Case, Failure, Part, Stage, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::{config, interrupt, time};

use crate::help::{call_server, elsewhere, next_message, notes, reply, serve, stale, told};
use crate::{CLIENT, LAST, OUTCAST, SECOND, SERVER};

pub type Bits = core::result::Result<u32, Failure>;

/// A bit of the server's own.
pub fn own(name: &'static str) -> Bits {
    Ok(check_is!(config::notification(name), Some(bit) => bit))
}

/// The server's bit `ping`, for itself.
pub fn ping() -> Bits {
    own("ping")
}

/// A bit of another task that this one may post.
pub fn granted(stage: &Stage, role: usize, name: &'static str) -> Bits {
    let task = stage.index(role) as u32;
    Ok(check_is!(config::notification_of(task, name), Some(bit) => bit))
}

/// Posts `ping` to the server.
pub fn post_ping(stage: &Stage) -> core::result::Result<Code, Failure> {
    Ok(ipc::post(stage.id(SERVER), granted(stage, SERVER, "ping")?))
}

/// The server, to which a role posts and dies of it: the supervisor is told, and not one bit was set.
macro_rules! nothing_posted {
    ($role:expr, $bits:expr) => {
        Part::returns(SERVER, |stage| {
            told(stage, $role, FaultKind::NoRight, Syscall::Post as u16, Some(u64::from($bits)))?;
            time::set_timer(Some(time::Ticks(0)));
            let bits = check_is!(ipc::receive(u32::MAX), Received::Notification(bits) => bits);
            // That a task which it depends on was started for this case may be told as well.
            check_eq!(bits & !notification::PEER, notification::TIMER);
            Ok(())
        })
    };
}

/// A role that watches another die, and what the supervisor is told of that.
macro_rules! watches {
    ($role:expr, $kind:ident, $call:ident, $address:expr) => {
        Part::returns(SECOND, |stage| {
            let call = Syscall::$call as u16;
            told(stage, $role, FaultKind::$kind, call, Some($address))
        })
    };
}

pub const CASES: &[Case] = &[
    Case::new(
        "posts-accumulate",
        &["IPC-POST-1", "IPC-RECV-1"],
        &[
            Part::returns(SERVER, |stage| {
                notes(stage, 1);
                let (ping, pong) = (ping()?, own("pong")?);
                check!(ping != pong);
                let bits = check_is!(ipc::receive(ping), Received::Notification(bits) => bits);
                check_eq!(bits, ping);
                let bits =
                    check_is!(ipc::receive(ping | pong), Received::Notification(bits) => bits);
                check_eq!(bits, pong);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let bits = granted(stage, SERVER, "ping")? | granted(stage, SERVER, "pong")?;
                for _ in 0..3 {
                    check_eq!(ipc::post(stage.id(SERVER), bits).0, Code::OK.0);
                }
                stage.note(1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "post-wakes-by-the-mask-only",
        &["IPC-POST-1", "IPC-RECV-1"],
        &[
            Part::returns(SERVER, |stage| {
                let pong = own("pong")?;
                let bits = check_is!(ipc::receive(pong), Received::Notification(bits) => bits);
                check_eq!(bits, pong);
                check_eq!(stage.notes().0, 1);
                let bits = check_is!(ipc::receive(ping()?), Received::Notification(bits) => bits);
                check_eq!(bits, ping()?);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(post_ping(stage)?.0, Code::OK.0);
                stage.note(1);
                let pong = granted(stage, SERVER, "pong")?;
                check_eq!(ipc::post(stage.id(SERVER), pong).0, Code::OK.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "post-downhill",
        &["IPC-POST-2"],
        &[
            Part::returns(SERVER, |stage| {
                let wake = granted(stage, CLIENT, "wake")?;
                check_eq!(ipc::post(stage.id(CLIENT), wake).0, Code::OK.0);
                Ok(())
            }),
            Part::returns(CLIENT, |_| {
                let wake = own("wake")?;
                let bits = check_is!(ipc::receive(wake), Received::Notification(bits) => bits);
                check_eq!(bits, wake);
                Ok(())
            }),
        ],
    ),
    // The first post to a task is the one by which the fast path learns of the right; the server has device registers.
    Case::new(
        "posts-downhill-leave-the-poster-running",
        &["IPC-SCHED-1", "IPC-POST-1"],
        &[
            Part::returns(SERVER, |stage| {
                let wake = granted(stage, CLIENT, "wake")?;
                for _ in 0..3 {
                    // Meanwhile the client waits.
                    stage.pause(2);
                    check_eq!(ipc::post(stage.id(CLIENT), wake).0, Code::OK.0);
                    let after = time::now().0;
                    let message = next_message()?;
                    check!(message.payload[0] >= after);
                    reply(message.sender, 0);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                let wake = own("wake")?;
                for _ in 0..3 {
                    let bits = check_is!(ipc::receive(wake), Received::Notification(bits) => bits);
                    let woken = time::now().0;
                    check_eq!(bits, wake);
                    check_eq!(call_server(stage, 1, woken).code.0, Code::OK.0);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "post-nothing",
        &["IPC-POST-2"],
        &[Part::returns(OUTCAST, |stage| {
            check_eq!(ipc::post(stage.id(SERVER), 0).0, Code::OK.0);
            Ok(())
        })],
    ),
    Case::new(
        "post-without-right",
        &["IPC-POST-2"],
        &[
            Part::dies(OUTCAST, FaultKind::NoRight, |stage| {
                ipc::post(stage.id(SERVER), 1);
                Ok(())
            }),
            nothing_posted!(OUTCAST, 1u32),
        ],
    ),
    Case::new(
        "post-one-bit-too-many",
        &["IPC-POST-2"],
        &[
            Part::dies(LAST, FaultKind::NoRight, |stage| {
                // The one that it may post is not set either.
                let ping = granted(stage, SERVER, "ping")?;
                check_eq!(notification::POSTABLE & ping, ping);
                ipc::post(stage.id(SERVER), notification::POSTABLE);
                Ok(())
            }),
            nothing_posted!(LAST, notification::POSTABLE),
        ],
    ),
    Case::new(
        "post-the-kernels-bits",
        &["IPC-POST-2"],
        &[
            Part::dies(CLIENT, FaultKind::NoRight, |stage| {
                // The server has `dma-authority`: it would contain whom the kernel holds.
                ipc::post(stage.id(SERVER), notification::HELD_DEATH);
                Ok(())
            }),
            nothing_posted!(CLIENT, notification::HELD_DEATH),
        ],
    ),
    Case::new(
        "post-to-the-supervisor",
        &["IPC-POST-2"],
        &[
            Part::dies(CLIENT, FaultKind::NoRight, |stage| {
                ipc::post(stage.runner(), notification::FAULT);
                Ok(())
            }),
            watches!(CLIENT, NoRight, Post, u64::from(notification::FAULT)),
        ],
    ),
    Case::new(
        "post-to-no-task",
        &["IPC-ID-5"],
        &[
            Part::dies(CLIENT, FaultKind::SyscallUsage, |_| {
                ipc::post(TaskId::new(200, 0), 0);
                Ok(())
            }),
            watches!(CLIENT, SyscallUsage, Post, TaskId::new(200, 0).0),
        ],
    ),
    Case::new(
        "post-to-the-dead",
        &["IPC-ID-4", "IPC-ID-7", "IPC-POST-3"],
        &[
            Part::dies(SERVER, FaultKind::Stopped, serve),
            Part::returns(CLIENT, |stage| {
                let ping = granted(stage, SERVER, "ping")?;
                let id = stage.id(SERVER);
                check_eq!(ipc::post(stale(id), ping).0, Code::DEAD.0);
                for other in elsewhere(id) {
                    check_eq!(ipc::post(other, ping).0, Code::DEAD.0);
                }
                check_eq!(stage.stop(SERVER).0, 0);
                check_eq!(ipc::post(id, ping).0, Code::DEAD.0);
                check_eq!(ipc::post(stage.id(SERVER), ping).0, Code::DOWN.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "a-foreign-interrupt",
        &["IPC-INT-3"],
        &[
            Part::dies(LAST, FaultKind::NoRight, |_| {
                interrupt::mask(1 << 16);
                Ok(())
            }),
            watches!(LAST, NoRight, Interrupt, 1 << 16),
        ],
    ),
    Case::new(
        "an-interrupt-that-is-no-interrupt",
        &["IPC-INT-3"],
        &[
            Part::dies(CLIENT, FaultKind::NoRight, |_| {
                interrupt::unmask(notification::TIMER);
                Ok(())
            }),
            watches!(CLIENT, NoRight, Interrupt, u64::from(notification::TIMER)),
        ],
    ),
    Case::new(
        "an-own-interrupt",
        &["IPC-INT-3"],
        &[Part::returns(CLIENT, |_| {
            interrupt::mask(0);
            interrupt::mask(own("rtc-irq")?);
            Ok(())
        })],
    ),
];
