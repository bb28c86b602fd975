//! Indices of circular queues (§3.5.1).

/// A producer or consumer index with its wrap bit, in a queue of 2^`log2` entries.
///
/// The wrap bit is the bit above the index; queues are empty when both are equal, and full when
/// only the wrap bits differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct QueueIndex {
    raw: u32,
    /// Index and wrap bit.
    mask: u32,
}

impl QueueIndex {
    /// Reads an index from a register's value; bits above the wrap bit are dropped. `log2` is at most 19.
    pub const fn new(raw: u32, log2: u32) -> Self {
        let log2 = if log2 > 19 { 19 } else { log2 };
        let mask = (2 << log2) - 1;
        Self {
            raw: raw & mask,
            mask,
        }
    }
    /// The index in the same queue that a register holds.
    #[inline(always)]
    pub const fn at(self, raw: u32) -> Self {
        Self {
            raw: raw & self.mask,
            mask: self.mask,
        }
    }
    /// Index and wrap bit, as the register holds them.
    #[inline(always)]
    pub const fn raw(self) -> u32 {
        self.raw
    }
    /// Position in the queue, below 2^log2.
    #[inline(always)]
    pub const fn slot(self) -> u64 {
        (self.raw & (self.mask >> 1)) as u64
    }
    /// The index `count` entries on; `count` is at most 2^log2.
    #[inline(always)]
    pub const fn advance(self, count: u32) -> Self {
        self.at(self.raw.wrapping_add(count))
    }
    /// Entries from `earlier` up to this index, 0 to 2^(log2 + 1) - 1; above 2^log2 the two are inconsistent.
    #[inline(always)]
    pub const fn distance(self, earlier: Self) -> u32 {
        self.raw.wrapping_sub(earlier.raw) & self.mask
    }
}

#[cfg(test)]
mod tests {
    use super::QueueIndex;

    #[test]
    fn wraps_twice_around() {
        let mut index = QueueIndex::new(0, 2);
        for step in 0..20u32 {
            assert_eq!(index.slot(), u64::from(step % 4));
            assert_eq!(index.raw(), step % 8);
            index = index.advance(1);
        }
    }

    #[test]
    fn distances() {
        let at = |raw| QueueIndex::new(raw, 3);
        assert_eq!(at(5).distance(at(5)), 0);
        assert_eq!(at(13).distance(at(5)), 8);
        assert_eq!(at(2).distance(at(14)), 4);
        assert_eq!(at(4).distance(at(5)), 15);
    }

    #[test]
    fn ignores_flags_above_the_wrap_bit() {
        assert_eq!(QueueIndex::new(0x8100_0003, 7).raw(), 3);
    }
}
