//! The planned system that histories run in: its records, and the table memory the build step would
//! have written.

use plan::iommu::{
    DeviceEntry, DomainEntry, DomainKind, Invalidation, PERMANENT_MARK, PermanentEntry,
    PermanentKind, PoolEntry, SmmuEntry, StreamEntry,
};
use plan::{Builder, NONE, Name};
use smmu::ContextDescriptor;
use smmu::stream::{StreamTableEntry, level1_descriptor, stage1_word};
use vmsa::{
    AddressSpace, Arena, Attributes, Blocks, Granule, Half, MAIR, Memory as MemoryType,
    Permissions, Regime, Tables,
};
use zerocopy::FromZeros;

use crate::{Chooser, Features, Memory};

/// Physical address of the SMMU's table memory: both halves of a word that leads there matter.
pub const TABLES: u64 = 0x5_4800_0000;
/// Bytes of it.
pub const TABLES_LEN: usize = 0x4_0000;
/// Index of the task that audits devices it does not own.
pub const AUDITOR: usize = 3;
/// Drivers.
pub const DRIVERS: [usize; 3] = [4, 5, 6];
/// The client that lends memory to drivers.
pub const CLIENT: usize = 7;
/// Tasks in all.
pub const TASKS: usize = 8;
/// Memory that is nobody's pool.
pub const FOREIGN: u64 = 0x4000_0000;
/// StreamIDs, the last one planned for no device.
pub const STREAMS: [u32; 9] = [
    0x100, 0x108, 0x200, 0x208, 0x300, 0x320, 0x328, 0x110, 0x310,
];
/// Where windows begin.
pub const WINDOW: u64 = 0x1_0000_0000;

/// One device of the plan.
pub struct Planned {
    /// Who may claim it, or [`NONE`].
    pub owner: u32,
    /// Its domain, or [`NONE`].
    pub domain: u32,
    /// Its streams.
    pub streams: &'static [u32],
    /// Devices that are reset with it.
    pub reset_unit: u32,
    /// It has a direct region.
    pub standing: bool,
}

/// Devices, by number: a bridge, a device alone, two of owners that trust each
/// other and share two StreamIDs, one with blocks, a second one of the
/// first owner, one that nobody may use, one with a direct region, one of a persistent domain,
/// one that bypasses.
pub const DEVICES: [Planned; 10] = [
    Planned {
        owner: NONE,
        domain: NONE,
        streams: &[],
        reset_unit: 0,
        standing: false,
    },
    Planned {
        owner: 4,
        domain: 0,
        streams: &[0x100],
        reset_unit: 1,
        standing: false,
    },
    Planned {
        owner: 5,
        domain: 1,
        streams: &[0x200, 0x208],
        reset_unit: 2,
        standing: false,
    },
    Planned {
        owner: 6,
        domain: 1,
        streams: &[0x200, 0x208],
        reset_unit: 2,
        standing: false,
    },
    Planned {
        owner: 6,
        domain: 2,
        streams: &[0x300],
        reset_unit: 3,
        standing: false,
    },
    Planned {
        owner: 4,
        domain: 3,
        streams: &[0x108],
        reset_unit: 4,
        standing: false,
    },
    Planned {
        owner: NONE,
        domain: NONE,
        streams: &[0x310],
        reset_unit: 5,
        standing: false,
    },
    Planned {
        owner: 5,
        domain: 4,
        streams: &[0x320],
        reset_unit: 6,
        standing: true,
    },
    Planned {
        owner: 5,
        domain: 5,
        streams: &[0x328],
        reset_unit: 7,
        standing: false,
    },
    Planned {
        owner: 4,
        domain: BYPASS,
        streams: &[0x110],
        reset_unit: 8,
        standing: false,
    },
];

/// The domain whose devices are not translated.
const BYPASS: u32 = 6;

/// What the build step maps for good.
pub const PERMANENT: [PermanentEntry; 2] = [
    PermanentEntry {
        domain: 4,
        kind: PermanentKind::Direct as u32,
        task: NONE,
        pool: 0,
        iova: 0x7000_0000,
        pa: 0x7000_0000,
        len: 0x2000,
        memory: MemoryType::NormalWriteBack as u32,
        reserved: 0,
    },
    PermanentEntry {
        domain: 5,
        kind: PermanentKind::Persistent as u32,
        task: 5,
        pool: 0,
        iova: WINDOW,
        pa: 0x5020_0000,
        len: 16 * 4096,
        memory: MemoryType::NormalWriteBack as u32,
        reserved: 0,
    },
];

