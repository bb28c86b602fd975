//! Stream table and context descriptors: what is refused and how it is told.

use edu::Direction;
use iommu::hardware::Hardware;
use smmu::EventKind::{BadContext, BadStream, BadStreamId, ContextFetch, StreamFetch, Translation};
use smmu::Field;
use smmu::context::cd;
use smmu::registers::{IDR0, STRTAB_BASE_CFG, cr0, idr0, strtab};
use smmu::stream::{SPLIT, StreamConfig, level1_descriptor, ste};
use suite::{Case, Result, Stage, check};

use crate::board::ACCESS;
use crate::machine::{FIRST, Got, Machine, SECOND};
use crate::records::{Record, skip};
use crate::shows;
use crate::tables::{leaf, level1_at};

/// Page of the pool that a transfer would reach, and page of the window that it is mapped at.
const TARGET: usize = 3;
const AT: u64 = 5;
/// `IDR0.TTENDIAN`: little-endian tables only.
const LITTLE: u32 = 2;

/// Everything in place for a write to arrive: the case then takes one thing away.
fn ready(stage: &Stage) -> Got<(Machine, u64)> {
    let mut machine = Machine::open(stage)?;
    let output = machine.page(TARGET);
    machine.map(FIRST, AT, leaf(output, true))?;
    let iova = machine.iova(AT)?;
    Ok((machine, iova))
}

/// Fails unless a write is refused with this record, and arrives nowhere.
fn refused(stage: &Stage, machine: &mut Machine, iova: u64, record: &Record) -> Result {
    check!(!machine.reaches(stage, iova, TARGET)?);
    machine.recorded(record)
}

fn open_stream(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    check!(machine.reaches(stage, iova, TARGET)?);
    machine.silent()
}

fn abort_is_silent(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    let attributes = smmu::stream::attributes_word(true, false);
    // The undefined configurations abort like the defined one (section 5.2).
    for config in 0..4 {
        let word = ste::V.put(1) | ste::CONFIG.put(config);
        machine.set_stream(FIRST, [word, attributes])?;
        machine.forget_stream(FIRST)?;
        check!(!machine.reaches(stage, iova, TARGET)?);
        machine.silent()?;
    }
    Ok(())
}

fn stream_beyond_the_table(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    let stream = machine.stream(FIRST)?;
    check!(stream >> SPLIT != 0);
    let before = machine.smmu.read32(STRTAB_BASE_CFG);
    let small = before & !(strtab::LOG2SIZE.mask() as u32) | strtab::LOG2SIZE.put32(SPLIT);
    machine.while_off(cr0::SMMUEN, |machine| {
        machine.smmu.write32(STRTAB_BASE_CFG, small);
    })?;
    machine.forget_stream(FIRST)?;
    refused(
        stage,
        &mut machine,
        iova,
        &Record::plain(BadStreamId, stream),
    )
}

fn no_second_level(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    let stream = machine.stream(FIRST)?;
    let at = level1_at(&machine.entry, stream);
    machine.store(at, 0);
    machine.forget_stream(FIRST)?;
    refused(
        stage,
        &mut machine,
        iova,
        &Record::plain(BadStreamId, stream),
    )
}

fn second_level_nowhere(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    let stream = machine.stream(FIRST)?;
    let at = level1_at(&machine.entry, stream);
    let array = machine.nowhere;
    machine.store(at, level1_descriptor(array));
    machine.forget_stream(FIRST)?;
    let slot = u64::from(stream & ((1 << SPLIT) - 1));
    let record = Record {
        fetch: array + slot * smmu::stream::STE_BYTES,
        ..Record::plain(StreamFetch, stream)
    };
    refused(stage, &mut machine, iova, &record)
}

fn invalid_stream(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    let [word, attributes] = machine.open_words(FIRST)?;
    machine.set_stream(FIRST, [word & !ste::V.mask(), attributes])?;
    machine.forget_stream(FIRST)?;
    let record = Record::plain(BadStream, machine.stream(FIRST)?);
    refused(stage, &mut machine, iova, &record)
}

fn stall_bit(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    if machine.features.stall_model == 0 {
        return skip("this SMMU can stall, so that the bit is legal");
    }
    let [word, attributes] = machine.open_words(FIRST)?;
    machine.set_stream(FIRST, [word, attributes | ste::S1STALLD.put(1)])?;
    machine.forget_stream(FIRST)?;
    let record = Record::plain(BadStream, machine.stream(FIRST)?);
    refused(stage, &mut machine, iova, &record)
}

fn absent_stage(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    if machine.features.stage2 {
        return skip("this SMMU has stage 2");
    }
    let record = Record::plain(BadStream, machine.stream(FIRST)?);
    for config in [StreamConfig::Stage2, StreamConfig::Nested] {
        let [word, attributes] = machine.open_words(FIRST)?;
        let word = word & !ste::CONFIG.mask() | ste::CONFIG.put(config as u64);
        machine.set_stream(FIRST, [word, attributes])?;
        machine.forget_stream(FIRST)?;
        refused(stage, &mut machine, iova, &record)?;
    }
    Ok(())
}

