//! Leaves and their invalidation.

use super::{FUNCTION, REACHED, USED, command, leaf, other};
use crate::layout::PAGE_TABLES;
use crate::sabotage::{Kind, Mutant, SYNC, TLBI_ALL, TLBI_ASID, TLBI_VA};
use smmu_model::Check;

/// Changes the leaf that is stored, but not a 0.
const fn valid(leaf: u64, changed: u64) -> u64 {
    if leaf & 1 == 1 { changed } else { leaf }
}

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    command("drop-tlbi-va", "C5, H4", REACHED, |edit| {
        let drop = edit.opcode() == TLBI_VA;
        edit.drop_if(drop);
    }),
    command("drop-tlbi-asid", "B3, C13", REACHED, |edit| {
        let drop = edit.opcode() == TLBI_ASID;
        edit.drop_if(drop);
    }),
    command("drop-tlbi-all", "B8, C19, R8", &[Check::Register], |edit| {
        let drop = edit.opcode() == TLBI_ALL;
        edit.drop_if(drop);
    }),
    command("wrong-asid", "C7, C24", REACHED, |edit| {
        if edit.opcode() == TLBI_VA {
            edit.words[0] ^= 7 << 48;
        }
    }),
    command("wrong-vmid", "C8", &[Check::Command], |edit| {
        if edit.opcode() == TLBI_VA {
            edit.words[0] |= 1 << 32;
        }
    }),
    command("wrong-address", "C20", REACHED, |edit| {
        if edit.opcode() == TLBI_VA && edit.words[1] >> 8 & 3 != 2 {
            edit.words[1] ^= 0x1000;
        }
    }),
    command("short-range", "C22", REACHED, |edit| {
        let pages = edit.words[0] >> 12 & 0x1f;
        if edit.opcode() == TLBI_VA && pages > 0 {
            edit.words[0] -= 1 << 12;
        }
    }),
    command("wrong-level", "C23", REACHED, |edit| {
        if edit.opcode() == TLBI_VA && edit.words[1] >> 8 & 3 == 3 {
            edit.words[1] ^= 1 << 8;
            edit.words[1] &= !0x1f_f000;
        }
    }),
    leaf("leaf-global", "C10", &[Check::Attributes], |leaf, _| {
        valid(leaf, leaf & !(1 << 11))
    }),
    other(
        "leaf-in-halves",
        "C31",
        &[Check::Attributes, Check::Reach],
        Kind::Halves,
    ),
    leaf("leaf-access-flag", "C32", FUNCTION, |leaf, _| {
        valid(leaf, leaf & !(1 << 10))
    }),
    leaf("leaf-privileged", "I2", FUNCTION, |leaf, _| {
        valid(leaf, leaf & !(1 << 6))
    }),
    leaf(
        "leaf-device-memory",
        "D13",
        &[Check::Attributes],
        |leaf, _| valid(leaf, leaf | 1 << 2),
    ),
    leaf(
        "leaf-shareability",
        "D13",
        &[Check::Attributes],
        |leaf, _| valid(leaf, leaf & !(3 << 8)),
    ),
    leaf("leaf-writable", "C30", USED, |leaf, _| {
        valid(leaf, leaf & !(1 << 7))
    }),
    leaf("leaf-beyond-output", "D4", FUNCTION, |leaf, _| {
        valid(leaf, leaf | 1 << 46)
    }),
    leaf("leaf-not-cleared", "C2", REACHED, |leaf, before| {
        if leaf == 0 { before } else { leaf }
    }),
    other(
        "map-over-live",
        "C26",
        &[Check::Conflict],
        Kind::Load(|view, offset, value| {
            let mapping = view.intent.is_some_and(|intent| !intent.maps.is_empty());
            if mapping && offset >= PAGE_TABLES {
                0
            } else {
                value
            }
        }),
    ),
    command(
        "exchange-not-forgotten",
        "C26",
        &[Check::Conflict, Check::Stale],
        |edit| {
            let drop = edit.exchanging && edit.opcode() == TLBI_VA;
            edit.drop_if(drop);
        },
    ),
    command(
        "exchange-before-sync",
        "C5",
        &[Check::Conflict, Check::Stale],
        |edit| {
            let drop = edit.exchanging && edit.opcode() == SYNC;
            edit.drop_if(drop);
        },
    ),
    other("shared-asid", "C9", REACHED, Kind::OneAsid),
];
