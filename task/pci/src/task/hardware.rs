//! Configuration space and BARs as this task has them mapped.

use crate::{Address, BarRegisters, Clock, ConfigSpace, Record};
use pci_api::Width;
use plan::pci::{HostBridgeEntry, RECORD_BYTES};
use userlib::delay::{Delay, DelayNs};
use userlib::registers::{MappedRegisters, Registers};
use userlib::time;

/// Bytes of one bus in the memory-mapped configuration space (PCI Express Base 4.0, 7.2.2).
const BUS: u64 = 1 << 20;

/// The mapped configuration space of one host bridge.
pub struct Hardware {
    space: MappedRegisters,
    record: MappedRegisters,
    bus_first: u32,
}

impl Hardware {
    /// The registers that the plan maps for this host bridge.
    pub fn new(host: &HostBridgeEntry) -> Self {
        let buses = u64::from(host.bus_last.saturating_sub(host.bus_first)) + 1;
        Self {
            space: MappedRegisters::planned(host.ecam_va, buses * BUS),
            record: MappedRegisters::planned(host.record_va, RECORD_BYTES),
            bus_first: host.bus_first,
        }
    }

    /// Offset in the mapping; outside of it for a bus that is not mapped, where reads give all ones.
    fn offset(&self, function: Address, offset: u16) -> usize {
        let bus = u32::from(function.bus()).wrapping_sub(self.bus_first) as usize;
        bus << 20 | usize::from(function.0 as u8) << 12 | usize::from(offset & 0xfff)
    }
}

impl ConfigSpace for Hardware {
    fn read(&self, function: Address, offset: u16, width: Width) -> u32 {
        let at = self.offset(function, offset);
        match width {
            Width::Byte => u32::from(self.space.read8(at)),
            Width::HalfWord => u32::from(self.space.read16(at)),
            Width::Word => self.space.read32(at),
        }
    }

    fn write(&self, function: Address, offset: u16, width: Width, value: u32) {
        let at = self.offset(function, offset);
        match width {
            Width::Byte => self.space.write8(at, value as u8),
            Width::HalfWord => self.space.write16(at, value as u16),
            Width::Word => self.space.write32(at, value),
        }
    }
}

impl Record for Hardware {
    fn load(&self, index: usize) -> u64 {
        self.record.read64(index * size_of::<u64>())
    }

    fn store(&self, index: usize, value: u64) {
        self.record.write64(index * size_of::<u64>(), value);
    }
}

impl Clock for Hardware {
    fn now(&self) -> u64 {
        time::now().nanoseconds()
    }

    fn delay(&self) -> impl DelayNs {
        Delay::new()
    }
}

impl BarRegisters for Hardware {
    fn read32(&self, va: u64, len: u64, offset: u32) -> u32 {
        bar(va, len).read32(offset as usize)
    }

    fn write32(&self, va: u64, len: u64, offset: u32, value: u32) {
        bar(va, len).write32(offset as usize, value);
    }
}

/// A recipe without a BAR has address 0: nothing is accessed.
fn bar(va: u64, len: u64) -> MappedRegisters {
    MappedRegisters::planned(va, if va == 0 { 0 } else { len })
}
