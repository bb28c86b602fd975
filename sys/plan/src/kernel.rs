//! The part of the plan that the kernel reads.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, Record};

/// The system as a whole; one record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct KernelEntry {
    /// Index of the supervisor: always 0, the highest priority.
    pub supervisor: u32,
    /// Index of the task with `dma-authority`, or [`crate::NONE`].
    pub authority: u32,
    /// Index of the task that owns the interrupt translation service, or [`crate::NONE`].
    pub translator: u32,
    /// [`KernelFlags`] bits.
    pub flags: u32,
    /// Number of the core that this kernel runs on: 0.
    pub core: u32,
    /// How many cores the system has: 1.
    pub cores: u32,
}

impl Record for KernelEntry {
    const KIND: u32 = 0x100;
}

/// A range of memory that the kernel's window maps: all that the image uses, and nothing else. Ranges are ordered by
/// address and do not overlap.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct WindowEntry {
    /// Physical address, page-aligned.
    pub base: u64,
    /// Bytes, whole pages.
    pub len: u64,
}

impl Record for WindowEntry {
    const KIND: u32 = 0x105;
}

bitflags::bitflags! {
    /// Properties of the image.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct KernelFlags: u32 {
        /// Tasks may read the performance counters (images that count instructions).
        const USER_COUNTERS = 1 << 0;
    }
}

/// One task. The table is ordered by priority, equal ones in the order of their names.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct TaskEntry {
    /// Name of the task in `app.toml`.
    pub name: Name,
    /// First instruction, virtual.
    pub entry: u64,
    /// Initial stack pointer, virtual.
    pub stack_top: u64,
    /// Lowest mapped address of the stack; a fault just below it is an overflow.
    pub stack_base: u64,
    /// `TTBR0_EL1`: the root table's physical address, the ASID in bits 63:48.
    pub ttbr0: u64,
    /// Bit i: may send to task i (always of higher priority).
    pub send_to: u64,
    /// Longest run without blocking, nanoseconds of processor time; 0 for no limit.
    pub max_run: u64,
    /// [`abi::Rights`] bits.
    pub rights: u32,
    /// 0 is the highest.
    pub priority: u32,
    /// First of its records in the table of [`RegionEntry`].
    pub regions: u32,
    /// The number of the task's regions.
    pub region_count: u32,
    /// First of its records in the table of [`PostEntry`].
    pub posts: u32,
    /// The number of the task's posts.
    pub post_count: u32,
    /// First of its records in the table of [`ListenerEntry`].
    pub listeners: u32,
    /// The number of the task's listeners.
    pub listener_count: u32,
    /// 1 if it is started at boot; 0 if it waits for the supervisor.
    pub start: u32,
    /// Number of its account in the table of [`AccountEntry`], or [`crate::NONE`] if its time is not limited.
    pub account: u32,
}

impl Record for TaskEntry {
    const KIND: u32 = 0x101;
}

bitflags::bitflags! {
    /// The kind of a region, and the accesses that its task has there.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct RegionAttributes: u32 {
        /// Readable by the task.
        const READ = 1 << 0;
        /// Writable by the task.
        const WRITE = 1 << 1;
        /// Executable by the task (never with `WRITE`).
        const EXECUTE = 1 << 2;
        /// Device registers: never a message buffer or a lease.
        const DEVICE = 1 << 3;
        /// A pool that devices may reach: leases of it can be pinned; contents may change at any time.
        const DMA = 1 << 4;
    }
}

/// A run of one task's memory, contiguous in both address spaces. Regions of a task are ordered by
/// `va` and do not overlap.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RegionEntry {
    /// Virtual address in the task, page-aligned.
    pub va: u64,
    /// Physical address, page-aligned.
    pub pa: u64,
    /// Bytes, whole pages.
    pub len: u64,
    /// [`RegionAttributes`] bits.
    pub attributes: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

impl Record for RegionEntry {
    const KIND: u32 = 0x102;
}

/// The right to post.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PostEntry {
    /// Index of the task that may be posted.
    pub to: u32,
    /// The bits that the task may post, within [`abi::notification::POSTABLE`].
    pub bits: u32,
}

impl Record for PostEntry {
    const KIND: u32 = 0x103;
}

/// An event in the life of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum LifeEvent {
    /// The task was started again.
    Up = 0,
    /// A life of it ended, whatever it died of.
    Down = 1,
    /// The task was stopped for good.
    Retired = 2,
    /// The task can be started again: it died by itself and is not held, or the last hold since its death was
    /// lifted.
    Fault = 3,
    /// The task died while it was held.
    HeldDeath = 4,
}

impl LifeEvent {
    /// All events; the number of each is its place in this list.
    pub const ALL: [Self; 5] = [
        Self::Up,
        Self::Down,
        Self::Retired,
        Self::Fault,
        Self::HeldDeath,
    ];
}

/// A task that is told of an event in the life of another task. The entries of a task are ordered by
/// event, then by the task that is told, and no entry is there twice.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ListenerEntry {
    /// A [`LifeEvent`].
    pub event: u32,
    /// Number of the task that hears of it.
    pub to: u32,
    /// The bits that the listener gets, within [`abi::notification::LIVES`].
    pub bits: u32,
}

impl Record for ListenerEntry {
    const KIND: u32 = 0x106;
}

/// An account of processor time.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct AccountEntry {
    /// Nanoseconds that may be used in each period, at most [`AccountEntry::period`].
    pub budget: u64,
    /// Nanoseconds.
    pub period: u64,
}

impl Record for AccountEntry {
    const KIND: u32 = 0x107;
}

/// How an interrupt is signalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum InterruptClass {
    /// By a line, for as long as the device has something to say.
    Level = 0,
    /// By the edge of a line.
    Edge = 1,
    /// By a write to the interrupt translation service (LPI): nothing has to be held back in the controller.
    Message = 2,
}

impl InterruptClass {
    /// The class with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            0 => Some(Self::Level),
            1 => Some(Self::Edge),
            2 => Some(Self::Message),
            _ => None,
        }
    }
}

/// Route of one interrupt.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct InterruptEntry {
    /// GIC INTID: within [`crate::limits::SHARED_INTERRUPTS`], or of a message within
    /// [`crate::limits::MESSAGE_INTERRUPTS`].
    pub intid: u32,
    /// Index of the task that it notifies.
    pub task: u32,
    /// The bit that the task gets, one within [`abi::notification::INTERRUPTS`].
    pub bit: u32,
    /// An [`InterruptClass`].
    pub class: u32,
}

impl Record for InterruptEntry {
    const KIND: u32 = 0x104;
}

/// Priority of all message interrupts, in their bytes of the configuration table: below that of lines, so that the
/// kernel can keep messages alone from coming.
pub const MESSAGE_PRIORITY: u8 = 0xa0;
/// The byte of a message interrupt that is let through.
pub const MESSAGE_ENABLED: u8 = MESSAGE_PRIORITY | 1;

/// The memory that the redistributor has for message interrupts (Arm IHI 0069, 5.1). There is one record if any
/// interrupt is a message, and none else.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MessageTablesEntry {
    /// Physical address of the configuration table: a byte an interrupt, its priority in bits 7:2, bit 0 if it is
    /// let through. Only the owner of the interrupt translation service changes it.
    pub configuration: u64,
    /// Physical address of the pending table, a multiple of 64 KiB, all zeros. Only the redistributor changes it.
    pub pending: u64,
}

impl Record for MessageTablesEntry {
    const KIND: u32 = 0x108;
}
