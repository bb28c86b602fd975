//! What is around the server: the PCI task, other members of an alias set, resets, time.

use super::other;
use crate::sabotage::{Kind, Mutant};
use smmu_model::Check;

const QUIET: &[Check] = &[Check::Containment];
const RELEASE: &[Check] = &[Check::Release];
const UNDER_WAY: &[Check] = &[Check::Release, Check::Containment];

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    other(
        "old-look",
        "E17",
        &[Check::Liveness, Check::Refusal],
        Kind::OldLook,
    ),
    other("sharers-dropped", "K1", RELEASE, Kind::NoSharers),
    other("doubt-dropped", "K2", UNDER_WAY, Kind::NoDoubt),
    other("known-for-ever", "K7", QUIET, Kind::KnownForEver),
    other("unit-ignored", "K3", QUIET, Kind::UnitIgnored),
    other("failure-ignored", "K4", QUIET, Kind::FailedIsQuiet),
    other("found-anyway", "K5", QUIET, Kind::FoundAnyway),
    other("lift-unpins", "K6", &[Check::Release], Kind::LiftUnpins),
];
