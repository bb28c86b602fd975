//! Lazy domains: what is unmapped there is given back after a flush.

use super::{REACHED, command, other};
use crate::layout::PAGE_TABLES;
use crate::sabotage::{Kind, Mutant, TLBI_ASID, TLBI_VA};
use smmu_model::Check;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    command("lazy-not-flushed", "C34", REACHED, |edit| {
        let drop = edit.flushing && matches!(edit.opcode(), TLBI_VA | TLBI_ASID);
        edit.drop_if(drop);
    }),
    other(
        "lazy-iova-early",
        "C34",
        &[Check::Stale, Check::Conflict],
        Kind::Load(|view, offset, value| {
            let maps = |intent: &crate::intent::Intent| {
                !intent.maps.is_empty() && intent.unmaps.is_empty()
            };
            // A page that waits for a flush has neither bit of its kind.
            let parted = offset >= PAGE_TABLES && value & 3 == 0;
            if view.intent.is_some_and(maps) && parted {
                0
            } else {
                value
            }
        }),
    ),
    other(
        "lazy-pool-early",
        "C34",
        &[Check::Release],
        Kind::Load(|view, offset, value| {
            let gives_back =
                |intent: &crate::intent::Intent| intent.maps.is_empty() && intent.unmaps.is_empty();
            let parted = offset >= PAGE_TABLES && value & 3 == 0;
            if view.intent.is_some_and(gives_back) && parted && !view.starting {
                0
            } else {
                value
            }
        }),
    ),
    other(
        "lazy-unpin-early",
        "C34",
        &[Check::Release],
        Kind::PartedUnpin,
    ),
    other("lazy-without-a-timer", "C35", REACHED, Kind::NoTimer),
    other("lazy-forgotten", "J15", &[Check::Leak], Kind::PartedUnseen),
];
