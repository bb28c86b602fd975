//! Control registers and bases.

use super::{REFUSED, other, read, write};
use crate::sabotage::{Kind, Mutant};
use smmu_model::Check;

const IDR0: usize = 0x0;
const CR0: usize = 0x20;
const CR0ACK: usize = 0x24;
const CR1: usize = 0x28;
const CR2: usize = 0x2c;
const GBPA: usize = 0x44;
const GERRORN: usize = 0x64;
const STRTAB_BASE_CFG: usize = 0x88;
const CMDQ_BASE: usize = 0x90;
const EVENTQ_IRQ_CFG0: usize = 0xb0;
const SMMUEN: u32 = 1;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    read(
        "no-acknowledge",
        "R1, R2, R10",
        &[Check::Register],
        |view, register, value| {
            if register == CR0ACK {
                view.model.control()
            } else {
                value
            }
        },
    ),
    write(
        "cr2-e2h",
        "A22",
        &[Check::Register],
        |view, register, value| {
            if register == CR2 && view.model.control() & SMMUEN == 0 {
                Some(value | 1)
            } else {
                Some(value)
            }
        },
    ),
    write(
        "acknowledge-inactive",
        "R5",
        &[Check::Register],
        |_, register, value| {
            Some(if register == GERRORN {
                value ^ 0x100
            } else {
                value
            })
        },
    ),
    write(
        "bypass-open",
        "R7, R8",
        &[Check::Register],
        |_, register, value| {
            Some(if register == GBPA {
                value & !(1 << 20)
            } else {
                value
            })
        },
    ),
    write(
        "registers-noncoherent",
        "H1",
        &[Check::Register],
        |_, register, value| Some(if register == CR1 { 0 } else { value }),
    ),
    write(
        "enabled-first",
        "R9",
        &[Check::Register],
        |_, register, value| {
            Some(if register == CR0 && value != 0 {
                value | SMMUEN
            } else {
                value
            })
        },
    ),
    read(
        "no-ats-check",
        "R13",
        &[Check::Register],
        |_, register, value| {
            if register == IDR0 {
                value & !(1 << 10)
            } else {
                value
            }
        },
    ),
    write("table-config", "B11", REFUSED, |_, register, value| {
        Some(if register == STRTAB_BASE_CFG {
            value ^ 1 << 6
        } else {
            value
        })
    }),
    other(
        "msi-address",
        "I7",
        &[Check::Register],
        Kind::Write64(|register, value| {
            if register == EVENTQ_IRQ_CFG0 {
                0x808_0040
            } else {
                value
            }
        }),
    ),
    other(
        "queue-misaligned",
        "E19",
        REFUSED,
        Kind::Write64(|register, value| {
            if register == CMDQ_BASE {
                value + 0x20
            } else {
                value
            }
        }),
    ),
    other(
        "base-beyond-output",
        "A21",
        REFUSED,
        Kind::Write64(|register, value| {
            if register == CMDQ_BASE {
                value | 1 << 50
            } else {
                value
            }
        }),
    ),
];
