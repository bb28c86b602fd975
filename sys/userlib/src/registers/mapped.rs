//! Registers that are mapped into this task.

use plan::task::{DeviceEntry, MappingEntry};

use super::Registers;
use crate::memory;
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

    /// Bytes.
    pub fn len(&self) -> usize {
        self.0.len
    }

    /// Whether the block is empty.
    pub fn is_empty(&self) -> bool {
        self.0.len == 0
    }
}

/// 64-bit words of a mapping, for tables that a device reads: named by their offset in bytes.
#[derive(Clone, Copy, Debug)]
pub struct WordTable {
    /// Address of the first, aligned.
    first: u64,
    count: usize,
}

impl WordTable {
    /// The words of a server's own plan record; none where the plan does not map all of it for this task, or not on a
    /// word's boundary.
    pub fn planned(va: u64, len: u64) -> Self {
        let Run { va, len } = Run::planned(va, len);
        let aligned = va.is_multiple_of(size_of::<u64>() as u64);
        Self {
            first: va,
            count: if aligned { len / size_of::<u64>() } else { 0 },
        }
    }

    /// The number of the word at an offset. One within a word gives a number that no table has, so that one comparison
    /// tells whether there is such a word.
    #[inline(always)]
    const fn number(offset: u64) -> usize {
        offset.rotate_right(size_of::<u64>().trailing_zeros()) as usize
    }

    #[inline(always)]
    const fn address(&self, number: usize) -> *mut u64 {
        (self.first as *mut u64).wrapping_add(number)
    }

    /// Reads a word; 0 outside.
    #[inline(always)]
    pub fn load(&self, offset: u64) -> u64 {
        let number = Self::number(offset);
        if number >= self.count {
            return 0;
        }
        // SAFETY: the word lies in a mapping of the plan, aligned; no reference to this memory exists anywhere.
        unsafe { self.address(number).read_volatile() }
    }

    /// Writes a word; nothing outside.
    #[inline(always)]
    pub fn store(&self, offset: u64, value: u64) {
        let number = Self::number(offset);
        if number < self.count {
            // SAFETY: as for `load`; a mapping made into registers is writable.
            unsafe { self.address(number).write_volatile(value) };
        }
    }

    /// Makes what was written to these bytes visible to a device that may not see the caches; nothing if they are not wholly
    /// inside.
    pub fn hand_over(&self, offset: u64, bytes: usize) {
        let run = Run {
            va: self.first,
            len: self.count * size_of::<u64>(),
        };
        memory::clean_invalidate(run, offset as usize, bytes);
    }

    /// `count` consecutive words from `offset`; `None` if they are not wholly inside.
    #[inline(always)]
    pub fn words(&self, offset: u64, count: usize) -> Option<Words> {
        let number = Self::number(offset);
        (number < self.count && count <= self.count - number).then(|| Words {
            first: self.address(number),
            count,
        })
    }
}

/// Consecutive words of a mapping, made by [`WordTable::words`]. Each is accessed once, whole; in which order is
/// nobody's business, as several are accessed by one instruction.
#[derive(Debug)]
pub struct Words {
    first: *mut u64,
    count: usize,
}

impl Words {
    /// Writes to each word what `next` gives.
    #[inline(always)]
    pub fn fill(self, mut next: impl FnMut() -> u64) {
        let Self { mut first, count } = self;
        for _ in 0..count / EIGHT {
            let values = [
                next(),
                next(),
                next(),
                next(),
                next(),
                next(),
                next(),
                next(),
            ];
            // SAFETY: the table checked that `count` words lie in a mapping of the plan, aligned, and these eight are of
            // them; no reference to this memory exists anywhere. A mapping made into registers is writable.
            first = unsafe { eights::store(first, values) };
        }
        for _ in 0..count % EIGHT {
            // SAFETY: as above, of the words that are left.
            first = unsafe { one::store(first, next()) };
        }
    }

    /// Writes to each word what `make` makes of the one of `from` in its place; as many as there are of both.
    #[inline(always)]
    pub fn store_each(self, from: &[u64], make: impl Fn(u64) -> u64) {
        let mut first = self.first;
        let from = from.get(..self.count).unwrap_or(from);
        let (whole, rest) = from.as_chunks::<EIGHT>();
        for words in whole {
            // SAFETY: as in `fill`; there are not more words in `from` than here.
            first = unsafe { eights::store(first, words.map(&make)) };
        }
        for word in rest {
            // SAFETY: as above, of the words that are left.
            first = unsafe { one::store(first, make(*word)) };
        }
    }

