//! The part of the plan that the IOMMU server reads: SMMUs, their tables, streams, domains, pools.
//!
//! All offsets are into the SMMU's table memory (`MappingKind::SmmuTables`), which the build step has
//! filled: the stream table, with every stream aborting but the always-open ones, context descriptors, page
//! tables with the premapped mappings.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, Record, TaskList};

/// One SMMU.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SmmuEntry {
    /// Name of the SMMU in the platform.
    pub name: Name,
    /// Virtual address of its registers (128 KiB).
    pub registers_va: u64,
    /// Virtual address of its table memory.
    pub tables_va: u64,
    /// Physical address of the same.
    pub tables_pa: u64,
    /// Bytes of it.
    pub tables_len: u64,
    /// Offset of the level-1 stream table (naturally aligned).
    pub stream_l1: u64,
    /// StreamID bits covered (`STRTAB_BASE_CFG.LOG2SIZE`).
    pub stream_log2: u32,
    /// Level-2 split: 8.
    pub stream_split: u32,
    /// Offset of the command queue.
    pub command_queue: u64,
    /// Offset of the event queue.
    pub event_queue: u64,
    /// log2 of commands.
    pub command_log2: u32,
    /// log2 of events.
    pub event_log2: u32,
    /// Notification bit of the event queue's interrupt.
    pub event_interrupt: u32,
    /// Notification bit of the global error interrupt.
    pub error_interrupt: u32,
    /// 1 if table walks are coherent with the caches by the platform file.
    pub coherent: u32,
    /// Physical address bits of the platform, for CD.IPS.
    pub address_bits: u32,
    /// 1: if it is not as planned, the whole boot is refused; 0: its devices are.
    pub refuse_on_mismatch: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

impl Record for SmmuEntry {
    const KIND: u32 = 0x400;
}

/// Type of a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum DomainKind {
    /// Every stream of the domain aborts; nobody can claim.
    Blocked = 0,
    /// Translated by the server's maps.
    Dma = 1,
    /// 1:1 over the owners' pools, filled in at build time.
    Identity = 2,
    /// The streams are not translated while a device of the domain is claimed: it has no window,
    /// and its tables are not used.
    Bypass = 3,
}

/// When an unmapped page is given back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Invalidation {
    /// Unmap returns after the invalidation completed.
    Strict = 0,
    /// Given back after a later flush, bounded in size and time.
    Lazy = 1,
    /// The owner's pools are mapped once, at build time.
    Premapped = 2,
}

/// One domain: one set of tables, one ASID, for all streams of one alias set.
///
/// Page part: `pages` leaf entries, contiguous, at `leaf`; entry i translates
/// `iova_base + i * 4096`. Block part: `blocks` level-2 entries at `block_entries`; entry i
/// translates `block_base + i * 2 MiB`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DomainEntry {
    /// A [`DomainKind`].
    pub kind: u32,
    /// Index of the SMMU.
    pub smmu: u32,
    /// ASID, unique on that SMMU, from 1.
    pub asid: u32,
    /// An [`Invalidation`].
    pub invalidation: u32,
    /// Offset of its context descriptor (64 bytes, V=1).
    pub context: u64,
    /// Offset of the root table (level 1).
    pub root: u64,
    /// Offset of the first leaf entry of the page part.
    pub leaf: u64,
    /// IOVA of the page part, a multiple of 2 MiB.
    pub iova_base: u64,
    /// Pages in the page part, a multiple of 512.
    pub pages: u64,
    /// Offset of the first level-2 entry of the block part.
    pub block_entries: u64,
    /// IOVA of the block part.
    pub block_base: u64,
    /// Blocks in it.
    pub blocks: u64,
    /// 1 if accesses look into the caches: at least one device of it snoops. Else leaves are non-cacheable.
    pub snoops: u32,
    /// With [`Invalidation::Lazy`], the most pages that are unmapped and not flushed yet; else 0.
    pub lazy_pages: u16,
    /// With [`Invalidation::Lazy`], after so many milliseconds at most they are flushed; else 0.
    pub lazy_ms: u16,
}

impl Record for DomainEntry {
    const KIND: u32 = 0x401;
}

/// One StreamID of one device. Streams of a device are contiguous in the table.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct StreamEntry {
    /// StreamID.
    pub stream_id: u32,
    /// Index of the SMMU.
    pub smmu: u32,
    /// Offset of its stream table entry.
    pub entry: u64,
    /// 1 if the stream is an always-open one: a device with direct regions has it, and no alternative of its hotplug
    /// slot, so its entry translates in the image.
    pub always_open: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

