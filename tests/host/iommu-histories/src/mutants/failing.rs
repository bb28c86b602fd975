//! What fails beside the server: the PCI task in a call or for good, a function while that is down, the SMMU for good.

use super::other;
use crate::sabotage::{Kind, Mutant};
use crate::troubles::Troubles;
use smmu_model::Check;

const CMDQ_CONS: usize = 0x9c;

const UNDER_WAY: &[Check] = &[Check::Release, Check::Containment];
const CONTAINMENT: &[Check] = &[Check::Containment];
const LIVENESS: &[Check] = &[Check::Liveness];
const RELEASE: &[Check] = &[Check::Release];

const fn among(name: &'static str, rule: &'static str, by: &'static [Check], kind: Kind) -> Mutant {
    Mutant {
        troubles: Troubles::of,
        ..other(name, rule, by, kind)
    }
}

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    among("silent-quiet", "K8", UNDER_WAY, Kind::SilentQuiet),
    among("silent-failed", "K8", LIVENESS, Kind::SilentFailed),
    among("retired-awaited", "K9", LIVENESS, Kind::RetiredAwaited),
    among("silent-off", "K8", LIVENESS, Kind::SilentOff),
    among("left-on", "K8", CONTAINMENT, Kind::LeftOn),
    among("retired-quiet", "K9", UNDER_WAY, Kind::RetiredQuiet),
    among("dead-overlooked", "K10", CONTAINMENT, Kind::DeadOverlooked),
    among(
        "loss-unseen",
        "K11",
        &[Check::Function, Check::State],
        Kind::LossUnseen,
    ),
    among("opened-anyway", "K5", CONTAINMENT, Kind::OpenedAnyway),
    among("stopped-lifts", "K12", RELEASE, Kind::StoppedLifts),
    among(
        "stop-unseen",
        "K12",
        RELEASE,
        Kind::Read(|view, register, value| {
            if register == CMDQ_CONS && view.model.has_stopped() {
                view.model.command_producer()
            } else {
                value
            }
        }),
    ),
];
