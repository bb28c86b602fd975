//! The table memory of each SMMU: stream table, context descriptors, queues, page tables.
//!
//! Every stream aborts until the IOMMU server opens it, but those of devices with direct regions. The windows'
//! leaf tables are linked in here, so that a map at run time is an index and a store and cannot run out of
//! tables; what is premapped is mapped here.

use std::collections::BTreeMap;

use plan::iommu::{PREMAPPED_MARK, PremappedKind};
use smmu::context::{CD_BYTES, ContextDescriptor};
use smmu::stream::{SPLIT, STE_BYTES, StreamTableEntry, level1_descriptor};
use vmsa::{
    AddressSpace, Arena, Attributes, Blocks, Granule, Half, MapError, Permissions, Regime, Tables,
};

use super::premapped;
use crate::layout::place::Placement;
use planner::planning::STREAM_BITS_MAX;
use planner::planning::{DomainPlan, IOVA_BITS, Plan, Premapped};
use planner::report::{Mistake, Report, Reported};

/// log2 of the command queue's entries: 4 KiB of them.
pub const COMMAND_LOG2: u32 = 8;
/// log2 of the event queue's entries; a device that runs wild raises one event for every few bytes.
pub const EVENT_LOG2: u32 = 10;

/// Table memory and the offsets of what is in it.
#[derive(Clone, Debug, Default)]
pub struct SmmuTables {
    pub bytes: Vec<u8>,
    pub stream_l1: u64,
    pub stream_bits: u32,
    /// Level-2 arrays by the upper bits of a StreamID.
    arrays: BTreeMap<u32, u64>,
    pub command_queue: u64,
    pub event_queue: u64,
    /// Offsets of what its domains have, by their numbers in the plan.
    pub domains: BTreeMap<usize, DomainTables>,
}

/// Offsets of a domain's context descriptor and page tables.
#[derive(Clone, Copy, Debug, Default)]
pub struct DomainTables {
    pub context: u64,
    pub root: u64,
    pub leaf: u64,
    pub block_entries: u64,
}

impl SmmuTables {
    /// Offset of a stream's entry.
    pub fn entry(&self, stream: u32) -> Option<u64> {
        let array = self.arrays.get(&(stream >> SPLIT))?;
        Some(array + u64::from(stream & ((1 << SPLIT) - 1)) * STE_BYTES)
    }
}

/// Builds those of every SMMU, for the places that `placement` gives them; empty ones without devices.
pub fn build(
    report: &Report,
    plan: &Plan,
    placement: &Placement,
) -> Result<Vec<SmmuTables>, Reported> {
    let smmus = plan.app.platform.smmus();
    let places = smmus.iter().zip(&placement.smmus).enumerate();
    let tables = places.map(|(number, (smmu, place))| {
        if plan.domains.devices.is_empty() {
            return Ok(SmmuTables::default());
        }
        // An image is made only of StreamIDs that fit; the SMMU aborts those beyond its table.
        let bits = smmu
            .stream_bits
            .map_or(STREAM_BITS_MAX, |bits| bits.min(STREAM_BITS_MAX));
        let behind = Behind {
            plan,
            number,
            base: place.pa,
        };
        behind.tables(placement, bits).map_err(|error| {
            report
                .error(Mistake::Window, "the tables of the domains cannot be built")
                .note(format!("{error:?}"));
            Reported
        })
    });
    tables.collect()
}

/// The part of a plan that is behind one SMMU.
struct Behind<'a> {
    plan: &'a Plan,
    /// Number of the SMMU.
    number: usize,
    /// Physical address of its table memory.
    base: u64,
}

