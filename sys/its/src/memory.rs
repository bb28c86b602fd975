//! The memory that the service and a redistributor are given, sized at build time.

/// Pages of the service's tables, and the alignment of its queue: the largest that an implementation may want.
pub const PAGE: u64 = 64 << 10;
/// Bytes of the command queue: 128 commands.
pub const QUEUE_BYTES: u64 = 4 << 10;
/// Offset of the configuration table of message interrupts: a byte each.
pub const CONFIGURATION: u64 = QUEUE_BYTES;
/// Bytes of it.
pub const CONFIGURATION_BYTES: u64 = 8 << 10;
/// Offset of a word that says whether the service has been told everything. Nobody but its owner looks at it.
pub const TOLD: u64 = CONFIGURATION + CONFIGURATION_BYTES;
/// Offset of the first interrupt translation table.
const TABLES: u64 = 16 << 10;
/// Room for an entry of any table: twice what implementations are known to want, and checked at the start.
pub const ENTRY_MAX: u64 = 16;
/// Bytes of the pending table, and its alignment; more than the INTIDs of this system need.
pub const PENDING_BYTES: u64 = 64 << 10;

/// An interrupt translation table in the memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Table {
    /// Its offset, a multiple of 256.
    pub offset: u64,
    /// Bits of the EventIDs that it has room for, from 1.
    pub bits: u32,
}

impl Table {
    /// Bytes of a table of so many bits.
    const fn bytes(bits: u32) -> u64 {
        let bytes = ENTRY_MAX << bits;
        if bytes < 256 { 256 } else { bytes }
    }
}

/// Places in the memory: the queue, the configuration table and the interrupt translation tables, then the device table, then
/// the collection table. It begins at a multiple of [`PAGE`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Memory {
    next: u64,
    /// The largest DeviceID.
    last_device: u32,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            next: TABLES,
            last_device: 0,
        }
    }
}

impl Memory {
    /// Makes room for the table of a device with so many events, at least one.
    pub fn add(&mut self, device: u32, events: u32) -> Table {
        let bits = events.max(2).next_power_of_two().trailing_zeros();
        let offset = self.next;
        self.next = offset.saturating_add(Table::bytes(bits));
        self.last_device = self.last_device.max(device);
        Table { offset, bits }
    }

    /// Offset and bytes of the device table.
    pub const fn devices(&self) -> (u64, u64) {
        let bytes = (self.last_device as u64 + 1) * ENTRY_MAX;
        (
            self.next.next_multiple_of(PAGE),
            bytes.next_multiple_of(PAGE),
        )
    }

    /// Offset and bytes of the collection table.
    pub const fn collections(&self) -> (u64, u64) {
        let (offset, bytes) = self.devices();
        (offset + bytes, PAGE)
    }

    /// Bytes in all.
    pub const fn bytes(&self) -> u64 {
        let (offset, bytes) = self.collections();
        offset + bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_and_everything_is_aligned() {
        let mut memory = Memory::default();
        let mut end = TOLD + 8;
        for (device, events) in [
            (0x100, 1),
            (0x200, 2),
            (0x2f8, 33),
            (0x18, 2048),
            (0xffff, 65),
        ] {
            let table = memory.add(device, events);
            assert!(table.offset >= end && table.offset % 256 == 0);
            assert!(1 << table.bits >= events && 1 << table.bits < 2 * events.max(2));
            end = table.offset + (ENTRY_MAX << table.bits);
        }
        let (devices, bytes) = memory.devices();
        assert!(devices >= end && devices % PAGE == 0);
        assert!(bytes >= 0x1_0000 * ENTRY_MAX && bytes / PAGE <= 256);
        let (collections, bytes) = memory.collections();
        assert_eq!(collections, devices + 0x10_0000);
        assert_eq!(memory.bytes(), collections + bytes);
    }

    #[test]
    fn a_small_system_needs_three_pages() {
        let mut memory = Memory::default();
        memory.add(0x100, 1);
        assert_eq!(memory.bytes(), 3 * PAGE);
    }
}
