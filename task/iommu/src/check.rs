//! Comparing the hardware and the image's tables with the plan before the SMMU is turned on.

use plan::iommu::{DomainEntry, DomainKind, SmmuEntry, StreamEntry};
use smmu::command::COMMAND_BYTES;
use smmu::context::CD_WORDS;
use smmu::event::EVENT_BYTES;
use smmu::stream::{
    SPLIT, STE_BYTES, STE_WORDS, abort_word, attributes_word, bypass_attributes_word,
    level1_decode, stall_disable,
};
use smmu::{ContextDescriptor, Features};
use vmsa::{Descriptor, Granule};

use crate::boot_refusal::Refusal;
use crate::hardware::Hardware;
use crate::indices::{DeviceIndex, SmmuIndex};
use crate::plan_view::PlanView;
use crate::premapped;

/// One above the last address of any window: a level-1 table translates no more.
const WINDOWS_END: u64 = 1 << 39;

/// Refuses an SMMU that lacks what this server builds on.
pub fn features(features: &Features, entry: &SmmuEntry) -> Result<(), Refusal> {
    let conditions = [
        (features.stage1, Refusal::NoStage1),
        (
            features.aarch64_tables && features.granule_4k && features.little_endian,
            Refusal::NoTables,
        ),
        (
            features.coherent && entry.coherent == 1,
            Refusal::NotCoherent,
        ),
        (features.stall_model != 2, Refusal::StallOnly),
        (features.two_level_streams, Refusal::NoTwoLevelStreams),
        (
            !features.tables_preset && !features.queues_preset,
            Refusal::PresetBases,
        ),
        (
            entry.stream_log2 > SPLIT
                && entry.stream_log2 <= features.stream_bits
                && entry.stream_split == SPLIT,
            Refusal::StreamBits,
        ),
        (
            // A batch of four commands has to fit whatever was queued before it.
            entry.command_log2 >= 3
                && entry.command_log2 <= features.command_log2
                && entry.event_log2 >= 1
                && entry.event_log2 <= features.event_log2,
            Refusal::QueueSize,
        ),
    ];
    match conditions.iter().find(|(holds, _)| !holds) {
        Some(&(_, why)) => Err(why),
        None => Ok(()),
    }
}

/// Whether the tables lie where the plan says, aligned as their base registers force them to be
/// (§6.3.24, §6.3.26), and within the addresses the SMMU can reach.
pub fn memory(entry: &SmmuEntry, features: &Features) -> Result<(), Refusal> {
    let level1_bytes = 8u64
        .checked_shl(entry.stream_log2.saturating_sub(SPLIT))
        .ok_or(Refusal::TableMemory)?;
    let runs = [
        (entry.stream_l1, level1_bytes.max(64)),
        (entry.command_queue, COMMAND_BYTES << entry.command_log2),
        (entry.event_queue, EVENT_BYTES << entry.event_log2),
    ];
    let aligned = runs.iter().all(|&(offset, bytes)| {
        inside(entry, offset, bytes) && (entry.tables_pa + offset).is_multiple_of(bytes)
    });
    let end = entry.tables_pa.checked_add(entry.tables_len);
    let reachable = end.is_some_and(|end| end >> features.output_bits.min(63) == 0);
    if aligned && reachable {
        Ok(())
    } else {
        Err(Refusal::TableMemory)
    }
}

fn inside(entry: &SmmuEntry, offset: u64, bytes: u64) -> bool {
    offset
        .checked_add(bytes)
        .is_some_and(|end| end <= entry.tables_len)
}

/// Checks the stream tables and gives planned entries the attributes that this SMMU needs. Every entry that a
/// StreamID reaches must abort, or be that of an always-open stream and translate through its domain's context
/// descriptor. Each planned stream's entry must be where the plan says.
///
/// An always-open stream may abort too: an earlier life held it back and died before the SMMU was on. Which of the two it
/// does from now on [`always_open_streams`] decides.
pub fn stream_tables<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    features: &Features,
) -> Result<(), Refusal> {
    let entry = plan.smmu(index);
    each_entry(hardware, entry, |hardware, at| {
        let word = hardware.load(at);
        let good = word == abort_word() || always_open_word(plan, index, at) == Some(word);
        good.then_some(()).ok_or(Refusal::StreamTable)
    })?;
    for stream in plan.streams_to(index) {
        placed(hardware, entry, stream)?;
        let mut others = (2..STE_WORDS as u64).map(|word| hardware.load(stream.entry + word * 8));
        if others.any(|word| word != 0) {
            return Err(Refusal::StreamTable);
        }
        let word = planned_attributes(plan, index, stream.entry, features);
        hardware.store(stream.entry + 8, word);
    }
    Ok(())
}

