//! Device registers.

mod mapped;

pub use mapped::{MappedRegisters, WordTable, Words};

/// A block of device registers, so that a driver's core runs against a fake on the host.
///
/// Offsets are in bytes and naturally aligned. An access outside the block reads all ones and writes
/// nothing, as on a bus without a device.
pub trait Registers {
    /// Reads a byte.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 16 bits.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 32 bits.
    fn read32(&self, offset: usize) -> u32;
    /// Reads 64 bits in one access.
    fn read64(&self, offset: usize) -> u64;
    /// Writes a byte.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 16 bits.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 32 bits.
    fn write32(&self, offset: usize, value: u32);
    /// Writes 64 bits in one access.
    fn write64(&self, offset: usize, value: u64);
}
