//! Runs of entries, and what they map.

use super::{ADDRESS_MASK, MEMBER_MASK, MEMBER_SHIFT};

/// A run of entries of one part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// First entry.
    pub first: u64,
    /// How many, at least 1.
    pub count: u64,
}

impl Run {
    /// No entries: part of nothing, and in nobody's way.
    pub const NONE: Self = Self {
        first: u64::MAX,
        count: 0,
    };
    pub(crate) const fn end(self) -> u64 {
        self.first + self.count
    }
    /// Whether the two have an entry in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first < other.end() && other.first < self.end()
    }
    /// Whether all of `other` lies in this run.
    pub const fn contains(self, other: Self) -> bool {
        self.first <= other.first && other.end() <= self.end()
    }
}

/// Entries in a row that map consecutive memory alike.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// Which.
    pub run: Run,
    /// The first of them.
    pub word: u64,
    /// Pages of 4 KiB that each maps.
    pub entry_pages: u64,
    /// Whether at least one of the entries is retracted.
    pub retracted: bool,
}

impl Stretch {
    /// Whose they are.
    pub const fn mark(&self) -> u64 {
        (self.word & MEMBER_MASK) >> MEMBER_SHIFT
    }
    /// Physical address that the first leads to.
    pub const fn output(&self) -> u64 {
        self.word & ADDRESS_MASK
    }
}
