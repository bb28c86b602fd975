//! Registers that are mapped into this task.

use plan::task::{DeviceEntry, MappingEntry};

use super::Registers;
use crate::run::{Run, accessors};

/// Registers of a device, mapped into this task.
#[derive(Clone, Copy, Debug)]
pub struct MappedRegisters(Run);

impl MappedRegisters {
    /// The registers of a mapping of kind `Registers`, `PciConfiguration` or `SmmuTables`.
    pub fn of(mapping: &MappingEntry) -> Self {
        Self::planned(mapping.va, mapping.len)
    }

    /// BAR `number` of a device that this task drives; `None` where it has none.
    pub fn bar(device: &DeviceEntry, number: usize) -> Option<Self> {
        let va = *device.bar_va.get(number)?;
        let len = *device.bar_len.get(number)?;
        (va != 0).then(|| Self::planned(va, len))
    }

    /// The registers named by address in a server's own plan record (`plan::pci`, `plan::iommu`); empty where the plan
    /// maps nothing for this task.
    pub fn planned(va: u64, len: u64) -> Self {
        Self(Run::planned(va, len))
    }

    /// A part of the block; empty where it exceeds it.
    pub fn part(&self, offset: usize, len: usize) -> Self {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.0.len);
        Self(Run {
            va: self.0.va + offset as u64,
            len: if inside { len } else { 0 },
        })
    }

    /// `count` consecutive 64-bit words from `offset`, checked once; `None` if they are not wholly inside and
    /// aligned.
    #[inline(always)]
    pub fn words(&self, offset: usize, count: usize) -> Option<Words> {
        let len = count.checked_mul(size_of::<u64>())?;
        let inside = offset.checked_add(len)? <= self.0.len;
        let address = self.0.va + offset as u64;
        (inside && address.is_multiple_of(align_of::<u64>() as u64)).then_some(Words {
            first: address as *mut u64,
            count,
        })
    }

    /// Bytes.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether the block is empty.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }
}

/// Consecutive words of a mapping, made by [`MappedRegisters::words`]; each is accessed once, in ascending
/// order.
#[derive(Debug)]
pub struct Words {
    first: *mut u64,
    count: usize,
}

/// Words accessed between two looks at the count.
const STRIDE: usize = 4;

impl Words {
    /// Writes to each word what `next` gives.
    #[inline(always)]
    pub fn fill(self, mut next: impl FnMut() -> u64) {
        for index in 0..self.count {
            self.write(index, next());
        }
    }

    /// Writes the first two words, if there are as many.
    #[inline(always)]
    pub fn store_pair(self, [first, second]: [u64; 2]) {
        if self.count >= 2 {
            self.write(0, first);
            self.write(1, second);
        }
    }

    /// Writes zero to each.
    #[inline(always)]
    pub fn clear(self) {
        let whole = self.count & !(STRIDE - 1);
        for index in (0..whole).step_by(STRIDE) {
            for word in index..index + STRIDE {
                self.write(word, 0);
            }
        }
        for index in whole..self.count {
            self.write(index, 0);
        }
    }

    /// Combines all words.
    #[inline(always)]
    pub fn fold<T>(self, start: T, mut step: impl FnMut(T, u64) -> T) -> T {
        let mut result = start;
        let whole = self.count & !(STRIDE - 1);
        for index in (0..whole).step_by(STRIDE) {
            for word in index..index + STRIDE {
                result = step(result, self.read(word));
            }
        }
        for index in whole..self.count {
            result = step(result, self.read(index));
        }
        result
    }

    /// Reads a word; `index` is below the count, as all callers here ensure.
    #[inline(always)]
    fn read(&self, index: usize) -> u64 {
        debug_assert!(index < self.count);
        // SAFETY: `words` checked that `count` words lie in a mapping of the plan, aligned, and the index is
        // below it; no reference to this memory exists anywhere.
        unsafe { self.first.add(index).read_volatile() }
    }

    /// Writes a word; as [`Self::read`].
    #[inline(always)]
    fn write(&self, index: usize, value: u64) {
        debug_assert!(index < self.count);
        // SAFETY: as for `read`; a mapping made into registers is writable.
        unsafe { self.first.add(index).write_volatile(value) };
    }
}

accessors!(Registers for MappedRegisters, outside u64::MAX,);
