//! What the build step would have written for a machine.

use plan::iommu::{
    DeviceEntry, DomainEntry, DomainKind, Invalidation, LentPoolEntry, PREMAPPED_MARK, PoolEntry,
    PremappedKind, SmmuEntry, StreamEntry,
};
use plan::{Builder, Name, TaskLists};
use smmu::ContextDescriptor;
use smmu::stream::{StreamTableEntry, level1_descriptor, stage1_word};
use vmsa::{
    AddressSpace, Arena, Attributes, Blocks, Granule, Half, MAIR, Memory as MemoryType,
    Permissions, Regime, Tables,
};
use zerocopy::FromZeros;

use super::{
    ARRAYS, AUDITOR, CLIENT, COMMANDS, CONTEXTS, EVENTS, LAZY_MS, LENT_PAGES, LEVEL1, Layout,
    Machine, PAGE_TABLES, POOLS, TABLES, TABLES_LEN, WINDOW, Window, entry_of, is_lent_to,
};
use smmu_model::{Chooser, Features, Memory};

/// What is wrong with a plan on purpose.
#[derive(Clone, Copy, Default, Debug)]
pub struct Faults {
    /// All domains have one ASID.
    pub one_asid: bool,
    /// Pages that the client lends beyond those that it should.
    pub lends_beyond: u64,
}

/// Builds plan and tables of a machine; queue sizes are chosen, small so that they wrap and overflow.
/// `faults` are those of a wrong plan.
#[must_use]
pub fn build(
    machine: &'static Machine,
    features: &Features,
    chooser: &mut Chooser,
    faults: Faults,
) -> (Layout, Memory) {
    let mut memory = Memory::new(TABLES, TABLES_LEN);
    stream_tables(&mut memory);
    let domains = domains(machine, &mut memory, features, faults.one_asid);
    for planned in machine.devices.iter().filter(|planned| planned.always_open) {
        let context = domains[planned.domain as usize].context;
        for &stream in planned.streams {
            let word = stage1_word(TABLES + context);
            memory.preset(TABLES + entry_of(stream), word);
        }
    }
    let smmu = SmmuEntry {
        name: Name::new("smmu"),
        registers_va: 0,
        tables_va: 0,
        tables_pa: TABLES,
        tables_len: TABLES_LEN as u64,
        stream_l1: LEVEL1,
        stream_log2: 16,
        stream_split: 8,
        command_queue: COMMANDS,
        event_queue: EVENTS,
        command_log2: 3 + chooser.below(3) as u32,
        event_log2: 2 + chooser.below(3) as u32,
        event_interrupt: 1 << 16,
        error_interrupt: 1 << 17,
        coherent: 1,
        address_bits: 40,
        refuse_on_mismatch: 1,
        reserved: 0,
    };
    let blob = records(machine, smmu, &domains, LENT_PAGES + faults.lends_beyond);
    let layout = Layout {
        machine,
        blob,
        smmu,
        domains,
    };
    (layout, memory)
}

fn stream_tables(memory: &mut Memory) {
    let entry = StreamTableEntry::abort(true).0;
    for (bus, array) in ARRAYS {
        memory.preset(
            TABLES + LEVEL1 + u64::from(bus) * 8,
            level1_descriptor(TABLES + array),
        );
        for stream in 0..256 {
            for (word, &value) in entry.iter().enumerate() {
                memory.preset(TABLES + array + stream * 64 + word as u64 * 8, value);
            }
        }
    }
}

fn records(
    machine: &Machine,
    smmu: SmmuEntry,
    domains: &[DomainEntry],
    lent_pages: u64,
) -> Vec<u64> {
    let mut lists = TaskLists::default();
    let (devices, streams) = devices(machine, &mut lists);
    let pools = POOLS.map(|(task, pool, pa, len)| PoolEntry {
        task: task as u32,
        pool,
        pa,
        len,
    });
    let driven = machine.devices.iter().zip(0..);
    let lent: Vec<LentPoolEntry> = driven
        .filter(|(planned, _)| is_lent_to(planned))
        .map(|(_, device)| LentPoolEntry {
            device,
            task: CLIENT as u32,
            pool: 0,
            writable: u32::from(device % 3 != 0),
            pages: lent_pages,
        })
        .collect();
    let mut builder = Builder::new();
    builder
        .push(&[smmu])
        .push(domains)
        .push(&streams)
        .push(&devices)
        .push(&pools)
        .push(lists.numbers())
        .push(machine.premapped)
        .push(&lent);
    let bytes = builder.finish();
    let word = |bytes: &[u8]| {
        let bytes = bytes.iter().rev();
        bytes.fold(0, |word, &byte| word << 8 | u64::from(byte))
    };
    bytes.chunks_exact(8).map(word).collect()
}