impl Behind<'_> {
    /// Its domains, with their numbers.
    fn domains(&self) -> impl Iterator<Item = (usize, &DomainPlan)> {
        let domains = self.plan.domains.domains.iter().enumerate();
        domains.filter(|(_, domain)| domain.smmu == self.number)
    }

    /// The StreamIDs of its devices.
    fn streams(&self) -> impl Iterator<Item = u32> {
        let devices = self.plan.domains.devices.iter();
        let devices = devices.filter(|device| device.smmu == self.number);
        devices.flat_map(|device| device.streams.iter().copied())
    }

    fn tables(&self, placement: &Placement, stream_bits: u32) -> Result<SmmuTables, MapError> {
        let platform = &self.plan.app.platform;
        let base = self.base;
        let mut tables = self.reserve(stream_bits);
        tables.bytes = self.page_tables(placement, &mut tables)?;
        let entry = StreamTableEntry::abort(platform.coherent).0;
        for (&upper, &array) in &tables.arrays {
            let at = tables.stream_l1 + u64::from(upper) * 8;
            put(&mut tables.bytes, at, &[level1_descriptor(base + array)]);
            for stream in 0..1 << SPLIT {
                put(&mut tables.bytes, array + stream * STE_BYTES, &entry);
            }
        }
        for stream in self.streams() {
            let domain = self.plan.domains.always_open(self.number, stream);
            let domain = domain.and_then(|domain| tables.domains.get(&domain));
            if let (Some(domain), Some(at)) = (domain, tables.entry(stream)) {
                let context = base + domain.context;
                let entry = StreamTableEntry::stage1(context, platform.coherent, false);
                put(&mut tables.bytes, at, &entry.0);
            }
        }
        for (number, domain) in self.domains() {
            let Some(placed) = tables.domains.get(&number) else {
                continue;
            };
            let descriptor = ContextDescriptor {
                root: base + placed.root,
                asid: domain.asid,
                input_bits: domain.iova_bits,
                output_bits: platform.address_bits,
                mair: vmsa::MAIR,
                coherent: platform.coherent,
            };
            put(&mut tables.bytes, placed.context, &descriptor.encode());
        }
        Ok(tables)
    }

    /// Offsets of everything but page tables; each is aligned to its size, as the architecture wants it
    /// (IHI 0070, 6.3.24, 6.3.26, 6.3.29).
    fn reserve(&self, stream_bits: u32) -> SmmuTables {
        let mut next = 0;
        let mut take = |len: u64| {
            let at = u64::next_multiple_of(next, len.next_power_of_two());
            next = at + len;
            at
        };
        let event_queue = take((1 << EVENT_LOG2) * smmu::event::EVENT_BYTES);
        let uppers = self.streams().map(|stream| (stream >> SPLIT, 0));
        let mut arrays = BTreeMap::from_iter(uppers);
        for array in arrays.values_mut() {
            *array = take(STE_BYTES << SPLIT);
        }
        let command_queue = take((1 << COMMAND_LOG2) * smmu::command::COMMAND_BYTES);
        let stream_l1 = take(8 << stream_bits.saturating_sub(SPLIT));
        let contexts = self.domains().map(|(number, _)| {
            let context = take(CD_BYTES);
            let placed = DomainTables {
                context,
                ..DomainTables::default()
            };
            (number, placed)
        });
        let domains = contexts.collect();
        SmmuTables {
            bytes: vec![0; usize::try_from(next).unwrap_or(0)],
            stream_l1,
            stream_bits,
            arrays,
            command_queue,
            event_queue,
            domains,
        }
    }

    /// The whole table memory with the page tables of every domain behind the rest.
    fn page_tables(
        &self,
        placement: &Placement,
        tables: &mut SmmuTables,
    ) -> Result<Vec<u8>, MapError> {
        let page = abi::layout::PAGE;
        let start = (tables.bytes.len() as u64).next_multiple_of(page);
        let pages: u64 = self.domains().map(|(_, domain)| pages_of(domain)).sum();
        let mut words = vec![0; usize::try_from(pages * page / 8).unwrap_or(0)];
        let mut arena = Arena::new(&mut words, self.base + start);
        for (number, domain) in self.domains() {
            if let Some(placed) = tables.domains.get_mut(&number) {
                domain_tables(placement, domain, self.base, placed, &mut arena)?;
            }
        }
        let end = arena.end() - self.base;
        let mut bytes = std::mem::take(&mut tables.bytes);
        bytes.resize(usize::try_from(start).unwrap_or(0), 0);
        bytes.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        bytes.truncate(usize::try_from(end).unwrap_or(0));
        Ok(bytes)
    }
}

