//! Plans, and the tables that the build step would make for them.
//!
//! Devices: 0 a bridge; 1 `disk` (task 4, stream 0x100); 2 `edu` (task 5, stream 0x008, blocks);
//! 3 and 4 `left` and `right` (tasks 5 and 6), one alias set (stream 0x010); 5 `spare` (task 6), an alternative
//! of `edu` in its slot and so with its stream, absent unless a test says otherwise. In [`always_open_plan`] also 6
//! `display` (task 6, stream 0x018), which has a direct region, and 7 `mate` (task 5), which shares its stream.

use std::vec::Vec;

use abi::TaskId;
use plan::iommu::{
    DeviceEntry, DomainEntry, DomainKind, LentPoolEntry, PREMAPPED_MARK, PoolEntry, PremappedEntry,
    PremappedKind, SmmuEntry, StreamEntry,
};
use plan::{NONE, Name, TaskList, TaskNumber};
use smmu::ContextDescriptor;
use smmu::stream::{StreamTableEntry, level1_descriptor};
use vmsa::{Attributes, Granule, Memory, Permissions, Regime};

use super::super::fake::{Fake, TABLES_LEN, TABLES_PA};
use crate::indices::DeviceIndex;
use crate::plan_view::PlanView;

pub const DISK: u32 = 1;
pub const EDU: u32 = 2;
pub const LEFT: u32 = 3;
pub const RIGHT: u32 = 4;
pub const SPARE: u32 = 5;
pub const DISPLAY: u32 = 6;
pub const MATE: u32 = 7;
/// The direct region: two pages.
pub const DIRECT: u64 = 0x7000_0000;
pub const BASE: u64 = 0x1_0000_0000;
pub const BLOCKS: u64 = BASE + 0x40_0000;
pub const POOL: u64 = 0x5000_0000;
pub const BIG_POOL: u64 = 0x6000_0000;
/// The pool that task 7 may lend to the disk as a whole, but for its last pages.
pub const LENT: u64 = 0x7000_0000;
pub const LENT_PAGES: u32 = 16;

/// A device by its number.
pub fn index(device: u32) -> DeviceIndex {
    DeviceIndex::new(device as usize).unwrap()
}

/// The first life of a task.
pub fn task(index: u8) -> TaskId {
    life(index, 0)
}

pub fn life(index: u8, number: u64) -> TaskId {
    TaskId::new(index, number)
}

/// Offsets in table memory.
const STREAM_L1: u64 = 0;
const ARRAY_0: u64 = 0x4000;
const ARRAY_1: u64 = 0x8000;
const CONTEXTS: u64 = 0xc000;
pub const COMMANDS: u64 = 0xd000;
pub const EVENTS: u64 = 0xe000;
pub const EVENT_LOG2: u32 = 4;

fn leak<T>(values: Vec<T>) -> &'static [T] {
    Vec::leak(values)
}

pub fn domain(index: u64) -> DomainEntry {
    let tables = 0x1_0000 + index * 0x8000;
    DomainEntry {
        kind: DomainKind::Dma as u32,
        smmu: 0,
        asid: index as u32 + 1,
        invalidation: 0,
        context: CONTEXTS + index * 64,
        root: tables,
        leaf: tables + 0x2000,
        iova_base: BASE,
        pages: 1024,
        block_entries: tables + 0x1000 + 2 * 8,
        block_base: BLOCKS,
        blocks: 4,
        snoops: 1,
        lazy_pages: 0,
        lazy_ms: 0,
    }
}

/// Of every device: task 3.
const AUDITORS: TaskList = TaskList { first: 0, count: 1 };

fn device(name: &str, domain: u32, owner: u32, streams: u32, count: u32) -> DeviceEntry {
    DeviceEntry {
        name: Name::new(name),
        domain,
        owner,
        streams,
        stream_count: count,
        group: 0,
        reset_unit: domain,
        pins: 2,
        always_open: 0,
        non_pci: 0,
        watched: 0,
        auditors: AUDITORS,
    }
}

fn stream(stream_id: u32) -> StreamEntry {
    let array = if stream_id >> 8 == 0 {
        ARRAY_0
    } else {
        ARRAY_1
    };
    StreamEntry {
        stream_id,
        smmu: 0,
        entry: array + u64::from(stream_id & 0xff) * 64,
        always_open: 0,
        reserved: 0,
    }
}

