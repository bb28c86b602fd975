//! The part of the plan that the PCI task reads: the fabric as planned.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::limits::FUNCTIONS_MAX;
use crate::{Name, Record};

/// Bytes of the memory that a life of the PCI task leaves to the next one: a word ahead of all, a word a function.
pub const RECORD_BYTES: u64 = 4096;

const _: () = assert!((1 + FUNCTIONS_MAX) * size_of::<u64>() <= RECORD_BYTES as usize);

/// One host bridge (one segment).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct HostBridgeEntry {
    /// Virtual address of its configuration space in the PCI task (1 MiB a bus).
    pub ecam_va: u64,
    /// Virtual address of [`RECORD_BYTES`] of memory that outlives the PCI task: what a life leaves to the next.
    pub record_va: u64,
    /// First bus.
    pub bus_first: u32,
    /// Last bus that the hardware can have.
    pub bus_last: u32,
    /// 1: a difference between plan and machine refuses the whole boot; 0: it blocks the group.
    pub refuse_on_mismatch: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

impl Record for HostBridgeEntry {
    const KIND: u32 = 0x300;
}

bitflags::bitflags! {
    /// Properties of a function.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub struct FunctionFlags: u32 {
        /// A bridge of any kind: has bus numbers and windows.
        const BRIDGE = 1 << 0;
        /// Part of the root complex that is always there (the host bridge function itself).
        const HOST_BRIDGE = 1 << 1;
        /// The slot has more than one function.
        const MULTIFUNCTION = 1 << 2;
        /// ACS control is to be `acs` exactly; checked at boot.
        const SET_ACS = 1 << 3;
        /// May be absent (hotplug slot): not a mismatch.
        const OPTIONAL = 1 << 4;
        /// No task is told of its interrupt: it is kept from raising one, or it could hold a line that
        /// other devices share for ever.
        const NO_INTERRUPT = 1 << 5;
        /// The device is not on PCI: it has no configuration space, so that none of it can be found or
        /// compared. Its owner and its recipe are all there is; its BAR 0 is the register block that the
        /// recipe polls.
        const PLATFORM = 1 << 6;
        /// It is not known which BARs the function has: they are not compared, and it decodes nothing. Nobody drives
        /// it.
        const ANY_BARS = 1 << 7;
    }
}

/// The kinds of bridge that may have to be found ([`FunctionEntry::port_type`]): the device/port type
/// of the PCI Express capability (PCI Express Base 4.0, 7.5.3.2), or one of these.
pub mod port_type {
    /// Root port of a root complex.
    pub const ROOT_PORT: u32 = 4;
    /// Upstream port of a switch.
    pub const UPSTREAM_PORT: u32 = 5;
    /// Downstream port of a switch.
    pub const DOWNSTREAM_PORT: u32 = 6;
    /// PCI Express to PCI bridge.
    pub const TO_PCI: u32 = 7;
    /// PCI to PCI Express bridge.
    pub const FROM_PCI: u32 = 8;
    /// The bridge must not have a PCI Express capability.
    pub const CONVENTIONAL: u32 = 0x100;
    /// The kind of the bridge is not compared. It is the type of an endpoint, which is no bridge.
    pub const ANY: u32 = 0;
}

/// How a function signals.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Signalling {
    /// By its line, or not at all.
    Line = 0,
    /// By messages of the MSI capability: one address, and data that differ in their low bits.
    Msi = 1,
    /// By messages of the MSI-X capability: a table in a BAR.
    MsiX = 2,
}

/// How a device is made quiet so that no earlier DMA of it can land.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Quiesce {
    /// The device cannot be made quiet: memory that it could reach stays held until power-off.
    None = 0,
    /// Function-level reset, then wait 100 ms or until it answers.
    FunctionReset = 1,
    /// Secondary bus reset of the bridge above it.
    BusReset = 2,
    /// Bus mastering off, then poll a BAR register until `value & mask == expect`.
    Poll = 3,
    /// Write a BAR register, then poll it.
    WriteThenPoll = 4,
    /// Bus mastering off, then wait `wait` nanoseconds.
    Wait = 5,
}

/// One function of the fabric, bridges included; behind them the devices that are not on PCI. The position in
/// the table is the device's number in every protocol; parents come before children. Functions of one
/// requester id are the alternatives of a hotplug slot, all of them optional and of different identities.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct FunctionEntry {
    /// Name of the function in `app.toml` (of a bridge: the name of its section).
    pub name: Name,
    /// Name of the function's isolation group.
    pub group: Name,
    /// Requester id: bus << 8 | device << 3 | function; 0 for a platform device.
    pub rid: u16,
    /// Vendor id that must be found.
    pub vendor_id: u16,
    /// Device id that must be found.
    pub device_id: u16,
    /// ACS control bits to set and check.
    pub acs: u16,
    /// [`FunctionFlags`] bits.
    pub flags: u32,
    /// Index of the bridge above, or [`crate::NONE`] on a root bus.
    pub parent: u32,
    /// Index of the task that drives it, or [`crate::NONE`].
    pub owner: u32,
    /// Index of its isolation group: equal for members.
    pub group_index: u32,
    /// A [`Quiesce`].
    pub quiesce: u32,
    /// BAR of the polled register.
    pub quiesce_bar: u32,
    /// Offset of the polled (and written) register; width 32 bits.
    pub quiesce_offset: u32,
    /// Bits compared.
    pub quiesce_mask: u32,
    /// Value of the polled bits when the device is quiet.
    pub quiesce_expect: u32,
    /// Value that is written to the register before it is polled.
    pub quiesce_write: u32,
    /// Deadline, or the time to wait, nanoseconds.
    pub quiesce_wait: u64,
    /// Virtual address of that BAR in the PCI task, 0 if the recipe needs none.
    pub quiesce_va: u64,
    /// Bridges: primary, secondary, subordinate bus number, 0.
    pub buses: [u8; 4],
    /// The kind of bridge, which says whether its requests get another requester id: a [`port_type`].
    pub port_type: u32,
    /// Bridges: 32-bit memory window, base and limit inclusive; base > limit: closed.
    pub memory_window: [u64; 2],
    /// Bridges: prefetchable window.
    pub prefetch_window: [u64; 2],
    /// Planned address of BAR 0 to 5; a 64-bit BAR uses the lower index.
    pub bar_address: [u64; 6],
    /// Size of each, bytes, 0: none.
    pub bar_len: [u64; 6],
    /// Bits 3:0 of each as the device must show them: bit 0 I/O, bit 2 64-bit, bit 3 prefetchable.
    pub bar_kind: [u32; 6],
    /// A [`Signalling`].
    pub signalling: u32,
    /// How many messages it has, with data 0 up.
    pub vectors: u32,
    /// The address that it writes messages to.
    pub message_address: u64,
    /// BAR of its MSI-X table.
    pub table_bar: u32,
    /// Offset of the table in that BAR.
    pub table_offset: u32,
    /// Virtual address, in the PCI task, of the page that the table begins in; 0 if it has none.
    pub table_va: u64,
    /// Bytes that are mapped there.
    pub table_len: u64,
}

impl Record for FunctionEntry {
    const KIND: u32 = 0x301;
}