/// Pools: task, number in it, physical address, bytes.
pub const POOLS: [(usize, u32, u64, u64); 5] = [
    (4, 0, 0x5000_0000, 24 * 4096),
    (4, 1, 0x5010_0000, 8 * 4096),
    (5, 0, 0x5020_0000, 16 * 4096),
    (6, 0, 0x6000_0000, 6 << 20),
    (CLIENT, 0, 0x5030_0000, 16 * 4096),
];

/// Pages and blocks of each domain's window.
const WINDOWS: [(u64, u64); 7] = [
    (512, 0),
    (512, 0),
    (512, 3),
    (512, 0),
    (512, 0),
    (512, 0),
    (512, 0),
];
const LEVEL1: u64 = 0;
const ARRAYS: [(u32, u64); 3] = [(1, 0x4000), (2, 0x8000), (3, 0xc000)];
const CONTEXTS: u64 = 0x1_0000;
const COMMANDS: u64 = 0x1_1000;
const EVENTS: u64 = 0x1_2000;
/// Offset of the page tables, which go on to the end.
pub const PAGE_TABLES: u64 = 0x1_8000;

/// The blob of the server and what its offsets are.
pub struct Layout {
    /// Words of the plan's blob.
    pub blob: Vec<u64>,
    /// The SMMU's record.
    pub smmu: SmmuEntry,
    /// The domains' records.
    pub domains: Vec<DomainEntry>,
}

impl Layout {
    /// Pages and blocks of a device's window, or `None` without a domain.
    #[must_use]
    pub fn domain_of(&self, device: usize) -> Option<&DomainEntry> {
        self.domains.get(DEVICES.get(device)?.domain as usize)
    }

    /// Offset and bytes of the command queue.
    #[must_use]
    pub fn command_queue(&self) -> (u64, u64) {
        (self.smmu.command_queue, 16 << self.smmu.command_log2)
    }
}

/// Offset of a stream's entry.
pub(super) fn entry_of(stream: u32) -> u64 {
    let array = ARRAYS
        .iter()
        .find(|&&(bus, _)| bus == stream >> 8)
        .map_or(0, |&(_, at)| at);
    array + u64::from(stream & 0xff) * 64
}

/// Builds plan and tables; queue sizes are chosen, small so that they wrap and overflow. A wrong plan gives
/// all domains one ASID.
#[must_use]
pub fn build(features: &Features, chooser: &mut Chooser, one_asid: bool) -> (Layout, Memory) {
    let mut memory = Memory::new(TABLES, TABLES_LEN);
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
    let domains = domains(&mut memory, features, one_asid);
    for planned in DEVICES.iter().filter(|planned| planned.standing) {
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
    let (devices, streams) = devices();
    let pools = POOLS.map(|(task, pool, pa, len)| PoolEntry {
        task: task as u32,
        pool,
        pa,
        len,
    });
    let mut builder = Builder::new();
    builder
        .push(&[smmu])
        .push(&domains)
        .push(&streams)
        .push(&devices)
        .push(&pools)
        .push(&PERMANENT);
    let blob = builder
        .finish()
        .chunks_exact(8)
        .map(|bytes| {
            bytes
                .iter()
                .rev()
                .fold(0, |word, &byte| word << 8 | u64::from(byte))
        })
        .collect();
    (
        Layout {
            blob,
            smmu,
            domains,
        },
        memory,
    )
}

const NAMES: [&str; DEVICES.len()] = [
    "bridge", "disk", "left", "right", "big", "second", "spare", "display", "network", "raw",
];

/// Whether a stream translates in the image.
#[must_use]
pub fn stands(stream: u32) -> bool {
    let mut devices = DEVICES.iter();
    devices.any(|planned| planned.standing && planned.streams.contains(&stream))
}

/// The pool that the build step has mapped for a device.
#[must_use]
pub fn pool_of(device: usize) -> Option<&'static PermanentEntry> {
    let planned = DEVICES.get(device)?;
    let mut ranges = PERMANENT.iter();
    ranges.find(|range| {
        range.domain == planned.domain && range.kind == PermanentKind::Persistent as u32
    })
}

