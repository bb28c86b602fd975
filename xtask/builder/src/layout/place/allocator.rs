//! Physical memory, given out from the bottom.

use abi::layout::PAGE;

use super::Extent;

/// Gives out memory in the order in which it is asked for, and keeps clear of what devices reach at any time.
pub struct Allocator {
    next: u64,
    holes: Vec<Extent>,
}

impl Allocator {
    pub fn new(base: u64) -> Self {
        Self {
            next: base,
            holes: Vec::new(),
        }
    }

    /// Keeps `holes` free: from now on nothing is given out that overlaps one of them.
    pub fn avoid(&mut self, holes: Vec<Extent>) {
        self.holes = holes;
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
        let mut pa = self.next.next_multiple_of(alignment);
        // Every hole is passed at most once, as the address only grows.
        while let Some(hole) = self.overlapped(Extent { pa, len }) {
            pa = hole.end().next_multiple_of(alignment);
        }
        self.next = pa.saturating_add(len);
        Extent { pa, len }
    }

    fn overlapped(&self, extent: Extent) -> Option<Extent> {
        let mut holes = self.holes.iter().copied();
        holes.find(|hole| hole.overlaps(extent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_clear_of_holes() {
        let hole = |pa, len| Extent { pa, len };
        let mut memory = Allocator::new(0x1000);
        memory.avoid(vec![hole(0x3000, 0x1000), hole(0x4000, 0x2000)]);
        assert_eq!(memory.pages(0x2000), hole(0x1000, 0x2000));
        // Both holes, which touch, are behind it.
        assert_eq!(memory.pages(0x1000), hole(0x6000, 0x1000));
        let mut memory = Allocator::new(0x1000);
        memory.avoid(vec![hole(0x3000, 0x1000)]);
        // Would reach into the hole.
        assert_eq!(memory.pages(0x3000), hole(0x4000, 0x3000));
        let mut memory = Allocator::new(0x1000);
        memory.avoid(vec![hole(0x2f000, 0x2000)]);
        assert_eq!(memory.aligned(0x1000, 0x20000), hole(0x20000, 0x1000));
        assert_eq!(memory.aligned(0x10000, 0x20000), hole(0x40000, 0x10000));
    }
}