    /// Writes the first words, as many as there are of both.
    #[inline(always)]
    pub fn store<const N: usize>(self, values: [u64; N]) {
        if N <= self.count {
            let mut first = self.first;
            for value in values {
                // SAFETY: as in `fill`.
                first = unsafe { one::store(first, value) };
            }
        } else {
            self.store_each(&values, |value| value);
        }
    }

    /// Writes zero to each.
    #[inline(always)]
    pub fn clear(self) {
        let Self { mut first, count } = self;
        for _ in 0..count / EIGHT {
            // SAFETY: as in `fill`.
            first = unsafe { eights::clear(first) };
        }
        for _ in 0..count % EIGHT {
            // SAFETY: as above, of the words that are left.
            first = unsafe { one::store(first, 0) };
        }
    }

    /// Combines all words.
    #[inline(always)]
    pub fn fold<T>(self, start: T, mut step: impl FnMut(T, u64) -> T) -> T {
        let Self { mut first, count } = self;
        let mut result = start;
        for _ in 0..count / EIGHT {
            // SAFETY: as in `fill`.
            let (next, values) = unsafe { eights::load(first) };
            first = next;
            for value in values {
                result = step(result, value);
            }
        }
        for _ in 0..count % EIGHT {
            // SAFETY: as above, of the words that are left.
            let (next, value) = unsafe { one::load(first) };
            first = next;
            result = step(result, value);
        }
        result
    }
}

/// Words that are accessed between two looks at how many are left.
const EIGHT: usize = 8;

/// One word; each access gives the address behind it.
mod one {
    /// Loads.
    ///
    /// # Safety
    ///
    /// The word lies in a mapping of this task, aligned, and no reference to it exists.
    #[inline(always)]
    pub(super) unsafe fn load(at: *mut u64) -> (*mut u64, u64) {
        // SAFETY: the caller says so.
        unsafe { (at.add(1), at.read_volatile()) }
    }

    /// Stores.
    ///
    /// # Safety
    ///
    /// As for [`load`], and the mapping is writable.
    #[inline(always)]
    pub(super) unsafe fn store(at: *mut u64, value: u64) -> *mut u64 {
        // SAFETY: the caller says so.
        unsafe {
            at.write_volatile(value);
            at.add(1)
        }
    }
}

/// Eight words in four accesses of two; the compiler joins no volatile accesses. The two of a pair are single-copy atomic
/// each (Arm ARM B2.2.1), as if they were accessed one by one.
#[cfg(target_os = "none")]
mod eights {
    use core::arch::asm;

    use super::EIGHT;

    /// Loads.
    ///
    /// # Safety
    ///
    /// The words lie in a mapping of this task, aligned, and no reference to them exists.
    #[inline(always)]
    pub(super) unsafe fn load(mut at: *mut u64) -> (*mut u64, [u64; EIGHT]) {
        let (a, b, c, d, e, f, g, h): (u64, u64, u64, u64, u64, u64, u64, u64);
        // SAFETY: the caller says so; the address is moved behind what was loaded.
        unsafe {
            asm!(
                "ldp {a}, {b}, [{at}], #64",
                "ldp {c}, {d}, [{at}, #-48]",
                "ldp {e}, {f}, [{at}, #-32]",
                "ldp {g}, {h}, [{at}, #-16]",
                at = inout(reg) at,
                a = out(reg) a, b = out(reg) b, c = out(reg) c, d = out(reg) d,
                e = out(reg) e, f = out(reg) f, g = out(reg) g, h = out(reg) h,
                options(nostack, preserves_flags)
            );
        }
        (at, [a, b, c, d, e, f, g, h])
    }

    /// Stores.
    ///
    /// # Safety
    ///
    /// As for [`load`], and the mapping is writable.
    #[inline(always)]
    pub(super) unsafe fn store(mut at: *mut u64, values: [u64; EIGHT]) -> *mut u64 {
        let [a, b, c, d, e, f, g, h] = values;
        // SAFETY: the caller says so; the address is moved behind what was stored.
        unsafe {
            asm!(
                "stp {a}, {b}, [{at}], #64",
                "stp {c}, {d}, [{at}, #-48]",
                "stp {e}, {f}, [{at}, #-32]",
                "stp {g}, {h}, [{at}, #-16]",
                at = inout(reg) at,
                a = in(reg) a, b = in(reg) b, c = in(reg) c, d = in(reg) d,
                e = in(reg) e, f = in(reg) f, g = in(reg) g, h = in(reg) h,
                options(nostack, preserves_flags)
            );
        }
        at
    }

