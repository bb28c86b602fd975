//! What takes a role away for the rest of the run; these cases come last.

use abi::privileged::TaskState;
use abi::{Code, FaultKind, notification};
use suite::{Case, Part, check, check_eq};
use userlib::ipc::{self, Received};

use crate::help::{call, call_server, calls_next, next_message, notes, serve, waits};
use crate::{CLIENT, LAST, RETIREE, SECOND, SERVER};

pub const CASES: &[Case] = &[
    Case::new(
        "a-task-that-will-not-come-back",
        &["IPC-SEND-4", "IPC-ID-3", "IPC-PRIV-4", "IPC-DEATH-7"],
        &[
            // The authority, which depends on it; that it was started for this case is told in the same way.
            Part::returns(SERVER, |stage| {
                loop {
                    let received = ipc::receive(notification::PEER);
                    check!(matches!(
                        received,
                        Received::Notification(notification::PEER)
                    ));
                    if ipc::refresh(stage.index(RETIREE)).1 == Code::RETIRED {
                        return Ok(());
                    }
                }
            }),
            Part::returns(CLIENT, |stage| {
                waits(stage, SECOND);
                check_eq!(stage.retire(RETIREE).0, 0);
                check_eq!(ipc::refresh(stage.index(RETIREE)).1.0, Code::RETIRED.0);
                check_eq!(stage.status(RETIREE).state, TaskState::Retired as u64);
                check_eq!(stage.restart(RETIREE).0, Code::REFUSED.0);
                check_eq!(ipc::post(stage.id(RETIREE), 0).0, Code::RETIRED.0);
                Ok(())
            }),
            // Waited for it before it was stopped for good.
            Part::returns(SECOND, |stage| {
                let id = stage.id(RETIREE);
                calls_next(stage, SECOND);
                check!(matches!(ipc::receive_from(id, 0), Received::Dead));
                check_eq!(stage.id(RETIREE).generation(), id.generation() + 1);
                Ok(())
            }),
            Part::dies(RETIREE, FaultKind::Stopped, serve),
        ],
    ),
    Case::new(
        "a-call-to-the-retired",
        &["IPC-SEND-4", "IPC-POST-3", "IPC-DEATH-1"],
        &[
            Part::dies(SERVER, FaultKind::Stopped, |stage| {
                // Received, never answered.
                next_message()?;
                stage.note(1);
                ipc::receive_from(stage.runner(), 0);
                Ok(())
            }),
            Part::returns(SECOND, |stage| {
                check_eq!(call_server(stage, 1, 0).code.0, Code::DEAD.0);
                check_eq!(call_server(stage, 1, 0).code.0, Code::RETIRED.0);
                Ok(())
            }),
            Part::returns(LAST, |stage| {
                notes(stage, 1);
                check_eq!(stage.retire(SERVER).0, 0);
                let id = stage.id(SERVER);
                check_eq!(call(id, 1, 0).code.0, Code::RETIRED.0);
                check_eq!(ipc::post(id, 0).0, Code::RETIRED.0);
                Ok(())
            }),
        ],
    ),
];
