//! Which IOVAs the driver has given to requests.
//!
//! It chooses them itself, at the end of the window, so that it knows where a buffer is mapped even if the server died
//! before it could say so.

use iommu_api::PAGE;

use crate::layout::SLOTS_MAX;
use crate::transport::TRANSFER_MAX;

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
    pub fn take(&mut self, pages: usize) -> Option<u64> {
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
    pub fn give(&mut self, iova: u64, pages: usize) {
        self.set(iova, pages, false);
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const BASE: u64 = 0x1_0000_0000;

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
