//! One SMMU through the mappings of the task that owns it.

use plan::iommu::SmmuEntry;
use smmu::registers::FRAME_BYTES;
use userlib::memory::{acquire, publish, publish_stores};
use userlib::registers::{MappedRegisters, Registers, WordTable};
use userlib::time;

use crate::hardware::Hardware;

/// Registers and table memory.
#[derive(Debug)]
pub struct Mapped {
    registers: MappedRegisters,
    tables: WordTable,
}

impl Mapped {
    /// Maps the registers and tables of a planned SMMU.
    pub fn new(entry: &'static SmmuEntry) -> Self {
        Self {
            registers: MappedRegisters::planned(entry.registers_va, FRAME_BYTES as u64),
            tables: WordTable::planned(entry.tables_va, entry.tables_len),
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
        self.tables.load(offset)
    }
    #[inline(always)]
    fn store(&mut self, offset: u64, value: u64) {
        self.tables.store(offset, value);
    }
    #[inline(always)]
    fn store_words<const N: usize>(&mut self, offset: u64, values: [u64; N]) {
        if let Some(words) = self.tables.words(offset, N) {
            words.store(values);
        }
    }
    #[inline(always)]
    fn fill(&mut self, offset: u64, count: u64, next: impl FnMut() -> u64) {
        if let Some(words) = self.tables.words(offset, count as usize) {
            words.fill(next);
        }
    }
    #[inline(always)]
    fn store_each(&mut self, offset: u64, from: &[u64], make: impl Fn(u64) -> u64) {
        if let Some(words) = self.tables.words(offset, from.len()) {
            words.store_each(from, make);
        }
    }
    #[inline(always)]
    fn clear(&mut self, offset: u64, count: u64) {
        if let Some(words) = self.tables.words(offset, count as usize) {
            words.clear();
        }
    }
    #[inline(always)]
    fn fold<T>(
        &mut self,
        offset: u64,
        count: u64,
        start: T,
        mut step: impl FnMut(T, u64) -> T,
    ) -> T {
        match self.tables.words(offset, count as usize) {
            Some(words) => words.fold(start, step),
            // What lies outside loads 0.
            None => (0..count).fold(start, |result, _| step(result, 0)),
        }
    }
    #[inline(always)]
    fn publish(&mut self) {
        publish_stores();
    }
    fn publish_after_loads(&mut self) {
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
