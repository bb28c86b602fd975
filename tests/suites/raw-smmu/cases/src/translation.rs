//! Walks: what is refused, and how it is told.

use smmu::Class;
use smmu::EventKind::{AccessFlag, AddressSize, Permission, Translation, WalkAbort};
use smmu::context::cd;
use suite::{Case, Failure, Result, Stage, check, check_eq};

use crate::board::{ACCESS, MARKER};
use crate::machine::{FIRST, Got, Machine};
use crate::records::{Record, skip};
use crate::shows;
use crate::tables::{INPUT_BITS, leaf, table};

/// Page of the pool that a transfer would reach, and page of the window that it is mapped at.
const TARGET: usize = 3;
const AT: u64 = 5;
/// Page of the pool that serves as a root table.
const ROOT: usize = 6;
/// Page of the pool that serves as the table below it.
const EMPTY: usize = 7;
/// The access flag of a leaf (Arm ARM, VMSAv8-64 descriptor format).
const AF: u64 = 1 << 10;
/// What tells a page from a block.
const PAGE_BIT: u64 = 1 << 1;

fn unmapped(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    machine.write(stage, iova, ACCESS)?;
    machine.recorded(&Record::write(Translation, stream, iova))?;
    machine.read(stage, iova + 8, ACCESS)?;
    machine.recorded(&Record {
        read: true,
        ..Record::write(Translation, stream, iova + 8)
    })
}

fn one_record_an_access(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    machine.write(stage, iova, 5 * ACCESS)?;
    let (found, turn) = machine.take()?;
    check!(!turn.lost);
    machine.in_a_row(&found, 5, iova)
}

fn beyond_the_input_size(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, 1u64 << INPUT_BITS);
    machine.write(stage, iova, ACCESS)?;
    machine.recorded(&Record::write(Translation, stream, iova))
}

fn walks_disabled(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    machine.map(FIRST, AT, leaf(machine.page(TARGET), true))?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    check!(machine.reaches(stage, iova, TARGET)?);
    let words = machine.context_with(FIRST, cd::EPD0, 1)?;
    machine.set_context(FIRST, words)?;
    machine.forget_stream(FIRST)?;
    check!(!machine.reaches(stage, iova, TARGET)?);
    machine.recorded(&Record::write(Translation, stream, iova))
}

/// A root table of this case's own instead of the planned one: `entry` is where the window's first address leads.
fn own_root(machine: &mut Machine, entry: u64) -> Result {
    let iova = machine.iova(0)?;
    machine.pool.clear(ROOT);
    machine.pool.store(ROOT, (iova >> 30) as usize, entry);
    let root = machine.page(ROOT);
    set_root(machine, root)
}

fn set_root(machine: &mut Machine, root: u64) -> Result {
    let mut words = machine.context_words(FIRST)?;
    let [_, ttb, ..] = &mut words;
    *ttb = cd::TTB0.address(root);
    machine.set_context(FIRST, words)?;
    machine.forget_stream(FIRST)
}

fn table_entries(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let record = Record::write(Translation, stream, iova);
    // Nothing in the root.
    own_root(&mut machine, 0)?;
    machine.write(stage, iova, ACCESS)?;
    machine.recorded(&record)?;
    // A table with nothing in it.
    machine.pool.clear(EMPTY);
    let next = machine.page(EMPTY);
    own_root(&mut machine, table(next))?;
    machine.write(stage, iova, ACCESS)?;
    machine.recorded(&record)?;
    // What is a block above is reserved at level 3, and translates nothing.
    let words = machine.context_words(FIRST)?;
    machine.set_context(FIRST, words)?;
    machine.forget_stream(FIRST)?;
    machine.map(FIRST, AT, leaf(machine.page(TARGET), true) & !PAGE_BIT)?;
    check!(!machine.reaches(stage, iova, TARGET)?);
    machine.recorded(&record)
}

fn walk_of_a_table_nowhere(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let next = machine.nowhere;
    own_root(&mut machine, table(next))?;
    machine.write(stage, iova, ACCESS)?;
    machine.recorded(&Record {
        fetch: next + (iova >> 21 & 511) * 8,
        ..Record::write(WalkAbort, stream, iova)
    })
}

fn walk_of_a_root_nowhere(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let root = machine.nowhere;
    set_root(&mut machine, root)?;
    machine.read(stage, iova, ACCESS)?;
    machine.recorded(&Record {
        read: true,
        fetch: root + (iova >> 30) * 8,
        ..Record::write(WalkAbort, stream, iova)
    })
}