    /// Stores zero.
    ///
    /// # Safety
    ///
    /// As for [`store`].
    #[inline(always)]
    pub(super) unsafe fn clear(mut at: *mut u64) -> *mut u64 {
        // SAFETY: the caller says so; the address is moved behind what was stored.
        unsafe {
            asm!(
                "stp xzr, xzr, [{at}], #64",
                "stp xzr, xzr, [{at}, #-48]",
                "stp xzr, xzr, [{at}, #-32]",
                "stp xzr, xzr, [{at}, #-16]",
                at = inout(reg) at,
                options(nostack, preserves_flags)
            );
        }
        at
    }
}

/// The same by single accesses.
#[cfg(not(target_os = "none"))]
mod eights {
    use super::{EIGHT, one};

    pub(super) unsafe fn load(mut at: *mut u64) -> (*mut u64, [u64; EIGHT]) {
        let mut values = [0; EIGHT];
        for value in &mut values {
            // SAFETY: the caller says so.
            (at, *value) = unsafe { one::load(at) };
        }
        (at, values)
    }

    pub(super) unsafe fn store(mut at: *mut u64, values: [u64; EIGHT]) -> *mut u64 {
        for value in values {
            // SAFETY: the caller says so.
            at = unsafe { one::store(at, value) };
        }
        at
    }

    pub(super) unsafe fn clear(at: *mut u64) -> *mut u64 {
        // SAFETY: the caller says so.
        unsafe { store(at, [0; EIGHT]) }
    }
}

accessors!(Registers for MappedRegisters, outside u64::MAX,);

#[cfg(test)]
mod tests {
    use super::*;

    /// Words of the test's own, as if they were mapped.
    fn words(memory: &mut [u64]) -> Words {
        Words {
            first: memory.as_mut_ptr(),
            count: memory.len(),
        }
    }

    #[test]
    fn every_word_is_accessed_once_and_none_beyond() {
        for count in 0..40usize {
            let mut memory = [7u64; 48];
            let mut next = 0;
            words(&mut memory[4..4 + count]).fill(|| {
                next += 1;
                next
            });
            for (place, word) in memory.into_iter().enumerate() {
                let inside = (4..4 + count).contains(&place);
                assert_eq!(word, if inside { place as u64 - 3 } else { 7 });
            }
            let sum = words(&mut memory[4..4 + count]).fold(0, |sum, word| sum * 3 % 1009 + word);
            let expected = (1..=count as u64).fold(0, |sum, word| sum * 3 % 1009 + word);
            assert_eq!((next, sum), (count as u64, expected));
            words(&mut memory[4..4 + count]).clear();
            assert_eq!(memory.iter().filter(|word| **word == 0).count(), count);
        }
    }

    #[test]
    fn a_table_has_its_words_and_no_others() {
        let mut memory = [7u64; 12];
        let table = WordTable {
            first: memory[1..].as_mut_ptr() as u64,
            count: 9,
        };
        for place in 0..9 {
            table.store(place * 8, place);
        }
        for offset in (0..100).chain([u64::MAX - 7, u64::MAX, 1 << 63, 1 << 61]) {
            let inside = offset.is_multiple_of(8) && offset < 72;
            assert_eq!(table.load(offset), if inside { offset / 8 } else { 0 });
            for count in [0, 1, 2, 9, 10, usize::MAX] {
                let fits = inside && count as u64 <= 9 - offset / 8;
                assert_eq!(
                    table.words(offset, count).is_some(),
                    fits,
                    "{offset} {count}"
                );
            }
            if !inside {
                table.store(offset, 99);
            }
        }
        table.words(8, 2).unwrap().store([21, 22, 23]);
        table.words(32, 4).unwrap().store([24, 25, 26]);
        assert_eq!(memory, [7, 0, 21, 22, 3, 24, 25, 26, 7, 8, 7, 7]);
    }

    #[test]
    fn as_many_are_made_as_there_are_of_both() {
        let from: [u64; 30] = core::array::from_fn(|place| place as u64);
        for (count, given) in (0..24usize).flat_map(|count| [(count, 24), (24, count)]) {
            let mut memory = [7u64; 30];
            words(&mut memory[..count]).store_each(&from[..given], |word| word * 2 + 100);
            for (place, word) in memory.into_iter().enumerate() {
                let made = place < count.min(given);
                assert_eq!(word, if made { place as u64 * 2 + 100 } else { 7 });
            }
        }
    }
}
