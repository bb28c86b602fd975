//! What the SMMU goes on using until it is told to forget it. Architecture lets it forget at any time: where it does,
//! the case is skipped; that it forgets when told is never left out.

use iommu::hardware::Hardware;
use smmu::Command;
use smmu::EventKind::{BadStream, Translation};
use smmu::registers::{CMDQ_PROD, cr0};
use smmu::stream::{abort_word, ste};
use suite::{Case, Result, Stage, check, check_eq};

use crate::machine::{FIRST, Got, Machine, SECOND};
use crate::records::{Record, skip};
use crate::shows;
use crate::tables::leaf;

/// Page of the pool that a transfer reaches, and page of the window that it is mapped at.
const TARGET: usize = 3;
const AT: u64 = 5;
/// Another page of the pool.
const OTHER: usize = 4;

/// Why a case shows nothing here.
const FORGOTTEN: &str = "this SMMU did not keep what it had read";

/// A mapped page that was just written through, so that everything about it is cached.
fn used(stage: &Stage) -> Got<(Machine, u64)> {
    let mut machine = Machine::open(stage)?;
    machine.map(FIRST, AT, leaf(machine.page(TARGET), true))?;
    let iova = machine.iova(AT)?;
    check!(machine.reaches(stage, iova, TARGET)?);
    Ok((machine, iova))
}

/// Fails unless nothing arrives any more, and it is told.
fn gone(stage: &Stage, machine: &mut Machine, iova: u64) -> Result {
    check!(!machine.reaches(stage, iova, TARGET)?);
    let stream = machine.stream(FIRST)?;
    machine.recorded(&Record::write(Translation, stream, iova))
}

/// Whether a write still arrives: what was forgotten once does not come back.
fn still(stage: &Stage, machine: &mut Machine, iova: u64, before: bool) -> Got<bool> {
    let arrives = machine.reaches(stage, iova, TARGET)?;
    check!(before || !arrives);
    machine.take()?;
    Ok(arrives)
}

fn open_entry(stage: &Stage) -> Result {
    let (mut machine, iova) = used(stage)?;
    let [_, attributes] = machine.open_words(FIRST)?;
    machine.set_stream(FIRST, [ste::V.put(0), attributes])?;
    let mut kept = machine.reaches(stage, iova, TARGET)?;
    if kept {
        machine.silent()?;
    } else {
        let record = Record::plain(BadStream, machine.stream(FIRST)?);
        machine.recorded(&record)?;
    }
    // Another stream's command is none for this one.
    let second = machine.stream(SECOND)?;
    machine.issue(&[Command::ConfigStream {
        stream: second,
        leaf: true,
    }])?;
    kept = still(stage, &mut machine, iova, kept)?;
    let stream = machine.stream(FIRST)?;
    machine.issue(&[Command::ConfigStream { stream, leaf: true }])?;
    check!(!machine.reaches(stage, iova, TARGET)?);
    machine.recorded(&Record::plain(BadStream, stream))?;
    if kept { Ok(()) } else { skip(FORGOTTEN) }
}

fn closed_entry(stage: &Stage) -> Result {
    let (mut machine, iova) = used(stage)?;
    let open = machine.open_words(FIRST)?;
    let [_, attributes] = open;
    machine.set_stream(FIRST, [abort_word(), attributes])?;
    machine.forget_stream(FIRST)?;
    check!(!machine.reaches(stage, iova, TARGET)?);
    machine.set_stream(FIRST, open)?;
    let opened = machine.reaches(stage, iova, TARGET)?;
    machine.silent()?;
    let stream = machine.stream(FIRST)?;
    machine.issue(&[Command::ConfigStream { stream, leaf: true }])?;
    check!(machine.reaches(stage, iova, TARGET)?);
    machine.silent()?;
    if opened { skip(FORGOTTEN) } else { Ok(()) }
}

fn context(stage: &Stage) -> Result {
    let (mut machine, iova) = used(stage)?;
    let words = machine.context_with(FIRST, smmu::context::cd::V, 0)?;
    machine.set_context(FIRST, words)?;
    let kept = still(stage, &mut machine, iova, true)?;
    let stream = machine.stream(FIRST)?;
    machine.issue(&[Command::ConfigContext { stream }])?;
    check!(!machine.reaches(stage, iova, TARGET)?);
    machine.recorded(&Record::plain(smmu::EventKind::BadContext, stream))?;
    if kept { Ok(()) } else { skip(FORGOTTEN) }
}

