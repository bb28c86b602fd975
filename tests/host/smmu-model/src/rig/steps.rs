//! Steps that the small driver leaves out, for the rules that the server never comes near: it changes no
//! level-1 descriptor, no context descriptor and no table entry while they are live.

use crate::{Check, Features, Liberties};
use smmu::Command;
use vmsa::Permissions;

use super::{ASID, CONTEXT, OTHER_LEAVES, PAGE, Rig, STREAMS, WINDOW};

/// Runs of a step on each part.
const SEEDS: u64 = 60;
const STREAM: u32 = STREAMS[1];

/// One step.
pub struct Step {
    /// Its name, as in the table of rules.
    pub name: &'static str,
    /// The rows.
    pub rule: &'static str,
    /// Runs the sequence, whole or without the step: true if something went wrong.
    run: fn(&mut Rig, whole: bool) -> bool,
}

impl Step {
    /// In how many runs something went wrong.
    pub fn wrong(&self, whole: bool) -> u64 {
        super::count(SEEDS, |features, seed| {
            let mut rig = Rig::new(features, Liberties::ORDERLY_DEVICES, seed);
            (self.run)(&mut rig, whole)
        })
    }
}

const fn step(name: &'static str, rule: &'static str, run: fn(&mut Rig, bool) -> bool) -> Step {
    Step { name, rule, run }
}

/// A mapped page that the device has used.
pub fn use_page(rig: &mut Rig) {
    rig.map(0, PAGE);
    rig.open(STREAM);
    let _ = rig.model.access(1, STREAM, WINDOW, true);
}

/// The command that invalidates a page of the window.
pub fn address(page: u64) -> Command {
    Command::TlbAddress {
        asid: ASID,
        address: WINDOW + page * 4096,
    }
}

fn forget_stream(rig: &mut Rig, stream: u32, leaf: bool) {
    rig.command(Command::ConfigStream { stream, leaf });
    rig.sync();
}

fn is_translated(rig: &mut Rig, output: u64) -> bool {
    let outcome = rig.model.access(1, STREAM, WINDOW, false);
    outcome.is_ok_and(|flight| flight.output == output)
}

fn conflicts(rig: &Rig) -> bool {
    let findings = rig.model.findings.all();
    findings
        .iter()
        .any(|finding| finding.check == Check::Conflict)
}

