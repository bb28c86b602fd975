//! Physical memory, given out from the bottom.

use abi::layout::PAGE;

use super::Extent;

/// Gives out memory in the order in which it is asked for.
pub struct Allocator {
    next: u64,
}

impl Allocator {
    pub fn new(base: u64) -> Self {
        Self { next: base }
    }

    /// First address not given out, a multiple of the page size.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Takes everything below `end`.
    pub fn reserve_to(&mut self, end: u64) {
        self.next = self.next.max(end.next_multiple_of(PAGE));
    }

    /// Whole pages.
    pub fn pages(&mut self, len: u64) -> Extent {
        self.aligned(len, PAGE)
    }

    /// Whole pages at a multiple of `alignment`.
    pub fn aligned(&mut self, len: u64, alignment: u64) -> Extent {
        let len = len.next_multiple_of(PAGE);
        if len == 0 {
            return Extent {
                pa: self.next,
                len: 0,
            };
        }
        let pa = self.next.next_multiple_of(alignment);
        self.next = pa.saturating_add(len);
        Extent { pa, len }
    }
}
