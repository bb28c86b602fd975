//! Commands and events.

use super::{DELIVERY, REACHED, REFUSED, USED, command, other, read, write};
use crate::sabotage::{CFGI_RANGE, CFGI_STE, Kind, Mutant, SYNC, TLBI_ALL, TLBI_VA};
use smmu_model::Check;

const GERRORN: usize = 0x64;
const CMDQ_PROD: usize = 0x98;
const CMDQ_CONS: usize = 0x9c;
const EVENTQ_CONS: usize = 0x1_00ac;
const SMMUEN: u32 = 1;
const OVERFLOW: u32 = 1 << 31;

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    write(
        "producer-wrap",
        "E1",
        &[Check::Queue],
        |view, register, value| {
            let wrap = 1 << view.layout.smmu.command_log2;
            Some(if register == CMDQ_PROD {
                value & (wrap - 1)
            } else {
                value
            })
        },
    ),
    other("edit-submitted", "E4", &[Check::Queue], Kind::EditSubmitted),
    read(
        "consumer-ignored",
        "E6",
        REACHED,
        |view, register, value| {
            if register == CMDQ_CONS {
                view.model.command_producer()
            } else {
                value
            }
        },
    ),
    command("bad-opcode", "E12, E21", &[Check::Command], |edit| {
        if edit.opcode() == TLBI_VA {
            edit.words[0] |= 0x80;
        }
    }),
    command("secure-command", "E21", &[Check::Command], |edit| {
        if edit.opcode() == CFGI_STE {
            edit.words[0] |= 1 << 10;
        }
    }),
    command("sync-signal", "E16", &[Check::Command], |edit| {
        if edit.opcode() == SYNC {
            edit.words[0] |= 3 << 12;
        }
    }),
    command("repair-forgets-nothing", "E12, E13", USED, |edit| {
        let drop = edit.on && !edit.starting && matches!(edit.opcode(), CFGI_RANGE | TLBI_ALL);
        edit.drop_if(drop);
    }),
    write(
        "errors-not-acknowledged",
        "E14",
        REFUSED,
        |view, register, value| {
            let off = view.model.control() & SMMUEN == 0;
            (register != GERRORN || !off).then_some(value)
        },
    ),
    other("acquire-dropped", "F1", DELIVERY, Kind::NoAcquire),
    write(
        "consumer-stuck",
        "F3, F7",
        DELIVERY,
        |_, register, value| (register != EVENTQ_CONS).then_some(value),
    ),
    write(
        "consumer-beyond",
        "F5",
        &[Check::Queue, Check::Register],
        |_, register, value| {
            Some(if register == EVENTQ_CONS {
                value + 1
            } else {
                value
            })
        },
    ),
    write(
        "overflow-unacknowledged",
        "F4",
        DELIVERY,
        |view, register, value| {
            let kept = view.model.event_acknowledgement() & OVERFLOW;
            Some(if register == EVENTQ_CONS {
                value & !OVERFLOW | kept
            } else {
                value
            })
        },
    ),
    read(
        "overflow-overlooked",
        "F4",
        DELIVERY,
        |_, register, value| match register {
            0x1_00a8 => value & !OVERFLOW,
            0x60 => value & !4,
            _ => value,
        },
    ),
];
