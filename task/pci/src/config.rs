//! Access to configuration space and to BARs of devices.

use pci_api::Width;

use userlib::delay::DelayNs;

use crate::address::Address;
use crate::registers::{DEVICE_ID, VENDOR_ABSENT, VENDOR_ID, VENDOR_RETRY};

/// Configuration space of one segment, 4 KiB a function.
///
/// Offsets are naturally aligned. Where nothing answers, a read gives all ones and a write does
/// nothing. A read completes after all earlier writes to the same function have arrived.
pub trait ConfigSpace {
    /// Reads; bits beyond the width are 0.
    fn read(&self, function: Address, offset: u16, width: Width) -> u32;
    /// Writes the low bits of `value`.
    fn write(&self, function: Address, offset: u16, width: Width, value: u32);
}

/// Words of this task's own memory that its death leaves as they are.
pub trait Record {
    /// A word; 0 outside.
    fn load(&self, index: usize) -> u64;
    /// Changes one; nothing outside.
    fn store(&self, index: usize, value: u64);
}

/// Time, while there is nobody to be served.
pub trait Clock {
    /// Nanoseconds since some start.
    fn now(&self) -> u64;
    /// Lets time pass.
    fn delay(&self) -> impl DelayNs;
}

/// The BAR registers that quiesce recipes name, by the virtual address of the BAR in the plan.
pub trait BarRegisters {
    /// Reads 32 bits `offset` bytes into the BAR of `len` bytes at `va`; all ones if outside.
    fn read32(&self, va: u64, len: u64, offset: u32) -> u32;
    /// Writes 32 bits there; nothing if outside.
    fn write32(&self, va: u64, len: u64, offset: u32, value: u32);
}

/// One function's configuration space.
pub(crate) struct Function<'a, C> {
    space: &'a C,
    address: Address,
}

impl<'a, C: ConfigSpace> Function<'a, C> {
    pub(crate) fn new(space: &'a C, address: Address) -> Self {
        Self { space, address }
    }
    pub(crate) fn read8(&self, offset: u16) -> u8 {
        self.space.read(self.address, offset, Width::Byte) as u8
    }
    pub(crate) fn read16(&self, offset: u16) -> u16 {
        self.space.read(self.address, offset, Width::HalfWord) as u16
    }
    pub(crate) fn read32(&self, offset: u16) -> u32 {
        self.space.read(self.address, offset, Width::Word)
    }
    pub(crate) fn write16(&self, offset: u16, value: u16) {
        let value = u32::from(value);
        self.space
            .write(self.address, offset, Width::HalfWord, value);
    }
    pub(crate) fn write32(&self, offset: u16, value: u32) {
        self.space.write(self.address, offset, Width::Word, value);
    }
    /// The presence that a read of the ids shows.
    pub(crate) fn presence(&self) -> Presence {
        match self.read16(VENDOR_ID) {
            VENDOR_ABSENT => Presence::Nobody,
            VENDOR_RETRY => Presence::Later,
            vendor => Presence::There(vendor, self.read16(DEVICE_ID)),
        }
    }
    /// Vendor and device id; none while nothing answers, or the device asks to be tried again later.
    pub(crate) fn identity(&self) -> Option<(u16, u16)> {
        match self.presence() {
            Presence::There(vendor, device) => Some((vendor, device)),
            Presence::Nobody | Presence::Later => None,
        }
    }
}

/// The presence of a function at a place where one may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Presence {
    /// Nothing answers, or nothing answers yet.
    Nobody,
    /// A function that is not ready: it asks to be tried again.
    Later,
    /// A function of this vendor and device id.
    There(u16, u16),
}
