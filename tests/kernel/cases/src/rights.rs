//! Privileged calls by those who may not make them.

use abi::FaultKind;
use suite::{Case, Part, check_eq, check_is};
use userlib::privileged;

use crate::help::death_of;
use crate::{CLIENT, OUTCAST, SERVER};

/// Privileged calls that exist, from 0.
const CALLS: u64 = 13;

pub const CASES: &[Case] = &[
    // Each life of the outcast tries the next call.
    Case::new(
        "every-privileged-call-without-right",
        &["IPC-PRIV-1"],
        &[
            Part::dies(OUTCAST, FaultKind::NoRight, |stage| {
                privileged::raw(stage.life, [stage.index(SERVER) as u64, 1, 0, 0, 0]);
                Ok(())
            }),
            Part::returns(CLIENT, |stage| {
                for call in 0..CALLS {
                    let fault = check_is!(
                    death_of(stage, OUTCAST, FaultKind::NoRight), Ok(fault) => fault);
                    check_eq!(fault[1], call);
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
        &[Part::dies(OUTCAST, FaultKind::SyscallUsage, |_| {
            privileged::raw(CALLS, [0; 5]);
            Ok(())
        })],
    ),
    Case::new(
        "a-privileged-call-with-a-wild-number",
        &["IPC-PRIV-1"],
        &[Part::dies(OUTCAST, FaultKind::SyscallUsage, |_| {
            privileged::raw(u64::MAX, [0; 5]);
            Ok(())
        })],
    ),
    Case::new(
        "the-authority-does-not-supervise",
        &["IPC-PRIV-1"],
        &[Part::dies(SERVER, FaultKind::NoRight, |stage| {
            privileged::stop(stage.index(CLIENT), false);
            Ok(())
        })],
    ),
];
