//! The server's part of the plan, checked once so that later look-ups cannot go astray.

use abi::{TASKS_MAX, TaskId};
use plan::iommu::{
    DeviceEntry, DomainEntry, DomainKind, Invalidation, LentPoolEntry, PREMAPPED_MARK, PoolEntry,
    PremappedEntry, SmmuEntry, StreamEntry,
};
use plan::{Blob, TaskNumber};
use smmu::stream::{bypass_word, stage1_word};

use crate::boot_refusal::Refusal;
use crate::indices::{DeviceIndex, DomainIndex, SmmuIndex};
use crate::limits::{
    DEVICES_MAX, DOMAINS_MAX, LENT_POOLS_MAX, MEMBERS_MAX, PREMAPPED_MAX, SMMUS_MAX, STREAMS_MAX,
};

/// The tables of [`plan::iommu`].
#[derive(Clone, Copy)]
pub struct PlanView<'p> {
    /// SMMUs.
    pub smmus: &'p [SmmuEntry],
    /// Domains.
    pub domains: &'p [DomainEntry],
    /// Streams.
    pub streams: &'p [StreamEntry],
    /// Devices, by number.
    pub devices: &'p [DeviceEntry],
    /// Pools, of each task in a row and in their order.
    pub pools: &'p [PoolEntry],
    /// The ranges that the build step has mapped.
    pub premapped: &'p [PremappedEntry],
    /// The pools that tasks lend to devices as a whole.
    pub lent_pools: &'p [LentPoolEntry],
    /// The task numbers of which lists of tasks are runs.
    pub numbers: &'p [TaskNumber],
}

const _: () = assert!(MEMBERS_MAX as u64 <= PREMAPPED_MARK);

/// The entry of an SMMU that the plan does not have.
static NO_SMMU: SmmuEntry = SmmuEntry {
    name: plan::Name::EMPTY,
    registers_va: 0,
    tables_va: 0,
    tables_pa: 0,
    tables_len: 0,
    stream_l1: 0,
    stream_log2: 0,
    stream_split: 0,
    command_queue: 0,
    event_queue: 0,
    command_log2: 0,
    event_log2: 0,
    event_interrupt: 0,
    error_interrupt: 0,
    coherent: 0,
    address_bits: 0,
    refuse_on_mismatch: 0,
    reserved: 0,
};

/// A lazy domain says how many pages may wait for a flush, and how long; another has neither.
const fn has_bounds_if_lazy(domain: &DomainEntry) -> bool {
    let lazy = domain.invalidation == Invalidation::Lazy as u32;
    (domain.lazy_pages > 0) == lazy && (domain.lazy_ms > 0) == lazy
}

impl<'p> PlanView<'p> {
    /// Reads the tables; a record that names what does not exist, more records than this server
    /// has room for, or no SMMU at all, is a broken image.
    pub fn new(blob: &Blob<'p>) -> Result<Self, Refusal> {
        let broken = |_| Refusal::Inconsistent;
        let view = Self {
            smmus: blob.exact().map_err(broken)?,
            domains: blob.exact().map_err(broken)?,
            streams: blob.exact().map_err(broken)?,
            devices: blob.exact().map_err(broken)?,
            pools: blob.exact().map_err(broken)?,
            premapped: blob.exact().map_err(broken)?,
            lent_pools: blob.exact().map_err(broken)?,
            numbers: blob.exact().map_err(broken)?,
        };
        view.check()?;
        Ok(view)
    }