fn context_nowhere(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    let context = machine.nowhere;
    let words = machine.stream_words(context);
    machine.set_stream(FIRST, words)?;
    machine.forget_stream(FIRST)?;
    let record = Record {
        fetch: context,
        ..Record::plain(ContextFetch, machine.stream(FIRST)?)
    };
    refused(stage, &mut machine, iova, &record)
}

/// Fails unless the context descriptor with one field changed is refused.
fn bad_context(stage: &Stage, field: Field, value: u64) -> Result {
    let (mut machine, iova) = ready(stage)?;
    let words = machine.context_with(FIRST, field, value)?;
    check!(words != machine.context_words(FIRST)?);
    machine.set_context(FIRST, words)?;
    machine.forget_stream(FIRST)?;
    let record = Record::plain(BadContext, machine.stream(FIRST)?);
    refused(stage, &mut machine, iova, &record)?;
    // It was this field.
    let words = machine.context_words(FIRST)?;
    machine.set_context(FIRST, words)?;
    machine.forget_stream(FIRST)?;
    check!(machine.reaches(stage, iova, TARGET)?);
    machine.silent()
}

fn invalid_context(stage: &Stage) -> Result {
    bad_context(stage, cd::V, 0)
}

fn tables_of_another_format(stage: &Stage) -> Result {
    bad_context(stage, cd::AA64, 0)
}

fn faults_that_do_not_abort(stage: &Stage) -> Result {
    let mut machine = Machine::start(stage)?;
    if !idr0::TERM_MODEL.is_set32(machine.smmu.read32(IDR0)) {
        return skip("this SMMU may complete refused accesses as if they were done");
    }
    bad_context(stage, cd::A, 0)
}

fn faults_that_stall(stage: &Stage) -> Result {
    let machine = Machine::start(stage)?;
    if machine.features.stall_model != 1 {
        return skip("this SMMU can stall");
    }
    bad_context(stage, cd::S, 1)
}

fn big_endian_tables(stage: &Stage) -> Result {
    let mut machine = Machine::start(stage)?;
    if idr0::TTENDIAN.get32(machine.smmu.read32(IDR0)) != LITTLE {
        return skip("this SMMU walks big-endian tables");
    }
    bad_context(stage, cd::ENDI, 1)
}

fn input_size_out_of_range(stage: &Stage) -> Result {
    // 16 to 39 are the sizes of a table with 4 KiB granule (section 5.4, T0SZ).
    bad_context(stage, cd::T0SZ, 40)
}

fn other_streams_go_on(stage: &Stage) -> Result {
    let (mut machine, iova) = ready(stage)?;
    machine.open_stream(SECOND)?;
    let [word, attributes] = machine.open_words(FIRST)?;
    machine.set_stream(FIRST, [word & !ste::V.mask(), attributes])?;
    machine.forget_stream(FIRST)?;
    // Nothing is mapped for the second device: its access is told of, with its own StreamID.
    let second = machine.device(SECOND)?;
    let (stream, there) = (second.stream.stream_id, second.domain.iova_base);
    second
        .board
        .transfer(stage, Direction::ToMemory, there, ACCESS)?;
    machine.recorded(&Record::write(Translation, stream, there))?;
    let record = Record::plain(BadStream, machine.stream(FIRST)?);
    refused(stage, &mut machine, iova, &record)
}

pub const CASES: &[Case] = &[
    shows!("open-stream", &["B12"], open_stream),
    shows!("abort-is-silent", &["B12"], abort_is_silent),
    shows!(
        "bad-streamid-beyond-the-table",
        &["A4"],
        stream_beyond_the_table
    ),
    shows!("bad-streamid-no-second-level", &["B1"], no_second_level),
    shows!("ste-fetch-nowhere", &["A20"], second_level_nowhere),
    shows!("bad-ste-invalid", &["B12"], invalid_stream),
    shows!("bad-ste-stall-bit", &["A19"], stall_bit),
    shows!("bad-ste-absent-stage", &["A19"], absent_stage),
    shows!("cd-fetch-nowhere", &["A20"], context_nowhere),
    shows!("bad-cd-invalid", &["A13"], invalid_context),
    shows!("bad-cd-table-format", &["A19"], tables_of_another_format),
    shows!("bad-cd-no-abort", &["D6"], faults_that_do_not_abort),
    shows!("bad-cd-stall", &["D6"], faults_that_stall),
    shows!("bad-cd-big-endian", &["A19"], big_endian_tables),
    shows!("bad-cd-input-size", &["D1"], input_size_out_of_range),
    shows!("bad-ste-of-one-stream-only", &["B3"], other_streams_go_on),
];
