//! The server's own restart.

use abi::privileged::HeldKind;

use super::{REACHED, REFUSED, command, other};
use crate::sabotage::{CFGI_RANGE, Kind, Mutant, TLBI_ALL};
use crate::troubles::Troubles;
use smmu_model::Check;

const CR0ACK: usize = 0x24;
const STRTAB_BASE_CFG: usize = 0x88;
const CMDQ_CONS: usize = 0x9c;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    other(
        "adopt-anew",
        "J1",
        REFUSED,
        Kind::FreshRead(|_, register, value| {
            if register == STRTAB_BASE_CFG {
                value ^ 1
            } else {
                value
            }
        }),
    ),
    other(
        "adopt-in-transition",
        "R1",
        &[Check::Register],
        Kind::FreshRead(|view, register, value| {
            if register == CR0ACK {
                view.model.control()
            } else {
                value
            }
        }),
    ),
    other(
        "adopt-no-claims",
        "J2",
        &[Check::Adoption],
        Kind::Adopted(|held| {
            if held.kind == HeldKind::Hold {
                held.device = u32::MAX;
            }
        }),
    ),
    other(
        "adopt-the-dead",
        "J3",
        &[Check::Containment],
        Kind::Adopted(|held| held.dead = false),
    ),
    other(
        "adopt-no-pins",
        "J4",
        &[Check::Leak],
        Kind::Adopted(|held| {
            if held.kind == HeldKind::Pin {
                held.device = u32::MAX;
            }
        }),
    ),
    Mutant {
        // Where nothing else fails, more of what is open when the server dies is still open for its successor.
        troubles: |_| Troubles::default(),
        ..command("adopt-unconfirmed", "J5", REACHED, |edit| {
            let drop = edit.on && edit.starting && matches!(edit.opcode(), CFGI_RANGE | TLBI_ALL);
            edit.drop_if(drop);
        })
    },
    other(
        "adopt-full-queue",
        "J6",
        &[Check::Queue],
        Kind::FreshRead(|view, register, value| {
            if register == CMDQ_CONS {
                view.model.command_producer()
            } else {
                value
            }
        }),
    ),
    other("adopt-half-claim", "J7", &[Check::Adoption], Kind::FoundOn),
    other(
        "adopt-keeps-hold",
        "J7",
        &[Check::Leak],
        Kind::StartingNoLift,
    ),
    other(
        "adopt-no-quiesce",
        "J8",
        &[Check::Containment, Check::Release],
        Kind::AdoptedQuiet,
    ),
    other(
        "adopt-unpin-first",
        "J9",
        &[Check::Release],
        Kind::FreshUnpin,
    ),
];