fn classes(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    machine.write(stage, iova, ACCESS)?;
    let input = machine.only()?;
    let next = machine.nowhere;
    own_root(&mut machine, table(next))?;
    machine.write(stage, iova, ACCESS)?;
    let walk = machine.only()?;
    check!((input.kind, walk.kind) == (Translation, WalkAbort));
    check_eq!(walk.class, Class::Walk);
    if input.class == Class::ContextFetch {
        return skip("this machine leaves the class of a refused address 0");
    }
    check_eq!(input.class, Class::Input);
    Ok(())
}

fn read_only(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    machine.map(FIRST, AT, leaf(machine.page(TARGET), false))?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    check!(!machine.reaches(stage, iova, TARGET)?);
    machine.recorded(&Record::write(Permission, stream, iova))?;
    machine.pool.put(TARGET, MARKER);
    machine.read(stage, iova, ACCESS)?;
    machine.silent()
}

/// Has a leaf refused: the record is `record`, or the access goes through as if nothing were wrong, which is told
/// apart from everything else.
fn refused_or_ignored(stage: &Stage, machine: &mut Machine, record: &Record) -> Got<bool> {
    let arrived = machine.reaches(stage, record.iova, TARGET)?;
    let (found, turn) = machine.take()?;
    check!(!turn.lost);
    match found.as_slice() {
        [] if arrived => Ok(false),
        [event] if !arrived => record.is(event).map(|()| true),
        _ => Err(Failure {
            what: "either a record or an arrival",
            line: line!(),
            values: Some((found.len() as u64, u64::from(arrived))),
            skipped: false,
        }),
    }
}

fn access_flag(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let good = leaf(machine.page(TARGET), true);
    check!(good & AF != 0);
    machine.map(FIRST, AT, good & !AF)?;
    let record = Record::write(AccessFlag, stream, iova);
    if refused_or_ignored(stage, &mut machine, &record)? {
        return Ok(());
    }
    skip("this machine does not look at the access flag")
}

fn access_flag_disabled(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    machine.map(FIRST, AT, leaf(machine.page(TARGET), true) & !AF)?;
    let words = machine.context_with(FIRST, cd::AFFD, 1)?;
    machine.set_context(FIRST, words)?;
    machine.forget_stream(FIRST)?;
    check!(machine.reaches(stage, iova, TARGET)?);
    machine.silent()
}

fn output_size(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let beyond = 1u64 << machine.entry.address_bits;
    machine.map(FIRST, AT, leaf(machine.page(TARGET) | beyond, true))?;
    machine.pool.clear(TARGET);
    machine.write(stage, iova, ACCESS)?;
    machine.pool.has(TARGET, 0)?;
    let (found, turn) = machine.take()?;
    check!(!turn.lost);
    match found.as_slice() {
        [] => skip("this machine drops accesses beyond the output size without a record"),
        [event] => Record::write(AddressSize, stream, iova).is(event),
        _ => machine.in_a_row(&found, 1, iova),
    }
}

fn unrecorded(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    machine.map(FIRST, AT + 1, leaf(machine.page(TARGET), true))?;
    let words = machine.context_with(FIRST, cd::R, 0)?;
    machine.set_context(FIRST, words)?;
    machine.forget_stream(FIRST)?;
    machine.write(stage, iova, ACCESS)?;
    machine.silent()?;
    // What is mapped works.
    let mapped = machine.iova(AT + 1)?;
    check!(machine.reaches(stage, mapped, TARGET)?);
    machine.silent()
}

fn output_to_nothing(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (iova, output) = (machine.iova(AT)?, machine.nowhere);
    machine.map(FIRST, AT, leaf(output, true))?;
    machine.write(stage, iova, ACCESS)?;
    machine.silent()
}

pub const CASES: &[Case] = &[
    shows!("translation-unmapped", &["C3"], unmapped),
    shows!(
        "translation-one-record-an-access",
        &["F1"],
        one_record_an_access
    ),
    shows!(
        "translation-beyond-the-input-size",
        &["D1"],
        beyond_the_input_size
    ),
    shows!("translation-walks-disabled", &["C13"], walks_disabled),
    shows!("translation-table-entries", &["C2"], table_entries),
    shows!(
        "walk-abort-table-nowhere",
        &["A20"],
        walk_of_a_table_nowhere
    ),
    shows!("walk-abort-root-nowhere", &["A20"], walk_of_a_root_nowhere),
    shows!("class-of-records", &["F1"], classes),
    shows!("permission-read-only", &["C30"], read_only),
    shows!("access-flag-clear", &["C32"], access_flag),
    shows!("access-flag-fault-disabled", &["C32"], access_flag_disabled),
    shows!("address-size-of-a-leaf", &["D4"], output_size),
    shows!("unrecorded-faults-are-silent", &["D6"], unrecorded),
    shows!("output-to-nothing-is-silent", &["D4"], output_to_nothing),
];
