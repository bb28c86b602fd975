//! Which IOVAs the driver has given to requests.
//!
//! It chooses them itself, at the end of the window, so that it knows where a buffer is mapped even if the server died
//! before it could say so.

use iommu_api::PAGE;

use crate::{SLOTS_MAX, TRANSFER_MAX};

/// Pages of the longest request.
pub const PAGES_MAX: usize = TRANSFER_MAX as usize / PAGE as usize;
/// Pages for all requests that can be in flight.
const PAGES: usize = SLOTS_MAX * PAGES_MAX;
const WORDS: usize = PAGES / 64;

/// The pages in use, from the first one of the area.
#[derive(Debug)]
pub struct Iovas {
    base: u64,
    used: [u64; WORDS],
}

impl Iovas {
    /// Nothing in use of the last pages of a window of `pages` from `base`.
    pub fn new(base: u64, pages: u64) -> Self {
        let area = pages.min(PAGES as u64);
        let mut iovas = Self {
            base: base.saturating_add((pages - area) * PAGE),
            used: [0; WORDS],
        };
        iovas.mark(area as usize, PAGES, true);
        iovas
    }

    /// Takes a run of pages; none if there is no free one as long.
    #[inline]
    pub fn take(&mut self, pages: usize) -> Option<u64> {
        for (at, word) in self.used.iter_mut().enumerate() {
            if let Some(first) = run_of(!*word, pages as u32) {
                *word |= mask(first, pages as u32);
                return Some(self.base + (at as u64 * 64 + u64::from(first)) * PAGE);
            }
        }
        self.take_across(pages)
    }

    /// Takes a run that no word has alone.
    #[cold]
    fn take_across(&mut self, pages: usize) -> Option<u64> {
        let mut first = 0;
        for page in 0..PAGES {
            if self.is_used(page) {
                first = page + 1;
            } else if page + 1 - first == pages {
                self.mark(first, first + pages, true);
                return Some(self.base + first as u64 * PAGE);
            }
        }
        None
    }

    /// Keeps out of a range where something else is mapped.
    pub fn avoid(&mut self, iova: u64, pages: usize) {
        self.set(iova, pages, true);
    }

    /// Gives a run back.
    #[inline]
    pub fn give(&mut self, iova: u64, pages: usize) {
        let first = iova.wrapping_sub(self.base) / PAGE;
        let bit = (first % 64) as u32;
        match self.used.get_mut((first / 64) as usize) {
            Some(word) if bit as usize + pages <= 64 => *word &= !mask(bit, pages as u32),
            _ => self.set(iova, pages, false),
        }
    }

    fn set(&mut self, iova: u64, pages: usize, used: bool) {
        for page in 0..pages as u64 {
            let at = (iova + page * PAGE).checked_sub(self.base);
            if let Some(first) = at.map(|offset| (offset / PAGE) as usize) {
                self.mark(first, first + 1, used);
            }
        }
    }

    fn is_used(&self, page: usize) -> bool {
        let word = self.used.get(page / 64).copied().unwrap_or(u64::MAX);
        word >> (page % 64) & 1 != 0
    }

    fn mark(&mut self, first: usize, end: usize, used: bool) {
        for page in first..end {
            if let Some(word) = self.used.get_mut(page / 64) {
                let bit = 1 << (page % 64);
                *word = if used { *word | bit } else { *word & !bit };
            }
        }
    }
}

/// The first bit of a run of `len` ones, if there is one.
#[inline(always)]
const fn run_of(ones: u64, len: u32) -> Option<u32> {
    if len == 0 || len > 64 {
        return None;
    }
    // Each one that is left begins a run of `have`.
    let (mut starts, mut have) = (ones, 1);
    while have < len && starts != 0 {
        let step = if have < len - have { have } else { len - have };
        starts &= starts >> step;
        have += step;
    }
    if starts == 0 {
        None
    } else {
        Some(starts.trailing_zeros())
    }
}

/// `len` ones, 1 to 64, from a bit on.
#[inline(always)]
const fn mask(first: u32, len: u32) -> u64 {
    u64::MAX >> (64 - len) << first
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const BASE: u64 = 0x1_0000_0000;

    #[test]
    fn runs_are_found_in_a_word_and_across() {
        assert_eq!(run_of(u64::MAX, 64), Some(0));
        assert_eq!(run_of(u64::MAX << 1, 64), None);
        assert_eq!(run_of(0b0111_0110, 3), Some(4));
        assert_eq!(run_of(0b0111_0110, 2), Some(1));
        assert_eq!(run_of(1 << 63, 1), Some(63));
        assert_eq!(run_of(0, 1), None);
        let mut iovas = Iovas::new(BASE, 128);
        let all: Vec<_> = (0..128).map_while(|_| iovas.take(1)).collect();
        assert_eq!(all.len(), 128);
        iovas.give(all[60], 1);
        iovas.give(all[62], 5);
        assert_eq!(iovas.take(5), Some(all[62]), "across two words");
        assert_eq!(iovas.take(1), Some(all[60]));
        assert_eq!(iovas.take(1), None);
        iovas.give(all[62], 5);
        assert_eq!(iovas.take(2), Some(all[62]));
        assert_eq!(iovas.take(3), Some(all[64]));
    }

    #[test]
    fn a_large_window_has_room_for_every_request() {
        let mut iovas = Iovas::new(BASE, 1 << 18);
        let all: Vec<_> = (0..SLOTS_MAX)
            .map_while(|_| iovas.take(PAGES_MAX))
            .collect();
        assert_eq!(all.len(), SLOTS_MAX);
        assert_eq!(all[0], BASE + ((1 << 18) - PAGES as u64) * PAGE);
        assert_eq!(
            all[SLOTS_MAX - 1] + PAGES_MAX as u64 * PAGE,
            BASE + (1 << 30)
        );
        assert_eq!(iovas.take(1), None);
        iovas.give(all[5] + PAGE, 2);
        assert_eq!(iovas.take(3), None);
        assert_eq!(iovas.take(2), Some(all[5] + PAGE));
    }

    #[test]
    fn a_small_window_is_not_left() {
        for pages in [0, 1, 17, 512] {
            let mut iovas = Iovas::new(BASE, pages);
            let mut count = 0;
            while let Some(iova) = iovas.take(1) {
                assert!((BASE..BASE + pages * PAGE).contains(&iova));
                count += 1;
            }
            assert_eq!(count, pages);
        }
    }

    #[test]
    fn what_is_avoided_is_not_given() {
        let mut iovas = Iovas::new(BASE, 20);
        // Partly before the area, which begins with the window here.
        iovas.avoid(BASE - PAGE, 4);
        assert_eq!(iovas.take(16), Some(BASE + 3 * PAGE));
        assert_eq!(iovas.take(1), Some(BASE + 19 * PAGE));
        assert_eq!(iovas.take(1), None);
    }
}
