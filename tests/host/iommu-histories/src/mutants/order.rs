//! What has to come before what.

use super::{REACHED, command, other};
use crate::sabotage::{Kind, Mutant, SYNC};
use smmu_model::Check;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    command("sync-dropped", "A7, B10, C5, E5, E15", REACHED, |edit| {
        let drop = edit.opcode() == SYNC;
        edit.drop_if(drop);
    }),
    other(
        "publish-dropped",
        "C6, E3",
        &[Check::Queue, Check::Command],
        Kind::NoPublish,
    ),
    other(
        "unpin-before-sync",
        "C5, E10",
        &[Check::Release],
        Kind::EarlyUnpin,
    ),
    other(
        "unpin-before-reset",
        "E11",
        &[Check::Release],
        Kind::UnpinAtOff,
    ),
    other(
        "lift-before-reset",
        "E11",
        &[Check::Release],
        Kind::EarlyLift,
    ),
    other("reset-skipped", "E11", &[Check::Release], Kind::NoReset),
    other(
        "open-without-quiesce",
        "E11",
        &[Check::Containment],
        Kind::Quiet,
    ),
    other(
        "bus-master-left-on",
        "E11",
        &[Check::Containment],
        Kind::NoBusMasterOff,
    ),
];