/// Takes the leaf away, sees it stay in use, and forgets it by `commands`.
fn translation(stage: &Stage, commands: fn(u16, u64) -> Command) -> Result {
    let (mut machine, iova) = used(stage)?;
    machine.map(FIRST, AT, 0)?;
    let mut kept = still(stage, &mut machine, iova, true)?;
    let asid = machine.device(FIRST)?.domain.asid as u16;
    // Of another address space, and of another address: nothing changes.
    let other = machine.device(SECOND)?.domain.asid as u16;
    check!(asid != other);
    machine.issue(&[Command::TlbAsid { asid: other }])?;
    machine.issue(&[Command::TlbAddress {
        asid,
        address: iova + 4096,
    }])?;
    kept = still(stage, &mut machine, iova, kept)?;
    machine.issue(&[commands(asid, iova)])?;
    gone(stage, &mut machine, iova)?;
    if kept { Ok(()) } else { skip(FORGOTTEN) }
}

fn by_address(stage: &Stage) -> Result {
    translation(stage, |asid, address| Command::TlbAddress { asid, address })
}

fn by_space(stage: &Stage) -> Result {
    translation(stage, |asid, _| Command::TlbAsid { asid })
}

fn by_range(stage: &Stage) -> Result {
    if !Machine::start(stage)?.features.range_invalidation {
        return skip("this SMMU has no range invalidation");
    }
    // Three pages, of which it is the last.
    translation(stage, |asid, address| Command::TlbRange {
        asid,
        address: address - 2 * 4096,
        num: 2,
        scale: 0,
        level: 3,
    })
}

fn everything(stage: &Stage) -> Result {
    translation(stage, |_, _| Command::TlbAll)
}

fn faults_are_not_kept(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    gone(stage, &mut machine, iova)?;
    machine.map(FIRST, AT, leaf(machine.page(TARGET), true))?;
    check!(machine.reaches(stage, iova, TARGET)?);
    machine.silent()
}

fn another_output(stage: &Stage) -> Result {
    let (mut machine, iova) = used(stage)?;
    machine.map(FIRST, AT, leaf(machine.page(OTHER), true))?;
    let asid = machine.device(FIRST)?.domain.asid as u16;
    machine.issue(&[Command::TlbAddress {
        asid,
        address: iova,
    }])?;
    check!(!machine.reaches(stage, iova, TARGET)?);
    check!(machine.reaches(stage, iova, OTHER)?);
    machine.silent()
}

fn enabling_forgets_nothing(stage: &Stage) -> Result {
    let (mut machine, iova) = used(stage)?;
    machine.map(FIRST, AT, 0)?;
    machine.while_off(cr0::SMMUEN, |_| {})?;
    let kept = still(stage, &mut machine, iova, true)?;
    machine.forget_all()?;
    gone(stage, &mut machine, iova)?;
    if kept { Ok(()) } else { skip(FORGOTTEN) }
}

fn commands_need_the_index(stage: &Stage) -> Result {
    let (mut machine, iova) = used(stage)?;
    machine.map(FIRST, AT, 0)?;
    let before = machine.smmu.read32(CMDQ_PROD);
    // Pushed, but the index that publishes it is written by the sync only.
    check!(
        machine
            .commands
            .push(&mut machine.smmu, Command::TlbAll)
            .is_ok()
    );
    check_eq!(machine.smmu.read32(CMDQ_PROD), before);
    let kept = still(stage, &mut machine, iova, true)?;
    check!(machine.commands.sync(&mut machine.smmu).is_ok());
    gone(stage, &mut machine, iova)?;
    if kept { Ok(()) } else { skip(FORGOTTEN) }
}

pub const CASES: &[Case] = &[
    shows!("caching-open-entry", &["A2", "B3"], open_entry),
    shows!("caching-closed-entry", &["A2"], closed_entry),
    shows!("caching-context", &["A15", "B6"], context),
    shows!("caching-until-tlbi-by-address", &["C5", "C20"], by_address),
    shows!("caching-until-tlbi-by-asid", &["C5", "C7"], by_space),
    shows!("caching-until-tlbi-by-range", &["C22", "C23"], by_range),
    shows!("caching-until-tlbi-of-all", &["B8"], everything),
    shows!("caching-no-faults", &["C3"], faults_are_not_kept),
    shows!("caching-another-output", &["C26"], another_output),
    shows!(
        "caching-enabling-forgets-nothing",
        &["C19"],
        enabling_forgets_nothing
    ),
    shows!(
        "caching-commands-need-the-index",
        &["E3"],
        commands_need_the_index
    ),
];
