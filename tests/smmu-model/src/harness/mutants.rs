//! The seeded faults, one for each way to break a rule.

use super::layout::{Layout, TABLES};
use super::sabotage::{
    CFGI_RANGE, CFGI_STE, Edit, Kind, Mutant, SYNC, TLBI_ALL, TLBI_ASID, TLBI_VA,
};
use super::world::World;
use crate::Memory;

const CR0: usize = 0x20;
const CR0ACK: usize = 0x24;
const CR1: usize = 0x28;
const CR2: usize = 0x2c;
const GBPA: usize = 0x44;
const GERRORN: usize = 0x64;
const CMDQ_BASE: usize = 0x90;
const CMDQ_PROD: usize = 0x98;
const CMDQ_CONS: usize = 0x9c;
const EVENTQ_CONS: usize = 0x1_00ac;
const SMMUEN: u32 = 1;
const OVERFLOW: u32 = 1 << 31;

const fn command(name: &'static str, rule: &'static str, edit: fn(&mut Edit<'_>)) -> Mutant {
    Mutant {
        name,
        rule,
        kind: Kind::Command(edit),
    }
}
const fn entry(
    name: &'static str,
    rule: &'static str,
    store: fn(&mut World, u64, u64, u64),
) -> Mutant {
    Mutant {
        name,
        rule,
        kind: Kind::Entry(store),
    }
}
const fn leaf(name: &'static str, rule: &'static str, change: fn(u64, u64) -> u64) -> Mutant {
    Mutant {
        name,
        rule,
        kind: Kind::Leaf(change),
    }
}
const fn write(
    name: &'static str,
    rule: &'static str,
    change: fn(&World, usize, u32) -> Option<u32>,
) -> Mutant {
    Mutant {
        name,
        rule,
        kind: Kind::Write(change),
    }
}
const fn read(
    name: &'static str,
    rule: &'static str,
    change: fn(&World, usize, u32) -> u32,
) -> Mutant {
    Mutant {
        name,
        rule,
        kind: Kind::Read(change),
    }
}
const fn image(name: &'static str, rule: &'static str, change: fn(&Layout, &mut Memory)) -> Mutant {
    Mutant {
        name,
        rule,
        kind: Kind::Image(change),
    }
}
const fn other(name: &'static str, rule: &'static str, kind: Kind) -> Mutant {
    Mutant { name, rule, kind }
}

/// Changes a word of the image.
fn patch(memory: &mut Memory, offset: u64, change: impl Fn(u64) -> u64) {
    let word = memory.latest(TABLES + offset).unwrap_or(0);
    memory.preset(TABLES + offset, change(word));
}

/// Changes word `word` of every context descriptor.
fn patch_contexts(layout: &Layout, memory: &mut Memory, word: u64, change: impl Fn(u64) -> u64) {
    for domain in &layout.domains {
        patch(memory, domain.context + word * 8, &change);
    }
}

/// Changes the leaf that is stored, but not a 0.
const fn valid(leaf: u64, changed: u64) -> u64 {
    if leaf & 1 == 1 { changed } else { leaf }
}

/// Stores the word and another in word 1 of the same entry, with no invalidation between the two.
fn store_two(world: &mut World, offset: u64, word: u64, value: u64) {
    let second = world.model.memory.latest(TABLES + offset + 8).unwrap_or(0);
    let translates = value >> 1 & 7 == 0b101;
    if word == 0 && !translates {
        world.model.store(TABLES + offset, value);
        world.model.store(TABLES + offset + 8, second & !0xff);
    } else if word == 0 {
        world.model.store(TABLES + offset + 8, second | 0xd4);
        world.model.store(TABLES + offset, value);
    } else {
        world.model.store(TABLES + offset, value);
    }
}

/// Every seeded fault.
pub const MUTANTS: &[Mutant] = &[
    // Configuration.
    command("drop-cfgi-open", "A2", |edit| {
        let drop = edit.opcode() == CFGI_STE && edit.opens();
        edit.drop_if(drop);
    }),
    command("drop-cfgi-close", "A6", |edit| {
        let drop = edit.opcode() == CFGI_STE && !edit.opens();
        edit.drop_if(drop);
    }),
    command("cfgi-cd-for-ste", "A15", |edit| {
        if edit.opcode() == CFGI_STE {
            edit.words[0] = edit.words[0] & !0xff | 0x05;
        }
    }),
    command("one-stream-of-a-set", "B6", |edit| {
        let drop = edit.opcode() == CFGI_STE && edit.words[0] >> 32 == 0x208;
        edit.drop_if(drop);
    }),
    command("wrong-stream", "B9", |edit| {
        if edit.opcode() == CFGI_STE {
            edit.words[0] ^= 0x10_0000 << 32;
        }
    }),
    command("drop-cfgi-all", "B4, B8", |edit| {
        let drop = edit.opcode() == CFGI_RANGE;
        edit.drop_if(drop);
    }),
    entry("ste-two-words", "A1, A9", store_two),
    entry("ste-bypass", "B12", |world, offset, word, value| {
        let aborts = word == 0 && value >> 1 & 7 == 0;
        let value = if aborts { value | 0b100 << 1 } else { value };
        world.model.store(TABLES + offset, value);
    }),
    entry(
        "ste-reserved",
        "A13, A18, A19",
        |world, offset, word, value| {
            // CONT in word 1, beside what belongs there.
            world.model.store(
                TABLES + offset,
                if word == 1 { value | 1 << 13 } else { value },
            );
        },
    ),
    entry("ste-noncoherent", "H1", |world, offset, word, value| {
        world.model.store(
            TABLES + offset,
            if word == 1 { value & !0xff } else { value },
        );
    }),
    // Translations.
    command("drop-tlbi-va", "C5", |edit| {
        let drop = edit.opcode() == TLBI_VA;
        edit.drop_if(drop);
    }),
    command("drop-tlbi-asid", "B3, C13", |edit| {
        let drop = edit.opcode() == TLBI_ASID;
        edit.drop_if(drop);
    }),
    command("drop-tlbi-all", "B8, C19, G8", |edit| {
        let drop = edit.opcode() == TLBI_ALL;
        edit.drop_if(drop);
    }),
    command("wrong-asid", "C7, C24", |edit| {
        if edit.opcode() == TLBI_VA {
            edit.words[0] ^= 7 << 48;
        }
    }),
    command("wrong-vmid", "C8", |edit| {
        if edit.opcode() == TLBI_VA {
            edit.words[0] |= 1 << 32;
        }
    }),
    command("wrong-address", "C20", |edit| {
        if edit.opcode() == TLBI_VA && edit.words[1] >> 8 & 3 != 2 {
            edit.words[1] ^= 0x1000;
        }
    }),
    command("short-range", "C22", |edit| {
        let pages = edit.words[0] >> 12 & 0x1f;
        if edit.opcode() == TLBI_VA && pages > 0 {
            edit.words[0] -= 1 << 12;
        }
    }),
    command("wrong-level", "C23", |edit| {
        if edit.opcode() == TLBI_VA && edit.words[1] >> 8 & 3 == 3 {
            edit.words[1] ^= 1 << 8;
            edit.words[1] &= !0x1f_f000;
        }
    }),
    leaf("leaf-global", "C10", |leaf, _| {
        valid(leaf, leaf & !(1 << 11))
    }),
    leaf("leaf-access-flag", "C32", |leaf, _| {
        valid(leaf, leaf & !(1 << 10))
    }),
    leaf("leaf-privileged", "I2", |leaf, _| {
        valid(leaf, leaf & !(1 << 6))
    }),
    leaf("leaf-device-memory", "D13", |leaf, _| {
        valid(leaf, leaf | 1 << 2)
    }),
    leaf("leaf-shareability", "D13", |leaf, _| {
        valid(leaf, leaf & !(3 << 8))
    }),
    leaf("leaf-writable", "C30", |leaf, _| {
        valid(leaf, leaf & !(1 << 7))
    }),
    leaf("leaf-beyond-output", "D4", |leaf, _| {
        valid(leaf, leaf | 1 << 46)
    }),
    leaf("leaf-not-cleared", "C2", |leaf, before| {
        if leaf == 0 { before } else { leaf }
    }),
    leaf("map-over-live", "C26", |leaf, before| {
        if leaf & 1 == 1 && before & 1 == 0 {
            leaf ^ 0x4000
        } else {
            leaf
        }
    }),
    other("shared-asid", "C9", Kind::OneAsid),
    // Order.
    command("sync-dropped", "A7, B10, C5, E5, E15", |edit| {
        let drop = edit.opcode() == SYNC;
        edit.drop_if(drop);
    }),
    other("publish-dropped", "C6, E3", Kind::NoPublish),
    other("unpin-before-sync", "C5, E10", Kind::EarlyUnpin),
    other("lift-before-reset", "E11", Kind::EarlyLift),
    other("reset-skipped", "E11", Kind::NoReset),
    other("bus-master-left-on", "E11", Kind::NoBusMasterOff),
    // Command queue.
    write("producer-wrap", "E1", |world, register, value| {
        let wrap = 1 << world.layout.smmu.command_log2;
        Some(if register == CMDQ_PROD {
            value & (wrap - 1)
        } else {
            value
        })
    }),
    other("edit-submitted", "E4", Kind::EditSubmitted),
    read("consumer-ignored", "E6", |world, register, value| {
        if register == CMDQ_CONS {
            world.model.command_producer()
        } else {
            value
        }
    }),
    command("bad-opcode", "E12, E21", |edit| {
        if edit.opcode() == TLBI_VA {
            edit.words[0] |= 0x80;
        }
    }),
    command("secure-command", "E21", |edit| {
        if edit.opcode() == CFGI_STE {
            edit.words[0] |= 1 << 10;
        }
    }),
    // Events.
    other("acquire-dropped", "F1", Kind::NoAcquire),
    write("consumer-stuck", "F3, F7", |_, register, value| {
        (register != EVENTQ_CONS).then_some(value)
    }),
    write("consumer-beyond", "F5", |_, register, value| {
        Some(if register == EVENTQ_CONS {
            value + 1
        } else {
            value
        })
    }),
    write("overflow-unacknowledged", "F4", |world, register, value| {
        let kept = world.model.event_acknowledgement() & OVERFLOW;
        Some(if register == EVENTQ_CONS {
            value & !OVERFLOW | kept
        } else {
            value
        })
    }),
    read(
        "overflow-overlooked",
        "F4",
        |_, register, value| match register {
            0x1_00a8 => value & !OVERFLOW,
            0x60 => value & !4,
            _ => value,
        },
    ),
    // Registers.
    read("no-acknowledge", "G1, G2, G10", |world, register, value| {
        if register == CR0ACK {
            world.model.control()
        } else {
            value
        }
    }),
    write("cr2-e2h", "A22", |world, register, value| {
        if register == CR2 && world.model.control() & SMMUEN == 0 {
            Some(value | 1)
        } else {
            Some(value)
        }
    }),
    write("acknowledge-inactive", "G5", |_, register, value| {
        Some(if register == GERRORN {
            value ^ 0x100
        } else {
            value
        })
    }),
    write("bypass-open", "G7, G8", |_, register, value| {
        Some(if register == GBPA {
            value & !(1 << 20)
        } else {
            value
        })
    }),
    write("registers-noncoherent", "H1", |_, register, value| {
        Some(if register == CR1 { 0 } else { value })
    }),
    write("enabled-first", "G9", |_, register, value| {
        Some(if register == CR0 && value != 0 {
            value | SMMUEN
        } else {
            value
        })
    }),
    // The server's own restart.
    other(
        "adopt-anew",
        "J1",
        Kind::AdoptedRead(|register, value| if register == CR0ACK { 0 } else { value }),
    ),
    other(
        "adopt-no-claims",
        "J2",
        Kind::Adopted(|held| {
            if held.kind == 1 {
                held.device = u32::MAX;
            }
        }),
    ),
    other(
        "adopt-the-dead",
        "J3",
        Kind::Adopted(|held| held.dead = false),
    ),
    other(
        "adopt-no-pins",
        "J4",
        Kind::Adopted(|held| {
            if held.kind == 2 {
                held.device = u32::MAX;
            }
        }),
    ),
    // The image: what a wrong build step would hand over.
    image("array-outside", "A4, A20, B1", |layout, memory| {
        patch(memory, layout.smmu.stream_l1 + 8, |word| {
            word + (0x100_0000)
        });
    }),
    other(
        "queue-misaligned",
        "E19",
        Kind::Write64(|register, value| {
            if register == CMDQ_BASE {
                value + 0x20
            } else {
                value
            }
        }),
    ),
    image("entry-open", "B12", |layout, memory| {
        let array = memory
            .latest(TABLES + layout.smmu.stream_l1 + 8)
            .unwrap_or(0)
            & !0xffff_0000_0000_003f;
        patch(memory, array - TABLES + 64, |word| word | 0b100 << 1);
    }),
    image("context-epd1", "D1", |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word & !(1 << 30));
    }),
    image("context-no-record", "D6", |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word & !(3 << 45));
    }),
    image("context-noncoherent", "H1", |layout, memory| {
        patch_contexts(layout, memory, 0, |word| word & !(0x3f << 8));
    }),
    image("context-other-root", "C2", |layout, memory| {
        patch_contexts(layout, memory, 1, |word| word + 0x1000);
    }),
    image("leaf-table-elsewhere", "C2", |layout, memory| {
        let level2 = layout
            .domains
            .first()
            .map_or(0, |domain| domain.root + 0x1000);
        patch(memory, level2, |word| word + 0x1000);
    }),
];