pub fn plan() -> PlanView<'static> {
    let pool = |task, pool, pa, len| PoolEntry {
        task,
        pool,
        pa,
        len,
    };
    PlanView {
        smmus: leak(std::vec![SmmuEntry {
            name: Name::new("smmu"),
            registers_va: 0,
            tables_va: 0,
            tables_pa: TABLES_PA,
            tables_len: TABLES_LEN,
            stream_l1: STREAM_L1,
            stream_log2: 16,
            stream_split: 8,
            command_queue: COMMANDS,
            event_queue: EVENTS,
            command_log2: 4,
            event_log2: EVENT_LOG2,
            event_interrupt: 1 << 16,
            error_interrupt: 1 << 17,
            coherent: 1,
            address_bits: 44,
            refuse_on_mismatch: 1,
            reserved: 0,
        }]),
        domains: leak((0..4).map(domain).collect()),
        streams: leak(std::vec![stream(0x100), stream(0x008), stream(0x010)]),
        devices: leak(std::vec![
            device("rp1", NONE, NONE, 0, 0),
            device("disk", 0, 4, 0, 1),
            device("edu", 1, 5, 1, 1),
            device("left", 2, 5, 2, 1),
            device("right", 2, 6, 2, 1),
            device("spare", 3, 6, 1, 1),
        ]),
        pools: leak(std::vec![
            pool(4, 0, POOL, 64 * 4096),
            pool(5, 0, POOL + 0x10_0000, 16 * 4096),
            pool(5, 1, BIG_POOL, 4 << 20),
            pool(6, 0, POOL + 0x20_0000, 16 * 4096),
            pool(7, 0, LENT, 32 * 4096),
        ]),
        lent_pools: leak(std::vec![
            LentPoolEntry {
                device: EDU,
                task: 7,
                pool: 0,
                writable: 0,
                pages: 4,
            },
            LentPoolEntry {
                device: DISK,
                task: 7,
                pool: 0,
                writable: 1,
                pages: u64::from(LENT_PAGES),
            },
        ]),
        premapped: &[],
        numbers: &[TaskNumber { number: 3 }],
    }
}

/// With a device that has a direct region, and one in its alias set that has none.
pub fn always_open_plan() -> PlanView<'static> {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    devices.push(DeviceEntry {
        always_open: 1,
        ..device("display", 4, 6, 3, 1)
    });
    devices.push(device("mate", 4, 5, 3, 1));
    let mut streams = plan.streams.to_vec();
    streams.push(StreamEntry {
        always_open: 1,
        ..stream(0x018)
    });
    plan.devices = leak(devices);
    plan.streams = leak(streams);
    plan.domains = leak((0..5).map(domain).collect());
    plan.premapped = leak(std::vec![PremappedEntry {
        domain: 4,
        kind: PremappedKind::Direct as u32,
        task: NONE,
        pool: 0,
        iova: DIRECT,
        pa: DIRECT,
        len: 0x2000,
        memory: Memory::NormalWriteBack as u32,
        reserved: 0,
    }]);
    plan
}

/// A leaf of the build step.
pub fn premapped_leaf(pa: u64, memory: Memory, permissions: Permissions) -> u64 {
    let attributes = Attributes::new(Regime::Device, memory, permissions).unwrap();
    vmsa::leaf(Granule::Size4K, 3, pa, attributes.marked(PREMAPPED_MARK))
}

/// Whether a level-1 table does not reach it.
fn is_far(range: &PremappedEntry) -> bool {
    range.iova >> 39 != 0
}

/// The image's tables.
pub fn tables(plan: &PlanView<'_>) -> Fake {
    let mut fake = Fake::new();
    for (bus, array) in [(0, ARRAY_0), (1, ARRAY_1)] {
        fake.put(STREAM_L1 + bus * 8, &[level1_descriptor(TABLES_PA + array)]);
        for slot in 0..256 {
            fake.put(array + slot * 64, &StreamTableEntry::abort(true).0);
        }
    }
    for (number, entry) in plan.domains.iter().enumerate() {
        let mut ranges = plan.premapped.iter();
        let is_far = ranges.any(|range| range.domain as usize == number && is_far(range));
        let context = ContextDescriptor {
            root: TABLES_PA + entry.root,
            asid: entry.asid as u16,
            input_bits: if is_far { 48 } else { 39 },
            output_bits: 44,
            mair: vmsa::MAIR,
            coherent: true,
        };
        fake.put(entry.context, &context.encode());
        let table = |offset: u64| vmsa::table(Granule::Size4K, TABLES_PA + offset);
        let level2 = entry.root + 0x1000;
        let mut level1 = entry.root;
        if is_far {
            level1 += 0x6000;
            fake.put(entry.root, &[table(level1)]);
        }
        fake.put(level1 + (BASE >> 30) * 8, &[table(level2)]);
        fake.put(level2, &[table(entry.leaf), table(entry.leaf + 0x1000)]);
    }
    for range in plan.premapped {
        let domain = &plan.domains[range.domain as usize];
        let leaves = |fake: &mut Fake, at: u64| {
            for page in 0..range.len >> 12 {
                let pa = range.pa + (page << 12);
                let leaf = premapped_leaf(pa, Memory::NormalWriteBack, Permissions::ReadWrite);
                fake.put(at + page * 8, &[leaf]);
            }
        };
        if range.kind == PremappedKind::Pool as u32 {
            leaves(
                &mut fake,
                domain.leaf + ((range.iova - domain.iova_base) >> 12) * 8,
            );
            continue;
        }
        let root = domain.root;
        let table = |offset: u64| vmsa::table(Granule::Size4K, TABLES_PA + offset);
        let (level2, level3) = (root + 0x4000, root + 0x5000);
        let mut level1 = root;
        if is_far(range) {
            level1 += 0x7000;
            fake.put(root + (range.iova >> 39) * 8, &[table(level1)]);
        }
        fake.put(level1 + (range.iova >> 30 & 511) * 8, &[table(level2)]);
        fake.put(level2 + (range.iova >> 21 & 511) * 8, &[table(level3)]);
        leaves(&mut fake, level3 + (range.iova >> 12 & 511) * 8);
    }
    for device in plan.devices.iter().filter(|device| device.always_open == 1) {
        for stream in plan.streams_of(device) {
            fake.put(stream.entry, &[plan.open_word(device).unwrap()]);
        }
    }
    fake
}
