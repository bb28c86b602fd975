//! Privileged calls by those who may not make them.

use abi::privileged::Privileged;
use abi::{FaultKind, Syscall};
use suite::{Case, Part, check_eq};
use userlib::{privileged, provoke};

use crate::help::{call_server, serve, told};
use crate::{CLIENT, OUTCAST, SERVER};

/// Privileged calls that exist, from 0.
const CALLS: u64 = abi::privileged::Privileged::ALL.len() as u64;
/// Number of the system call.
const PRIVILEGED: u16 = Syscall::Privileged as u16;

pub const CASES: &[Case] = &[
    // Each life of the outcast tries the next call.
    Case::new(
        "every-privileged-call-without-right",
        &["IPC-PRIV-1"],
        &[
            Part::dies(OUTCAST, FaultKind::NoRight, |stage| {
                provoke::privileged(stage.life, [stage.index(SERVER) as u64, 1, 0, 0, 0]);
                Ok(())
            }),
            Part::serves(SERVER, serve),
            Part::returns(CLIENT, |stage| {
                let server = stage.id(SERVER);
                for call in 0..CALLS {
                    told(stage, OUTCAST, FaultKind::NoRight, PRIVILEGED, Some(call))?;
                    // Nothing was done to the task that it named.
                    check_eq!(stage.id(SERVER).0, server.0);
                    check_eq!(call_server(stage, 1, call).payload[0], call + 1);
                    if call + 1 < CALLS {
                        check_eq!(stage.restart(OUTCAST).0, 0);
                    }
                }
                Ok(())
            }),
        ],
    ),
    Case::new(
        "a-privileged-call-that-does-not-exist",
        &["IPC-PRIV-1"],
        &[
            Part::dies(OUTCAST, FaultKind::SyscallUsage, |_| {
                provoke::privileged(CALLS, [0; 5]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                told(
                    stage,
                    OUTCAST,
                    FaultKind::SyscallUsage,
                    PRIVILEGED,
                    Some(CALLS),
                )
            }),
        ],
    ),
    Case::new(
        "a-privileged-call-with-a-wild-number",
        &["IPC-PRIV-1"],
        &[
            Part::dies(OUTCAST, FaultKind::SyscallUsage, |_| {
                provoke::privileged(u64::MAX, [0; 5]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                told(
                    stage,
                    OUTCAST,
                    FaultKind::SyscallUsage,
                    PRIVILEGED,
                    Some(u64::MAX),
                )
            }),
        ],
    ),
    Case::new(
        "the-authority-does-not-supervise",
        &["IPC-PRIV-1"],
        &[
            Part::dies(SERVER, FaultKind::NoRight, |stage| {
                privileged::stop(stage.index(CLIENT), false);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                // It was to be stopped.
                check_eq!(stage.life, 0);
                told(
                    stage,
                    SERVER,
                    FaultKind::NoRight,
                    PRIVILEGED,
                    Some(Privileged::Stop as u64),
                )
            }),
        ],
    ),
];