impl Record for StreamEntry {
    const KIND: u32 = 0x402;
}

/// One device that can be claimed or at least fault. Its position is the device's number in every
/// protocol, the same as in the PCI task's table of functions.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DeviceEntry {
    /// Name of the device in `app.toml`.
    pub name: Name,
    /// Index of its domain, shared by its alias set; [`crate::NONE`] for a bridge.
    pub domain: u32,
    /// Index of the task that may claim it, or [`crate::NONE`].
    pub owner: u32,
    /// First of its records in the table of [`StreamEntry`].
    pub streams: u32,
    /// The number of the device's streams.
    pub stream_count: u32,
    /// Index of its isolation group.
    pub group: u32,
    /// Index of its reset unit.
    pub reset_unit: u32,
    /// The most holds and pins that the device may use at once.
    pub pins: u32,
    /// 1 if the device has direct regions: it is bus master also while nobody has claimed it.
    pub always_open: u32,
    /// 1 if it is not on PCI: it has no bus mastering, so that it reaches memory whenever its stream is open, by
    /// whomever.
    pub non_pci: u32,
    /// 1 if a task beside its owner has its registers (`watches`).
    pub watched: u32,
    /// Tasks that may read its `status` without owning it.
    pub auditors: TaskList,
}

impl Record for DeviceEntry {
    const KIND: u32 = 0x403;
}

/// A pool of a task.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PoolEntry {
    /// Index of the task that has it.
    pub task: u32,
    /// Number of the pool in its task, from 0.
    pub pool: u32,
    /// Physical address, page-aligned; 2 MiB-aligned if the pool is as large.
    pub pa: u64,
    /// Bytes, whole pages.
    pub len: u64,
}

impl Record for PoolEntry {
    const KIND: u32 = 0x404;
}

/// A pool that its task may lend to the driver of a device, to be pinned as a whole. Entries of a device are in a row.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct LentPoolEntry {
    /// Number of the device.
    pub device: u32,
    /// Index of the task that has the pool.
    pub task: u32,
    /// Number of the pool in that task.
    pub pool: u32,
    /// 1 if the device may write to it.
    pub writable: u32,
    /// Most pages of it that are lent, from the first one on.
    pub pages: u64,
}

impl Record for LentPoolEntry {
    const KIND: u32 = 0x406;
}

/// Why a range is premapped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum PremappedKind {
    /// A direct region, 1:1: what firmware or hardware needs at any time.
    Direct = 0,
    /// A pool of an owner in an identity domain, 1:1.
    Identity = 1,
    /// A pool of an owner in the window of a domain with [`Invalidation::Premapped`].
    Pool = 2,
    /// The page of the register that messages of interrupts are written to, 1:1. The interrupt translation service tells
    /// by the id that a write carries whose it is, so that no device can signal for another.
    Doorbell = 3,
}

/// Mark, in bits 58:55 of a leaf that the SMMU ignores, of everything that the build step has mapped. What the
/// server maps is marked with the position of the device in its alias set, which is smaller.
pub const PREMAPPED_MARK: u64 = 15;

/// A range that the build step has mapped in a domain, and that stays mapped: readable and writable. The ranges
/// of a domain do not overlap; premapped pools of one task are in a row and in their order.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PremappedEntry {
    /// Index of the domain.
    pub domain: u32,
    /// A [`PremappedKind`].
    pub kind: u32,
    /// Index of the task whose pool it is; [`crate::NONE`] for a direct region and for the doorbell.
    pub task: u32,
    /// Number of the pool in that task.
    pub pool: u32,
    /// First IOVA, a multiple of 4 KiB.
    pub iova: u64,
    /// Physical address that it leads to.
    pub pa: u64,
    /// Bytes, whole pages, not 0.
    pub len: u64,
    /// Memory type of its leaves, as an index of the domain's MAIR.
    pub memory: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

impl PremappedEntry {
    /// Whether it is a pool of a task.
    #[must_use]
    pub const fn is_pool(&self) -> bool {
        self.kind == PremappedKind::Identity as u32 || self.kind == PremappedKind::Pool as u32
    }
}

impl Record for PremappedEntry {
    const KIND: u32 = 0x405;
}
