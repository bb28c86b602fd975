//! The part of the plan that every task reads: itself, its peers, its memory, its devices.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::{Name, Record, TaskList, Text};

/// The task itself; one record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SelfEntry {
    /// Name of the task in `app.toml`.
    pub name: Name,
    /// Index of the task in the kernel's table.
    pub index: u32,
    /// Index of the supervisor (0).
    pub supervisor: u32,
    /// Index of the log task, or [`crate::NONE`].
    pub log_task: u32,
    /// Bytes of the log ring's data (a power of two), at `layout::TASK_LOG_RING` + header.
    pub log_capacity: u32,
}

impl Record for SelfEntry {
    const KIND: u32 = 0x200;
}

/// A task that this one may name: to send, to post, or because it is sent to by it.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct PeerEntry {
    /// The peer's name in `app.toml`.
    pub name: Name,
    /// Index of the peer.
    pub index: u32,
    /// 1 if this task may send to it.
    pub may_send: u32,
}

impl Record for PeerEntry {
    const KIND: u32 = 0x201;
}

/// A notification bit with a name: of this task itself, or of a peer it may post.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct NotificationEntry {
    /// The bit's name (an interrupt is called after its device, with `-irq` appended).
    pub name: Name,
    /// Index of the task that has the bit: own for a bit to wait for, a peer's for one to post.
    pub task: u32,
    /// The bit, as a mask.
    pub bit: u32,
}

impl Record for NotificationEntry {
    const KIND: u32 = 0x202;
}

/// The kind of a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum MappingKind {
    /// Registers of a platform device (`owns`), Device-nGnRE.
    Registers = 0,
    /// The task's own DMA pool; pools are numbered from 0 in the order of this table.
    Pool = 1,
    /// Another task's log ring, read-only (for the log task); the name is that task's.
    LogRing = 2,
    /// The SMMU's tables and queues (for the owner of the SMMU).
    SmmuTables = 3,
    /// PCI configuration space (for the owner of the host bridge), Device-nGnRnE.
    PciConfiguration = 4,
    /// Plain memory shared with nobody, `persistent` across restarts.
    Persistent = 5,
    /// Registers that a recipe for making a device quiet polls (for the PCI task), Device-nGnRE.
    Recipe = 6,
    /// The record that the PCI task keeps from one life to the next.
    PciRecord = 7,
    /// Queue and tables of the interrupt translation service (for its owner).
    ItsMemory = 8,
    /// The MSI-X table of a function (for the PCI task), Device-nGnRE.
    MessageTable = 9,
}

bitflags::bitflags! {
    /// Properties of a mapping.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct MappingFlags: u32 {
        /// A pool that a device which does not snoop the caches can be given: whoever writes for it or reads
        /// from it has to hand it over.
        const NON_COHERENT = 1 << 0;
    }
}

/// Memory of the task beyond its program, stack, plan and log ring.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct MappingEntry {
    /// Name of the mapping in `app.toml` or the platform; a pool is called `pool` unless it is
    /// named.
    pub name: Name,
    /// Virtual address.
    pub va: u64,
    /// Bytes.
    pub len: u64,
    /// A [`MappingKind`].
    pub kind: u32,
    /// The index of the task that writes a log ring.
    pub task: u32,
    /// [`MappingFlags`] bits.
    pub flags: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

impl Record for MappingEntry {
    const KIND: u32 = 0x203;
}

/// A device that this task drives.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct DeviceEntry {
    /// Name of the device in `app.toml`.
    pub name: Name,
    /// Number of the device in every protocol: its index in the plan's list of devices.
    pub device: u32,
    /// Notification bit of its interrupt, 0 if it has none; of a device with several messages the bits of all, that of
    /// vector 0 lowest.
    pub interrupt: u32,
    /// PCI vendor id, or 0 for a platform device.
    pub vendor_id: u16,
    /// PCI device id.
    pub device_id: u16,
    /// How many messages the device signals by (MSI, MSI-X); 0 if it signals by its line.
    pub vectors: u32,
    /// BARs 0 to 5, mapped in this task: virtual address, 0 where there is none.
    pub bar_va: [u64; 6],
    /// Sizes of the BARs, bytes.
    pub bar_len: [u64; 6],
}

impl Record for DeviceEntry {
    const KIND: u32 = 0x204;
}

/// A parameter from `[tasks.NAME.parameters]`, addresses of the plan already resolved.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ParameterEntry {
    /// Name of the parameter.
    pub name: Name,
    /// Value of the parameter.
    pub value: u64,
}

impl Record for ParameterEntry {
    const KIND: u32 = 0x205;
}

/// What the supervisor does when a task dies. There is one entry for each task, by index.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct RestartEntry {
    /// The task's name.
    pub name: Name,
    /// Delay before the restart, nanoseconds.
    pub after: u64,
    /// Restarts allowed in `period`; 0: never restart, `u32::MAX` without limit.
    pub limit: u32,
    /// Whether the task reports to the verdict: one of [`reports`].
    pub reports: u32,
    /// Nanoseconds over which `limit` counts.
    pub period: u64,
    /// Tasks that declared to depend on this one: without it they do not get their work done.
    pub dependants: TaskList,
    /// Tasks that stop and start together with this one: they own devices of one containment unit.
    pub together: TaskList,
    /// The task's place in the order in which tasks end before the machine is switched off, from 1, or [`STAYS_UP`].
    /// Callers come before those that they call.
    pub shut_down: u32,
    /// 1 if the task may know the state of all tasks (`inspects`).
    pub inspects: u32,
}

/// The value of [`RestartEntry::shut_down`] for a task that is needed to the end. The supervisor, the log task, and
/// the servers without which no device becomes quiet.
pub const STAYS_UP: u32 = 0;

/// The meaning of a task's reports for the verdict.
pub mod reports {
    /// The reports count for nothing: the task could only disturb.
    pub const IGNORED: u32 = 0;
    /// The run's verdict waits for it.
    pub const AWAITED: u32 = 1;
    /// A failure ends the run at once, and nobody waits for a pass: the servers without which no device works.
    pub const FATAL: u32 = 2;
}

impl Record for RestartEntry {
    const KIND: u32 = 0x206;
}

/// A line for the log that says why a device is in its group and has its domain.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ReasonEntry {
    /// The device's index.
    pub device: u32,
    /// Reserved, 0.
    pub reserved: u32,
    /// The device's name.
    pub name: Name,
    /// Name of the device's isolation group.
    pub group: Name,
    /// The device's domain, and why it has that domain, for a person.
    pub reason: Text<96>,
}

impl Record for ReasonEntry {
    const KIND: u32 = 0x207;
}