/// Lets always-open streams translate, but those of devices that are not what the plan says. What shares a stream with one
/// of these begins closed too. Only for an SMMU that is off.
pub fn always_open_streams<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    may_be_always_open: impl Fn(DeviceIndex) -> bool,
) {
    let held_back = |at: u64| {
        let mut devices = plan.indexed_devices();
        devices.any(|(number, device)| {
            let uses = plan.stream_at(device, index, at).is_some();
            device.always_open == 1 && uses && !may_be_always_open(number)
        })
    };
    for stream in plan.streams_to(index) {
        if let Some(word) = always_open_word(plan, index, stream.entry) {
            let closed = held_back(stream.entry);
            hardware.store(stream.entry, if closed { abort_word() } else { word });
        }
    }
}

/// Visits every entry that any StreamID reaches.
pub(crate) fn each_entry<H: Hardware>(
    hardware: &mut H,
    smmu: &SmmuEntry,
    mut visit: impl FnMut(&mut H, u64) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for bus in 0..1u64 << (smmu.stream_log2 - SPLIT) {
        let Some((array, entries)) = level1_decode(hardware.load(smmu.stream_l1 + bus * 8)) else {
            continue;
        };
        let offset = array
            .checked_sub(smmu.tables_pa)
            .ok_or(Refusal::StreamTable)?;
        // QEMU takes twice the entries of a descriptor's span: only full arrays are safe.
        if entries != 1 << SPLIT || !inside(smmu, offset, u64::from(entries) * STE_BYTES) {
            return Err(Refusal::StreamTable);
        }
        for stream in 0..u64::from(entries) {
            visit(hardware, offset + stream * STE_BYTES)?;
        }
    }
    Ok(())
}

/// Checks that a planned stream's entry is where the plan says.
pub(crate) fn placed<H: Hardware>(
    hardware: &mut H,
    smmu: &SmmuEntry,
    stream: &StreamEntry,
) -> Result<(), Refusal> {
    let bus = u64::from(stream.stream_id >> SPLIT);
    let slot = u64::from(stream.stream_id & ((1 << SPLIT) - 1));
    let in_range = u64::from(stream.stream_id) >> smmu.stream_log2 == 0;
    let array = level1_decode(hardware.load(smmu.stream_l1 + bus * 8));
    let found = array.map(|(array, _)| array + slot * STE_BYTES);
    let planned = in_range && found == Some(smmu.tables_pa + stream.entry);
    planned.then_some(()).ok_or(Refusal::StreamTable)
}

/// Word 1 of the planned entry at an offset, for this SMMU.
pub(crate) fn planned_attributes(
    plan: &PlanView<'_>,
    index: SmmuIndex,
    at: u64,
    features: &Features,
) -> u64 {
    let passes = if bypasses(plan, index, at) {
        bypass_attributes_word(features)
    } else {
        0
    };
    attributes_word(true, stall_disable(features)) | passes
}

/// Whether a device that is not translated has the entry at an offset. What passes untranslated keeps its
/// attributes by fields of word 1 that stage 1 does not look at, so that an alternative of the same hotplug slot
/// can be translated.
fn bypasses(plan: &PlanView<'_>, index: SmmuIndex, at: u64) -> bool {
    plan.devices
        .iter()
        .any(|device| plan.bypasses(device) && plan.stream_at(device, index, at).is_some())
}

/// Word 0 of the entry at an offset in the image, if the entry is that of an always-open stream.
fn always_open_word(plan: &PlanView<'_>, index: SmmuIndex, at: u64) -> Option<u64> {
    let mut devices = plan.devices.iter();
    devices.find_map(|device| {
        let stream = plan.stream_at(device, index, at)?;
        (stream.always_open == 1)
            .then(|| plan.open_word(device))
            .flatten()
    })
}

/// Checks the context descriptor and the page tables of every domain that can be used: the links of its
/// window, and that nothing is mapped but what the build step has to map.
pub fn domains<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    features: &Features,
) -> Result<(), Refusal> {
    let entry = plan.smmu(index);
    let memory_end = plan
        .pools
        .iter()
        .map(|pool| pool.pa.saturating_add(pool.len))
        .chain(plan.premapped.iter().map(|range| range.pa + range.len))
        .fold(entry.tables_pa + entry.tables_len, u64::max);
    for (number, domain) in plan.indexed_domains() {
        if SmmuIndex::of(domain) != index || domain.kind == DomainKind::Blocked as u32 {
            continue;
        }
        if !features.asid16 && domain.asid > 0xff {
            return Err(Refusal::AsidBits);
        }
        let input_bits = context(hardware, entry, domain, features, memory_end)?;
        if domain.kind == DomainKind::Dma as u32 {
            links(hardware, entry, domain, input_bits)?;
        }
        premapped::check(
            hardware,
            entry,
            domain,
            plan.premapped_of(number),
            input_bits,
        )?;
    }
    Ok(())
}