/// Whether a device is not translated.
#[must_use]
pub fn bypasses(device: usize) -> bool {
    DEVICES
        .get(device)
        .is_some_and(|planned| planned.domain == BYPASS)
}

fn devices() -> (Vec<DeviceEntry>, Vec<StreamEntry>) {
    let mut streams = Vec::new();
    let mut devices = Vec::new();
    for (index, device) in DEVICES.iter().enumerate() {
        devices.push(DeviceEntry {
            name: Name::new(NAMES[index]),
            domain: device.domain,
            owner: device.owner,
            streams: streams.len() as u32,
            stream_count: device.streams.len() as u32,
            group: device.reset_unit,
            reset_unit: device.reset_unit,
            pins: 4,
            standing: u32::from(device.standing),
            non_pci: 0,
            reserved: 0,
            auditors: 1 << AUDITOR,
        });
        streams.extend(device.streams.iter().map(|&stream_id| StreamEntry {
            stream_id,
            smmu: 0,
            entry: entry_of(stream_id),
            standing: u32::from(stands(stream_id)),
            reserved: 0,
        }));
    }
    (devices, streams)
}

fn domains(memory: &mut Memory, features: &Features, one_asid: bool) -> Vec<DomainEntry> {
    let mut words = vec![0; (TABLES_LEN - PAGE_TABLES as usize) / 8];
    let mut arena = Arena::new(&mut words, TABLES + PAGE_TABLES);
    let mut domains = Vec::new();
    for (index, (pages, blocks)) in WINDOWS.into_iter().enumerate() {
        let context = CONTEXTS + index as u64 * 64;
        let asid = if one_asid { 1 } else { index as u32 + 1 };
        let domain = domain(&mut arena, index as u32, asid, context, pages, blocks);
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

fn domain(
    arena: &mut Arena<'_>,
    index: u32,
    asid: u32,
    context: u64,
    pages: u64,
    blocks: u64,
) -> DomainEntry {
    let build = |arena: &mut Arena<'_>| {
        let space = AddressSpace::new(arena, Granule::Size4K, 39, Half::Lower)?;
        let block_base = WINDOW + (pages << 12);
        space.link(arena, WINDOW, (pages << 12) + (blocks << 21), 2)?;
        space.link(arena, WINDOW, pages << 12, 3)?;
        for range in PERMANENT.iter().filter(|range| range.domain == index) {
            let (memory, rights) = (MemoryType::NormalWriteBack, Permissions::ReadWrite);
            let attributes = Attributes::new(Regime::Device, memory, rights)
                .map_err(|_| vmsa::MapError::OutputRange)?
                .marked(PERMANENT_MARK);
            let (iova, pa, len) = (range.iova, range.pa, range.len);
            space.map(arena, iova, pa, len, attributes, Blocks::Never)?;
        }
        let place = |input, level| space.entry(arena, input, level).map_or(0, |at| at - TABLES);
        let block_entries = if blocks > 0 { place(block_base, 2) } else { 0 };
        let persistent = PERMANENT
            .iter()
            .any(|range| range.domain == index && range.kind == PermanentKind::Persistent as u32);
        let invalidation = if persistent {
            Invalidation::Persistent
        } else {
            Invalidation::Strict
        };
        if index == BYPASS {
            return Ok(DomainEntry {
                kind: DomainKind::Bypass as u32,
                asid,
                context,
                root: space.root() - TABLES,
                snoops: 1,
                ..DomainEntry::new_zeroed()
            });
        }
        Ok::<_, vmsa::MapError>(DomainEntry {
            kind: DomainKind::Dma as u32,
            smmu: 0,
            asid,
            invalidation: invalidation as u32,
            context,
            root: space.root() - TABLES,
            leaf: place(WINDOW, 3),
            iova_base: WINDOW,
            pages,
            block_entries,
            block_base,
            blocks,
            snoops: 1,
            reserved: 0,
        })
    };
    match build(arena) {
        Ok(domain) => domain,
        Err(error) => panic!("the harness's own tables: {error:?}"),
    }
}