fn put(bytes: &mut [u8], offset: u64, words: &[u64]) {
    let raw: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let to = usize::try_from(offset)
        .ok()
        .and_then(|offset| bytes.get_mut(offset..))
        .and_then(|rest| rest.get_mut(..raw.len()));
    if let Some(to) = to {
        to.copy_from_slice(&raw);
    }
}

/// Most pages that a domain's tables take.
pub fn pages_of(domain: &DomainPlan) -> u64 {
    // Root, level 2, a leaf table for every 2 MiB; what is premapped splits blocks at both of its ends, below a
    // level-2 table for each GiB that it touches.
    let premapped = domain.premapped.iter().map(|premapped| match premapped {
        Premapped::Direct { len, .. } => (len >> 30) + 4,
        Premapped::Identity { .. } => 4,
        Premapped::Doorbell { .. } => 2,
        // In the leaf tables of the window.
        Premapped::Pool { .. } => 0,
    });
    // Below a root of more bits, a level-1 table for the window and one or two for each range.
    let level1 = match domain.iova_bits {
        ..=IOVA_BITS => 0,
        _ => 1 + 2 * domain.premapped.len() as u64,
    };
    2 + level1 + domain.page_bytes / abi::layout::BLOCK + premapped.sum::<u64>()
}

/// Makes the tables of a domain, in table memory at `base`.
fn domain_tables(
    placement: &Placement,
    domain: &DomainPlan,
    base: u64,
    placed: &mut DomainTables,
    arena: &mut Arena<'_>,
) -> Result<(), MapError> {
    let space = AddressSpace::new(arena, Granule::Size4K, domain.iova_bits, Half::Lower)?;
    placed.root = space.root() - base;
    for (start, len, level) in [
        (domain.iova_base, domain.page_bytes, 2),
        (domain.block_base, domain.block_bytes, 2),
        (domain.iova_base, domain.page_bytes, 3),
    ] {
        if len > 0 {
            space.link(arena, start, len, level)?;
        }
    }
    let offset = |arena: &Arena<'_>, iova, level| {
        space
            .entry(arena, iova, level)
            .map_or(0, |entry| entry - base)
    };
    if domain.page_bytes > 0 {
        placed.leaf = offset(arena, domain.iova_base, 3);
        check_contiguous(&space, arena, domain)?;
    }
    if domain.block_bytes > 0 {
        placed.block_entries = offset(arena, domain.block_base, 2);
    }
    for range in premapped::ranges(placement, domain) {
        map(&range, &space, arena)?;
    }
    Ok(())
}

/// The server finds a leaf by adding to the first: tables out of line would let it write elsewhere.
fn check_contiguous(
    space: &AddressSpace,
    arena: &Arena<'_>,
    domain: &DomainPlan,
) -> Result<(), MapError> {
    let first = space.entry(arena, domain.iova_base, 3);
    let last_page = domain.page_bytes - abi::layout::PAGE;
    let last = space.entry(arena, domain.iova_base + last_page, 3);
    let distance = first
        .zip(last)
        .map(|(first, last)| last.wrapping_sub(first));
    if distance == Some(last_page / abi::layout::PAGE * 8) {
        Ok(())
    } else {
        Err(MapError::OutOfTables)
    }
}

/// Premaps a range: readable and writable, with the mark that tells it from what the server maps.
fn map<T: Tables>(
    range: &premapped::Range,
    space: &AddressSpace,
    tables: &mut T,
) -> Result<(), MapError> {
    let attributes = Attributes::new(Regime::Device, range.memory, Permissions::ReadWrite)
        .map_err(|_| MapError::OutputRange)?
        .marked(PREMAPPED_MARK);
    // The window's page part has leaf tables already.
    let blocks = match range.kind {
        PremappedKind::Pool => Blocks::Never,
        PremappedKind::Direct | PremappedKind::Identity | PremappedKind::Doorbell => {
            Blocks::WhereAligned
        }
    };
    space.map(tables, range.iova, range.pa, range.len, attributes, blocks)
}
