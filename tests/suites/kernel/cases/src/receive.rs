//! Receiving: order of notifications and messages, closed receives.

use abi::{Code, FaultKind, Syscall, TaskId};
use suite::{Case, Part, check, check_eq, check_is};
use userlib::ipc::{self, Received};
use userlib::{config, provoke};

use crate::help::{
    KERNEL_HALF, NOWHERE, call_server, calls_next, next_message, notes, read_only, reply, stale,
    told, waits,
};
use crate::notify::{ping, post_ping};
use crate::{CLIENT, LAST, SECOND, SERVER};

/// A client whose call waits while the server dies of its receive, and what the supervisor is told of that.
macro_rules! abandoned {
    ($kind:ident, $address:expr) => {
        Part::returns(CLIENT, |stage| {
            calls_next(stage, CLIENT);
            check_eq!(call_server(stage, 1, 0).code.0, Code::DEAD.0);
            let call = Syscall::Receive as u16;
            told(stage, SERVER, FaultKind::$kind, call, Some($address))
        })
    };
}

pub const CASES: &[Case] = &[
    Case::new(
        "receive-notification-first",
        &["IPC-RECV-1"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, SECOND);
                notes(stage, 2);
                let bits = check_is!(ipc::receive(ping()?), Received::Notification(bits) => bits);
                check_eq!(bits, ping()?);
                let message =
                    check_is!(ipc::receive(ping()?), Received::Message(message) => message);
                check_eq!(message.sender.0, stage.id(SECOND).0);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(SECOND, |stage| {
                calls_next(stage, SECOND);
                check_eq!(call_server(stage, 1, 0).code.0, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(post_ping(stage)?.0, Code::OK.0);
                stage.note(1);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "receive-closed-leaves-others-queued",
        &["IPC-RECV-3"],
        &[
            Part::returns(SERVER, |stage| {
                waits(stage, CLIENT);
                waits(stage, LAST);
                let last = stage.id(LAST);
                let received = ipc::receive_from(last, 0);
                let message = check_is!(received, Received::Message(message) => message);
                check_eq!(message.sender.0, last.0);
                reply(last, 0);
                let message = next_message()?;
                check_eq!(message.sender.0, stage.id(CLIENT).0);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                calls_next(stage, CLIENT);
                check_eq!(call_server(stage, 1, 0).code.0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                calls_next(stage, LAST);
                check_eq!(call_server(stage, 1, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "receive-closed-waits",
        &["IPC-RECV-3"],
        &[
            Part::returns(SERVER, |stage| {
                let received = ipc::receive_from(stage.id(LAST), 0);
                let message = check_is!(received, Received::Message(message) => message);
                check_eq!(message.operation, LAST);
                reply(message.sender, 0);
                let message = next_message()?;
                check_eq!(message.operation, CLIENT);
                reply(message.sender, 0);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(call_server(stage, CLIENT as u16, 0).code.0, 0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                check_eq!(call_server(stage, LAST as u16, 0).code.0, 0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "receive-closed-from-the-dead",
        &["IPC-RECV-4"],
        &[Part::returns(SERVER, |stage| {
            let id = stage.id(CLIENT);
            check!(matches!(ipc::receive_from(stale(id), 0), Received::Dead));
            Ok(())
        })],
    ),
    Case::new(
        "receive-closed-at-a-death",
        &["IPC-RECV-4", "IPC-DEATH-1"],
        &[
            Part::returns(SERVER, |stage| {
                let id = stage.id(LAST);
                check!(matches!(ipc::receive_from(id, 0), Received::Dead));
                check_eq!(stage.id(LAST).generation(), id.generation() + 1);
                Ok(())
            }),
            Part::dies(LAST, FaultKind::Panic, |_| panic!("while it is waited for")),
        ],
    ),
    Case::new(
        "receive-closed-takes-notifications",
        &["IPC-RECV-1", "IPC-RECV-3"],
        &[
            Part::returns(SERVER, |stage| {
                let received = ipc::receive_from(stage.id(LAST), ping()?);
                let bits = check_is!(received, Received::Notification(bits) => bits);
                check_eq!(bits, ping()?);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                check_eq!(post_ping(stage)?.0, Code::OK.0);
                Ok(())
            }),
        ],
    ),
    Case::new(
        "receive-closed-from-no-task",
        &["IPC-ID-5", "IPC-DEATH-1"],
        &[
            Part::dies(SERVER, FaultKind::SyscallUsage, |stage| {
                waits(stage, CLIENT);
                ipc::receive_from(TaskId::new(200, 0), 0);
                Ok(())
            }),
            abandoned!(SyscallUsage, TaskId::new(200, 0).0),
        ],
    ),
    Case::new(
        "receive-capacity-too-large",
        &["IPC-RECV-5", "IPC-DEATH-1"],
        &[
            Part::dies(SERVER, FaultKind::SyscallUsage, |stage| {
                waits(stage, CLIENT);
                let buffer = [0u8; 64];
                provoke::receive(0, TaskId::ANY, buffer.as_ptr() as u64, 4097);
                Ok(())
            }),
            abandoned!(SyscallUsage, 4097),
        ],
    ),
    Case::new(
        "receive-into-read-only-memory",
        &["IPC-RECV-5", "IPC-DEATH-1"],
        &[
            Part::dies(SERVER, FaultKind::BadSlice, |stage| {
                waits(stage, CLIENT);
                provoke::receive(0, TaskId::ANY, read_only(), 100);
                Ok(())
            }),
            abandoned!(BadSlice, read_only()),
        ],
    ),
    Case::new(
        "receive-into-the-kernel",
        &["IPC-RECV-5", "IPC-DEATH-1"],
        &[
            Part::dies(SERVER, FaultKind::BadSlice, |stage| {
                waits(stage, CLIENT);
                provoke::receive(0, TaskId::ANY, KERNEL_HALF, 100);
                Ok(())
            }),
            abandoned!(BadSlice, KERNEL_HALF),
        ],
    ),
    Case::new(
        "receive-into-nothing-anywhere",
        &["IPC-RECV-5"],
        &[
            Part::returns(SERVER, |_| {
                for address in [NOWHERE, KERNEL_HALF, u64::MAX] {
                    let received = provoke::receive(0, TaskId::ANY, address, 0);
                    let message = check_is!(received, Received::Message(message) => message);
                    reply(message.sender, 0);
                }
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for _ in 0..3 {
                    check_eq!(call_server(stage, 1, 0).code.0, 0);
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "receive-into-a-pool",
        &["IPC-RECV-5"],
        &[
            Part::serves(CLIENT, |_| {
                let pool = check_is!(config::mapping("pool"), Some(pool) => pool);
                let received = provoke::receive(0, TaskId::ANY, pool.va, 128);
                let message = check_is!(received, Received::Message(message) => message);
                check_eq!(message.len, 100);
                // The reply comes from the pool as well: what was received goes back.
                crate::help::reply_from(message.sender, pool.va, 100);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                let mut answer = [0; 100];
                let message = [0x3c; 100];
                let result = ipc::call_long(stage.id(CLIENT), 1, &message, &mut answer, &[]);
                check_eq!(result.len, 100);
                check!(answer == message);
                Ok(())
            }),
        ],
    ),
];
