//! Stream table entries and their invalidation.

use super::{FUNCTION, REACHED, USED, command, entry};
use crate::layout::TABLES;
use crate::sabotage::{CFGI_RANGE, CFGI_STE, Mutant, store_halves};
use smmu_model::{Check, Model};

/// Stores the word and another in word 1 of the same entry, with no invalidation between the two.
fn store_two(model: &mut Model, offset: u64, word: u64, value: u64) {
    let second = model.memory.latest(TABLES + offset + 8).unwrap_or(0);
    let translates = value >> 1 & 7 == 0b101;
    if word == 0 && !translates {
        model.store(TABLES + offset, value);
        model.store(TABLES + offset + 8, second & !0xff);
    } else if word == 0 {
        model.store(TABLES + offset + 8, second | 0xd4);
        model.store(TABLES + offset, value);
    } else {
        model.store(TABLES + offset, value);
    }
}

/// The faults.
pub const MUTANTS: &[Mutant] = &[
    command("drop-cfgi-open", "A2", FUNCTION, |edit| {
        let drop = edit.opcode() == CFGI_STE && edit.opens();
        edit.drop_if(drop);
    }),
    command("drop-cfgi-close", "A6", REACHED, |edit| {
        let drop = edit.opcode() == CFGI_STE && !edit.opens();
        edit.drop_if(drop);
    }),
    command("cfgi-cd-for-ste", "A15", USED, |edit| {
        if edit.opcode() == CFGI_STE {
            edit.words[0] = edit.words[0] & !0xff | 0x05;
        }
    }),
    command("one-stream-of-a-set", "B6", USED, |edit| {
        let drop = edit.opcode() == CFGI_STE && edit.words[0] >> 32 == 0x208;
        edit.drop_if(drop);
    }),
    command("wrong-stream", "B9", &[Check::Command], |edit| {
        if edit.opcode() == CFGI_STE {
            edit.words[0] ^= 0x10_0000 << 32;
        }
    }),
    command("drop-cfgi-all", "B4, B8", &[Check::Register], |edit| {
        let drop = edit.opcode() == CFGI_RANGE;
        edit.drop_if(drop);
    }),
    command("short-cfgi-all", "B4", &[Check::Register], |edit| {
        if edit.opcode() == CFGI_RANGE {
            edit.words[1] = edit.words[1] & !0x1f | 7;
        }
    }),
    entry(
        "ste-two-words",
        "A1, A9, A14",
        &[Check::Attributes, Check::Illegal],
        store_two,
    ),
    entry(
        "ste-in-halves",
        "A10",
        &[Check::Fetch, Check::Illegal],
        |model, offset, _, value| store_halves(model, offset, value),
    ),
    entry(
        "ste-bypass",
        "B12",
        REACHED,
        |model, offset, word, value| {
            let aborts = word == 0 && value >> 1 & 7 == 0;
            let value = if aborts { value | 0b100 << 1 } else { value };
            model.store(TABLES + offset, value);
        },
    ),
    entry(
        "ste-reserved",
        "A13, A18, A19",
        &[Check::Illegal],
        |model, offset, word, value| {
            model.store(
                TABLES + offset,
                if word == 1 { value | 1 << 13 } else { value },
            );
        },
    ),
    entry(
        "ste-noncoherent",
        "H1",
        &[Check::Attributes],
        |model, offset, word, value| {
            model.store(
                TABLES + offset,
                if word == 1 { value & !0xff } else { value },
            );
        },
    ),
    entry(
        "ste-el2-world",
        "C11",
        &[Check::Illegal],
        |model, offset, word, value| {
            let value = if word == 1 { value | 0b10 << 30 } else { value };
            model.store(TABLES + offset, value);
        },
    ),
    entry(
        "ste-stall",
        "D7",
        &[Check::Illegal],
        |model, offset, word, value| {
            let value = if word == 1 { value ^ 1 << 27 } else { value };
            model.store(TABLES + offset, value);
        },
    ),
    entry(
        "ste-substreams",
        "D8",
        &[Check::Illegal],
        |model, offset, word, value| {
            let translates = word == 0 && value >> 1 & 7 == 0b101;
            let value = if translates { value | 1 << 59 } else { value };
            model.store(TABLES + offset, value);
        },
    ),
    entry(
        "ste-eats",
        "D17",
        &[Check::Illegal],
        |model, offset, word, value| {
            let value = if word == 1 { value | 1 << 28 } else { value };
            model.store(TABLES + offset, value);
        },
    ),
];