/// All of them.
pub const STEPS: &[Step] = &[
    step("invalid-ste-kept", "A2", |rig, whole| {
        rig.map(0, PAGE);
        rig.set_entry(STREAM, 0, 0);
        rig.model.publish();
        forget_stream(rig, STREAM, true);
        let _ = rig.model.access(1, STREAM, WINDOW, false);
        rig.set_entry(STREAM, 0, Rig::stage1());
        rig.model.publish();
        if whole {
            forget_stream(rig, STREAM, true);
        }
        !is_translated(rig, PAGE)
    }),
    step("ste-words-at-once", "A9, A11", |rig, whole| {
        // From an entry whose other words are not prepared: the order of stores does not help, only an
        // invalidation between them does.
        rig.set_entry(STREAM, 0, 0);
        rig.set_entry(STREAM, 1, 0);
        rig.model.publish();
        forget_stream(rig, STREAM, true);
        let attributes = rig.attributes();
        rig.set_entry(STREAM, 1, attributes);
        rig.model.publish();
        if whole {
            forget_stream(rig, STREAM, true);
        }
        rig.set_entry(STREAM, 0, Rig::stage1());
        rig.model.publish();
        let _ = rig.model.access(1, STREAM, WINDOW, false);
        forget_stream(rig, STREAM, true);
        let _ = rig.model.access(1, STREAM, WINDOW, false);
        !rig.model.findings.all().is_empty()
    }),
    step("cd-after-its-ste", "A12", |rig, whole| {
        rig.map(0, PAGE);
        let words = rig.context(ASID, super::ROOT);
        rig.model.memory.preset(super::BASE + CONTEXT, 0);
        if whole {
            rig.set_context(0, words[0]);
            rig.model.publish();
        }
        rig.open(STREAM);
        let before = rig.model.access(1, STREAM, WINDOW, false).is_err();
        rig.set_context(0, words[0]);
        rig.model.publish();
        before || !is_translated(rig, PAGE)
    }),
    step("level-1-leaf", "B2, B3", |rig, whole| {
        rig.map(0, PAGE);
        rig.set_level1(STREAM, 0);
        rig.model.publish();
        forget_stream(rig, STREAM, false);
        let _ = rig.model.access(1, STREAM, WINDOW, false);
        // Valid again: the invalid one may be cached.
        rig.set_level1(STREAM, Rig::level1(STREAM));
        rig.set_entry(STREAM, 0, Rig::stage1());
        rig.model.publish();
        forget_stream(rig, STREAM, !whole);
        !is_translated(rig, PAGE)
    }),
    step("cd-without-cfgi", "B5", |rig, whole| {
        use_page(rig);
        let words = rig.context(ASID, OTHER_LEAVES);
        rig.set_context(1, words[1]);
        rig.model.publish();
        if whole {
            rig.command(Command::ConfigContext { stream: STREAM });
            rig.sync();
        }
        rig.command(Command::TlbAsid { asid: ASID });
        rig.sync();
        !rig.reach(STREAM).is_empty()
    }),
    step("cd-of-one-stream", "B6", |rig, whole| {
        use_page(rig);
        rig.open(STREAMS[2]);
        let _ = rig.model.access(1, STREAMS[2], WINDOW, false);
        let words = rig.context(ASID, OTHER_LEAVES);
        rig.set_context(1, words[1]);
        rig.model.publish();
        rig.command(Command::ConfigContext { stream: STREAM });
        if whole {
            rig.command(Command::ConfigContext { stream: STREAMS[2] });
        }
        rig.sync();
        rig.command(Command::TlbAsid { asid: ASID });
        rig.sync();
        !rig.reach(STREAMS[2]).is_empty()
    }),
    step("table-leaf-1", "C4", |rig, whole| {
        use_page(rig);
        rig.set_level2(0);
        rig.model.publish();
        let mut words = address(0).encode();
        words[1] = words[1] & !1 | u64::from(!whole);
        rig.command_words(words);
        rig.sync();
        // The table's memory is used again, for a table of somebody else.
        rig.map(0, PAGE);
        !rig.reach(STREAM).is_empty()
    }),
    step("cd-and-tlb-at-once", "C15, E8", |rig, whole| {
        use_page(rig);
        // The same ASID for other, empty tables.
        let words = rig.context(ASID, OTHER_LEAVES);
        rig.set_context(1, words[1]);
        rig.model.publish();
        rig.command(Command::ConfigContext { stream: STREAM });
        if whole {
            rig.sync();
        }
        rig.command(Command::TlbAsid { asid: ASID });
        rig.sync();
        !rig.reach(STREAM).is_empty()
    }),
    step("walks-off-only", "C18", |rig, whole| {
        use_page(rig);
        let words = rig.context(ASID, super::ROOT);
        // EPD0.
        rig.set_context(0, words[0] | 1 << 14);
        rig.model.publish();
        rig.command(Command::ConfigContext { stream: STREAM });
        rig.sync();
        if whole {
            rig.command(Command::TlbAsid { asid: ASID });
            rig.sync();
        }
        !rig.reach(STREAM).is_empty()
    }),
    step("replace-without-break", "C26", |rig, whole| {
        use_page(rig);
        if whole {
            rig.unmap(0);
        }
        rig.map(0, PAGE + 0x10_0000);
        (0..8).any(|_| !is_translated(rig, PAGE + 0x10_0000)) || conflicts(rig)
    }),
    step("permission-without-tlbi", "C3, C30", |rig, whole| {
        rig.open(STREAM);
        rig.set_leaf(0, Some((PAGE, Permissions::Read)));
        rig.model.publish();
        let before = rig.model.access(1, STREAM, WINDOW, true).is_ok();
        rig.set_leaf(0, Some((PAGE, Permissions::ReadWrite)));
        rig.model.publish();
        if whole {
            rig.command(address(0));
            rig.sync();
        }
        before || rig.model.access(1, STREAM, WINDOW, true).is_err()
    }),
    step("base-while-enabled", "R2", |rig, whole| {
        if whole {
            rig.write_and_wait(0);
        }
        let base = super::BASE;
        rig.model.write64(smmu::registers::STRTAB_BASE, base);
        !rig.model.findings.all().is_empty()
    }),
];

/// Something an earlier user left in every cache.
pub fn left_behind(features: Features, seed: u64) -> Rig {
    let mut rig = Rig::dark(features, Liberties::ORDERLY_DEVICES, seed);
    rig.model.leave_behind(0x4000_0000);
    rig
}