    fn check(&self) -> Result<(), Refusal> {
        let fits = self.smmus.len() <= SMMUS_MAX
            && self.domains.len() <= DOMAINS_MAX
            && self.devices.len() <= DEVICES_MAX
            && self.streams.len() <= STREAMS_MAX
            && self.premapped.len() <= PREMAPPED_MAX
            && self.lent_pools.len() <= LENT_POOLS_MAX;
        if !fits {
            return Err(Refusal::TooMany);
        }
        let smmus = self.smmus.len();
        let known = |smmu: u32| (smmu as usize) < smmus;
        let domains = self.domains.iter().all(|domain| {
            known(domain.smmu)
                && domain.asid > 0
                && domain.asid <= 0xffff
                && has_bounds_if_lazy(domain)
        });
        let streams = self.streams.iter().all(|stream| known(stream.smmu));
        let devices = self.indexed_devices().all(|(index, device)| {
            (device.streams as usize)
                .checked_add(device.stream_count as usize)
                .is_some_and(|end| end <= self.streams.len())
                && (device.domain == plan::NONE || (device.domain as usize) < self.domains.len())
                && self.is_behind_one(device)
                && device.auditors.of(self.numbers, TASKS_MAX).is_some()
                && self.member(index) < MEMBERS_MAX as u64
        });
        let premapped = self.premapped.iter().all(|range| {
            let pages = |word: u64| word.is_multiple_of(iommu_api::PAGE);
            (range.domain as usize) < self.domains.len()
                && pages(range.iova | range.pa | range.len)
                && range.len > 0
                && range.iova.checked_add(range.len).is_some()
                && range.pa.checked_add(range.len).is_some()
        });
        let lent = self.lent_pools.iter().all(|lent| {
            let pool = self.pool(lent.task, lent.pool);
            let has_device = (lent.device as usize) < self.devices.len();
            has_device && pool.is_some_and(|pool| lent.pages <= pool.len / abi::layout::PAGE)
        });
        if smmus > 0 && domains && streams && devices && premapped && lent {
            Ok(())
        } else {
            Err(Refusal::Inconsistent)
        }
    }

    /// Whether all streams of a device are of its domain's SMMU: a request works on one.
    fn is_behind_one(&self, device: &DeviceEntry) -> bool {
        let domain = self.domains.get(device.domain as usize);
        let mut streams = self.streams_of(device).iter();
        streams.all(|stream| domain.is_none_or(|domain| domain.smmu == stream.smmu))
    }