fn devices(machine: &Machine, lists: &mut TaskLists) -> (Vec<DeviceEntry>, Vec<StreamEntry>) {
    let mut streams = Vec::new();
    let mut devices = Vec::new();
    for device in machine.devices {
        devices.push(DeviceEntry {
            name: Name::new(device.name),
            domain: device.domain,
            owner: device.owner,
            streams: streams.len() as u32,
            stream_count: device.streams.len() as u32,
            group: device.reset_unit,
            reset_unit: device.reset_unit,
            pins: 4,
            always_open: u32::from(device.always_open),
            non_pci: u32::from(device.platform),
            watched: 0,
            auditors: lists.add([AUDITOR]),
        });
        streams.extend(device.streams.iter().map(|&stream_id| StreamEntry {
            stream_id,
            smmu: 0,
            entry: entry_of(stream_id),
            always_open: u32::from(machine.is_always_open(stream_id)),
            reserved: 0,
        }));
    }
    (devices, streams)
}

fn domains(
    machine: &Machine,
    memory: &mut Memory,
    features: &Features,
    one_asid: bool,
) -> Vec<DomainEntry> {
    let mut words = vec![0; (TABLES_LEN - PAGE_TABLES as usize) / 8];
    let mut arena = Arena::new(&mut words, TABLES + PAGE_TABLES);
    let mut domains = Vec::new();
    for index in 0..machine.windows.len() {
        let context = CONTEXTS + index as u64 * 64;
        let asid = if one_asid { 1 } else { index as u32 + 1 };
        let domain = match domain(machine, &mut arena, index, asid, context) {
            Ok(domain) => domain,
            Err(error) => panic!("the harness's own tables: {error:?}"),
        };
        let descriptor = ContextDescriptor {
            root: TABLES + domain.root,
            asid: domain.asid as u16,
            input_bits: 39,
            output_bits: features.output_bits().min(40),
            mair: MAIR,
            coherent: true,
        };
        for (word, value) in descriptor.encode().into_iter().enumerate() {
            memory.preset(TABLES + context + word as u64 * 8, value);
        }
        domains.push(domain);
    }
    let used = arena.end();
    let image: Vec<u64> = (TABLES + PAGE_TABLES..used)
        .step_by(8)
        .map(|address| arena.read(address))
        .collect();
    for (word, value) in image.into_iter().enumerate() {
        memory.preset(TABLES + PAGE_TABLES + word as u64 * 8, value);
    }
    domains
}

/// The tables of one domain, with what is mapped for good.
fn domain(
    machine: &Machine,
    arena: &mut Arena<'_>,
    index: usize,
    asid: u32,
    context: u64,
) -> Result<DomainEntry, vmsa::MapError> {
    let space = AddressSpace::new(arena, Granule::Size4K, 39, Half::Lower)?;
    let Window {
        kind,
        pages,
        blocks,
        lazy,
    } = machine.windows[index];
    let ranges = machine.premapped.iter();
    let ranges = ranges.filter(|range| range.domain as usize == index);
    let maps = kind == DomainKind::Dma;
    let block_base = WINDOW + (pages << 12);
    if maps {
        space.link(arena, WINDOW, (pages << 12) + (blocks << 21), 2)?;
        space.link(arena, WINDOW, pages << 12, 3)?;
    }
    for range in ranges.clone() {
        let (memory, rights) = (MemoryType::NormalWriteBack, Permissions::ReadWrite);
        let attributes = Attributes::new(Regime::Device, memory, rights)
            .map_err(|_| vmsa::MapError::OutputRange)?
            .marked(PREMAPPED_MARK);
        let (iova, pa, len) = (range.iova, range.pa, range.len);
        space.map(arena, iova, pa, len, attributes, Blocks::Never)?;
    }
    let entry = DomainEntry {
        kind: kind as u32,
        smmu: 0,
        asid,
        context,
        root: space.root() - TABLES,
        snoops: 1,
        ..DomainEntry::new_zeroed()
    };
    if !maps {
        return Ok(entry);
    }
    let place = |input, level| space.entry(arena, input, level).map_or(0, |at| at - TABLES);
    let in_window = |kind: u32| kind == PremappedKind::Pool as u32;
    let invalidation = if ranges.clone().any(|range| in_window(range.kind)) {
        Invalidation::Premapped
    } else if lazy > 0 {
        Invalidation::Lazy
    } else {
        Invalidation::Strict
    };
    Ok(DomainEntry {
        invalidation: invalidation as u32,
        leaf: place(WINDOW, 3),
        iova_base: WINDOW,
        pages,
        block_entries: if blocks > 0 { place(block_base, 2) } else { 0 },
        block_base,
        blocks,
        lazy_pages: lazy as u16,
        lazy_ms: if lazy > 0 { LAZY_MS as u16 } else { 0 },
        ..entry
    })
}
