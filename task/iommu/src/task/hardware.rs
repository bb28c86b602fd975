//! One SMMU through this task's mappings.

use iommu::hardware::Hardware;
use smmu::registers::FRAME_BYTES;
use userlib::memory::{acquire, publish};
use userlib::plan::iommu::SmmuEntry;
use userlib::registers::{MappedRegisters, Registers};
use userlib::time;

/// Registers and table memory.
pub struct Mapped {
    registers: MappedRegisters,
    tables: MappedRegisters,
}

impl Mapped {
    /// Of a planned SMMU.
    pub fn new(entry: &'static SmmuEntry) -> Self {
        Self {
            registers: MappedRegisters::planned(entry.registers_va, FRAME_BYTES as u64),
            tables: MappedRegisters::planned(entry.tables_va, entry.tables_len),
        }
    }
}

impl Hardware for Mapped {
    #[inline(always)]
    fn read32(&mut self, register: usize) -> u32 {
        self.registers.read32(register)
    }
    #[inline(always)]
    fn write32(&mut self, register: usize, value: u32) {
        self.registers.write32(register, value);
    }
    fn read64(&mut self, register: usize) -> u64 {
        self.registers.read64(register)
    }
    fn write64(&mut self, register: usize, value: u64) {
        self.registers.write64(register, value);
    }
    #[inline(always)]
    fn load(&mut self, offset: u64) -> u64 {
        self.tables.read64(offset as usize)
    }
    #[inline(always)]
    fn store(&mut self, offset: u64, value: u64) {
        self.tables.write64(offset as usize, value);
    }
    #[inline(always)]
    fn publish(&mut self) {
        publish();
    }
    #[inline(always)]
    fn acquire(&mut self) {
        acquire();
    }
    fn now(&mut self) -> u64 {
        time::now().0
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        time::ticks(nanoseconds)
    }
}