    /// An SMMU.
    pub fn smmu(&self, index: SmmuIndex) -> &'p SmmuEntry {
        let entry = self.smmus.get(index.number() as usize);
        entry.unwrap_or(&NO_SMMU)
    }

    /// The devices, each with its index.
    pub fn indexed_devices(&self) -> impl Iterator<Item = (DeviceIndex, &'p DeviceEntry)> + Clone {
        let devices = self.devices.iter().enumerate();
        devices.filter_map(|(number, entry)| Some((DeviceIndex::new(number)?, entry)))
    }

    /// Name of a device; nothing if it is about none.
    pub fn name_of(&self, device: Option<DeviceIndex>) -> &'p str {
        let number = device.map_or(usize::MAX, |device| device.number() as usize);
        let entry = self.devices.get(number);
        entry.map_or("", |entry| entry.name.as_str())
    }

    /// Position of a device among those that share its domain.
    pub fn member(&self, index: DeviceIndex) -> u64 {
        let mut devices = self.indexed_devices();
        let before = self
            .indexed_devices()
            .take_while(|(other, _)| *other < index);
        let own = devices.find(|(other, _)| *other == index);
        let domain = own.map(|(_, entry)| entry.domain);
        let domain = domain.filter(|domain| *domain != plan::NONE);
        let sharers = before.filter(|(_, entry)| Some(entry.domain) == domain);
        sharers.count() as u64
    }

    /// Streams of a device.
    pub fn streams_of(&self, device: &DeviceEntry) -> &'p [StreamEntry] {
        let first = device.streams as usize;
        self.streams
            .get(first..first.saturating_add(device.stream_count as usize))
            .unwrap_or(&[])
    }

    /// Whether the SMMU takes requests of two devices for those of one.
    pub fn have_a_stream_in_common(&self, one: &DeviceEntry, other: &DeviceEntry) -> bool {
        let others = self.streams_of(other);
        let common = |own: &StreamEntry| {
            let mut others = others.iter();
            others.any(|other| (own.smmu, own.stream_id) == (other.smmu, other.stream_id))
        };
        self.streams_of(one).iter().any(common)
    }

    /// Whether a task may know the state of a device that it does not own.
    pub fn audits(&self, device: &DeviceEntry, task: TaskId) -> bool {
        let auditors = device.auditors.of(self.numbers, TASKS_MAX);
        let number = u32::from(task.number());
        auditors.is_some_and(|tasks| tasks.iter().any(|task| task.number == number))
    }

    /// Whether a task may know the state of everything: it audits each device.
    pub fn inspects(&self, task: TaskId) -> bool {
        let mut devices = self.devices.iter();
        !self.devices.is_empty() && devices.all(|device| self.audits(device, task))
    }

    /// The streams that come to an SMMU.
    pub fn streams_to(&self, smmu: SmmuIndex) -> impl Iterator<Item = &'p StreamEntry> {
        let streams = self.streams.iter();
        streams.filter(move |stream| smmu.has(stream))
    }

    /// Whether a planned stream of an SMMU has its entry at an offset.
    pub fn has_entry(&self, smmu: SmmuIndex, at: u64) -> bool {
        self.streams_to(smmu).any(|stream| stream.entry == at)
    }

    /// The stream of a device that has its entry at an offset, for this SMMU.
    pub fn stream_at(
        &self,
        device: &DeviceEntry,
        smmu: SmmuIndex,
        at: u64,
    ) -> Option<&'p StreamEntry> {
        let mut streams = self.streams_of(device).iter();
        streams.find(|stream| stream.entry == at && smmu.has(stream))
    }

    /// The domain of a device, if it may be claimed at all.
    pub fn domain_of(&self, device: &DeviceEntry) -> Option<(DomainIndex, &'p DomainEntry)> {
        let index = DomainIndex::of(device)?;
        let domain = self.domain(index)?;
        (domain.kind != DomainKind::Blocked as u32).then_some((index, domain))
    }

    /// The domains, each with its index.
    pub fn indexed_domains(&self) -> impl Iterator<Item = (DomainIndex, &'p DomainEntry)> + Clone {
        let indices = DomainIndex::first(self.domains.len());
        indices.zip(self.domains)
    }

    /// A domain.
    pub fn domain(&self, index: DomainIndex) -> Option<&'p DomainEntry> {
        self.domains.get(index.number())
    }

    /// Word 0 of a device's stream table entries while they are open.
    pub fn open_word(&self, device: &DeviceEntry) -> Option<u64> {
        let (_, domain) = self.domain_of(device)?;
        if domain.kind == DomainKind::Bypass as u32 {
            return Some(bypass_word());
        }
        let smmu = self.smmu(SmmuIndex::of(domain));
        Some(stage1_word(smmu.tables_pa.wrapping_add(domain.context)))
    }

    /// Whether nothing that a device does is translated.
    pub fn bypasses(&self, device: &DeviceEntry) -> bool {
        let domain = self.domain_of(device);
        domain.is_some_and(|(_, domain)| domain.kind == DomainKind::Bypass as u32)
    }

    /// The ranges that the build step has mapped in a domain.
    pub fn premapped_of(
        &self,
        domain: DomainIndex,
    ) -> impl Iterator<Item = &'p PremappedEntry> + Clone {
        let all = self.premapped.iter();
        all.filter(move |range| range.domain as usize == domain.number())
    }

    /// Whether a device can reach memory of its owner that no request mapped.
    pub fn reaches_pools(&self, device: &DeviceEntry) -> bool {
        if self.bypasses(device) {
            return true;
        }
        let Some(domain) = DomainIndex::of(device) else {
            return false;
        };
        let mut ranges = self.premapped_of(domain);
        ranges.any(PremappedEntry::is_pool)
    }

    /// First pool of a task, and how many it has in a row, numbered from 0.
    pub fn pools_of(&self, task: u32) -> (usize, usize) {
        let first = self.pools.iter().position(|pool| pool.task == task);
        let first = first.unwrap_or(self.pools.len());
        let row = self.pools.iter().skip(first).zip(0..);
        let own = row.take_while(|&(pool, number)| pool.task == task && pool.pool == number);
        (first, own.count())
    }

    /// A pool of a task.
    pub fn pool(&self, task: u32, number: u32) -> Option<&'p PoolEntry> {
        let mut pools = self.pools.iter();
        pools.find(|pool| pool.task == task && pool.pool == number)
    }
}