/// Compares a context descriptor; narrows its output size to the SMMU's if memory allows. Gives the
/// input bits.
fn context<H: Hardware>(
    hardware: &mut H,
    entry: &SmmuEntry,
    domain: &DomainEntry,
    features: &Features,
    memory_end: u64,
) -> Result<u32, Refusal> {
    let mut found = descriptor(hardware, entry, domain)?;
    if found.output_bits > features.output_bits {
        found.output_bits = features.output_bits;
        for (word, at) in found.encode().iter().zip((domain.context..).step_by(8)) {
            hardware.store(at, *word);
        }
    }
    if found.output_bits == 0 || memory_end >> found.output_bits.min(63) != 0 {
        return Err(Refusal::OutputSize);
    }
    if !found.legal(features) {
        return Err(Refusal::ContextDescriptor);
    }
    Ok(found.input_bits)
}

/// The context descriptor of a domain, if it leads to the planned tables in the planned way.
pub(crate) fn descriptor<H: Hardware>(
    hardware: &mut H,
    entry: &SmmuEntry,
    domain: &DomainEntry,
) -> Result<ContextDescriptor, Refusal> {
    if !inside(entry, domain.context, 64) || !domain.context.is_multiple_of(64) {
        return Err(Refusal::ContextDescriptor);
    }
    let mut words = [0; CD_WORDS];
    for (word, at) in words.iter_mut().zip((domain.context..).step_by(8)) {
        *word = hardware.load(at);
    }
    let found = ContextDescriptor::decode(&words).ok_or(Refusal::ContextDescriptor)?;
    let planned = found.root == entry.tables_pa + domain.root
        && u32::from(found.asid) == domain.asid
        && found.mair == vmsa::MAIR
        && found.coherent;
    planned.then_some(found).ok_or(Refusal::ContextDescriptor)
}

/// Checks that the page part's leaf tables and the block part's entries are what a walk from the root
/// reaches, so that storing at an index is storing at an IOVA.
pub(crate) fn links<H: Hardware>(
    hardware: &mut H,
    entry: &SmmuEntry,
    domain: &DomainEntry,
    input_bits: u32,
) -> Result<(), Refusal> {
    let bad = Refusal::PageTables;
    let next = |hardware: &mut H, at: u64, level: u32| -> Result<u64, Refusal> {
        match Descriptor::decode(Granule::Size4K, level, hardware.load(at)) {
            Descriptor::Table { next } => {
                let offset = next.checked_sub(entry.tables_pa).ok_or(bad)?;
                inside(entry, offset, 4096).then_some(offset).ok_or(bad)
            }
            _ => Err(bad),
        }
    };
    let granule_2m = 1u64 << 21;
    let span = |base: u64, count: u64, shift: u32| -> Result<(), Refusal> {
        let end = count
            .checked_mul(1 << shift)
            .and_then(|bytes| base.checked_add(bytes))
            .ok_or(bad)?;
        let whole = base.is_multiple_of(granule_2m) && end <= WINDOWS_END;
        let whole = whole && end <= 1 << input_bits;
        whole.then_some(()).ok_or(bad)
    };
    span(domain.iova_base, domain.pages, 12)?;
    span(domain.block_base, domain.blocks, 21)?;
    // A window is below the first entry of a root that has a level more.
    let level1 = match Granule::Size4K.root_level(input_bits) {
        1 => domain.root,
        0 => next(hardware, domain.root, 0)?,
        _ => return Err(bad),
    };
    let root_at = |iova: u64| level1 + (iova >> 30) * 8;
    for table in 0..domain.pages / 512 {
        let iova = domain.iova_base + table * granule_2m;
        let level2 = next(hardware, root_at(iova), 1)?;
        let leaf = next(hardware, level2 + (iova >> 21 & 511) * 8, 2)?;
        if leaf != domain.leaf + table * 4096 {
            return Err(bad);
        }
    }
    for block in 0..domain.blocks {
        let iova = domain.block_base + block * granule_2m;
        let level2 = next(hardware, root_at(iova), 1)?;
        if level2 + (iova >> 21 & 511) * 8 != domain.block_entries + block * 8 {
            return Err(bad);
        }
    }
    if domain.pages.is_multiple_of(512) {
        Ok(())
    } else {
        Err(bad)
    }
}
