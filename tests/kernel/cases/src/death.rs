//! What takes a role away for the rest of the run; these cases come last.

use abi::privileged::TaskState;
use abi::{Code, FaultKind};
use suite::{Case, Part, check_eq};
use userlib::ipc;

use crate::help::serve;
use crate::{CLIENT, RETIREE, SERVER};

pub const CASES: &[Case] = &[
    Case::new(
        "a-task-that-will-not-come-back",
        &["IPC-SEND-4", "IPC-ID-3", "IPC-PRIV-4"],
        &[
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                check_eq!(stage.retire(RETIREE).0, 0);
                check_eq!(ipc::refresh(stage.index(RETIREE)).1.0, Code::HELD.0);
                check_eq!(stage.status(RETIREE).state, TaskState::Stopped as u64);
                check_eq!(stage.restart(RETIREE).0, Code::REFUSED.0);
                Ok(())
            }),
            Part::dies(RETIREE, FaultKind::Stopped, serve),
        ],
    ),
    Case::new(
        "a-call-to-the-retired",
        &["IPC-SEND-4", "IPC-POST-3"],
        &[Part::returns(CLIENT, |stage| {
            check_eq!(stage.retire(SERVER).0, 0);
            let id = stage.id(SERVER);
            check_eq!(crate::help::call(id, 1, 0).code.0, Code::HELD.0);
            check_eq!(ipc::post(id, 0).0, Code::HELD.0);
            Ok(())
        })],
    ),
];
