//! Pools that are lent as a whole: lenders that die, bounds, what a successor takes over.

use abi::LeaseAttributes;
use abi::privileged::{Held, HeldKind};

use super::{REACHED, command, other};
use crate::sabotage::{Kind, Mutant, TLBI_ASID, TLBI_VA};
use smmu_model::Check;

/// Whether a pin is of a pool.
const fn is_of_pool(held: &Held) -> bool {
    matches!(held.kind, HeldKind::Pin) && held.device >> 16 != 0
}

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    command("pool-not-forgotten", "K13", REACHED, |edit| {
        let forgets = matches!(edit.opcode(), TLBI_VA | TLBI_ASID);
        edit.drop_if(edit.of_pool && forgets);
    }),
    other(
        "pool-page-beyond",
        "K13",
        &[Check::Protocol, Check::Release],
        Kind::ShortPool,
    ),
    other(
        "pool-limit-ignored",
        "K13",
        &[Check::Protocol],
        Kind::LendsMore,
    ),
    other(
        "pool-unpinned-at-death",
        "K14",
        &[Check::Release],
        Kind::DeadPoolUnpinned,
    ),
    other(
        "pool-death-overlooked",
        "K14",
        &[Check::Leak, Check::Lender, Check::Protocol],
        Kind::Enumerated(|held| {
            if is_of_pool(held) {
                held.dead = false;
            }
        }),
    ),
    other(
        "pool-not-adopted",
        "K15",
        &[Check::Protocol],
        Kind::Adopted(|held| {
            if is_of_pool(held) {
                held.device = u32::MAX;
            }
        }),
    ),
    other(
        "pool-access-not-adopted",
        "K15",
        &[Check::Protocol],
        Kind::Adopted(|held| {
            if is_of_pool(held) {
                held.access = LeaseAttributes::all();
            }
        }),
    ),
];
