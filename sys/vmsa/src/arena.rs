//! Tables in a slice, for those who build them in ordinary memory.

use crate::Tables;

/// Tables allocated one after the other in a slice of words that starts at a physical address.
///
/// Consecutive allocations of full tables are contiguous.
pub struct Arena<'a> {
    words: &'a mut [u64],
    base: u64,
    used: usize,
}

impl<'a> Arena<'a> {
    /// An arena over `words`, which lie at physical address `base` (a multiple of the granule) and are
    /// all zero.
    pub const fn new(words: &'a mut [u64], base: u64) -> Self {
        Self {
            words,
            base,
            used: 0,
        }
    }

    /// Physical address of the first byte that is not allocated.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.base + self.used as u64 * 8
    }

    fn index(&self, address: u64) -> Option<usize> {
        let offset = address.checked_sub(self.base)?;
        if !offset.is_multiple_of(8) {
            return None;
        }
        usize::try_from(offset / 8)
            .ok()
            .filter(|&index| index < self.used)
    }
}

impl Tables for Arena<'_> {
    fn allocate(&mut self, bytes: u64) -> Option<u64> {
        let address = self.end().checked_next_multiple_of(bytes)?;
        let last = address.checked_add(bytes)?.checked_sub(self.base)?;
        let used = usize::try_from(last / 8).ok()?;
        if used > self.words.len() {
            return None;
        }
        self.used = used;
        Some(address)
    }

    /// 0, an invalid descriptor, for an address in no table.
    fn read(&self, address: u64) -> u64 {
        self.index(address)
            .and_then(|index| self.words.get(index))
            .copied()
            .unwrap_or(0)
    }

    fn write(&mut self, address: u64, descriptor: u64) {
        let index = self.index(address);
        if let Some(word) = index.and_then(|index| self.words.get_mut(index)) {
            *word = descriptor;
        }
    }
}
