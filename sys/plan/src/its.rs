//! The part of the plan that the owner of the interrupt translation service reads.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::Record;

/// The interrupt translation service; one record. Offsets are in its memory.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct ItsEntry {
    /// Virtual address of its control registers in the task.
    pub registers_va: u64,
    /// Bytes of them.
    pub registers_len: u64,
    /// Virtual address of its memory in the task: queue and tables.
    pub memory_va: u64,
    /// Physical address of it, a multiple of 64 KiB.
    pub memory_pa: u64,
    /// Bytes of it.
    pub memory_len: u64,
    /// Offset of the device table.
    pub devices: u64,
    /// Bytes of it, whole pages of 64 KiB.
    pub devices_len: u64,
    /// Offset of the collection table.
    pub collections: u64,
    /// Bytes of it.
    pub collections_len: u64,
    /// Physical address of the redistributor that takes the messages.
    pub redistributor: u64,
}

impl Record for ItsEntry {
    const KIND: u32 = 0x500;
}

/// A device that signals by messages.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable)]
#[repr(C)]
pub struct SourceEntry {
    /// Number of the device in every protocol.
    pub device: u32,
    /// Its DeviceID: what the service knows it by.
    pub device_id: u32,
    /// How many events it has, from 0.
    pub events: u32,
    /// INTID of event 0; the others follow.
    pub first_intid: u32,
    /// Offset of its interrupt translation table.
    pub table: u64,
    /// Bits of the EventIDs that the table has room for.
    pub event_bits: u32,
    /// Reserved, 0.
    pub reserved: u32,
}

impl Record for SourceEntry {
    const KIND: u32 = 0x501;
}
