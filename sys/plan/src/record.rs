//! Records, and what a reader knows of them.

use zerocopy::{FromBytes, Immutable, KnownLayout};

/// A record type and the number that marks its table.
///
/// Records are `repr(C)`, without padding, with an alignment of at most 8. A later version of one is longer, and begins as
/// this one: a field never changes its place or its meaning, since programs are placed into systems that were built
/// after them.
pub trait Record: FromBytes + KnownLayout + Immutable {
    /// Number of the table, below [`MUST_UNDERSTAND`]; unique in a blob.
    const KIND: u32;
}

/// The bit of a table's kind that says: a reader that does not know all of it must not go on. What it does not know would
/// change what the rest means, or takes something away that the rest gives.
pub const MUST_UNDERSTAND: u32 = 1 << 31;

/// A kind of table that a reader knows, and the bytes of a record as it knows them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    kind: u32,
    len: u32,
}

impl Known {
    /// The table of `T`.
    pub const fn of<T: Record>() -> Self {
        Self {
            kind: T::KIND,
            len: size_of::<T>() as u32,
        }
    }

    /// Whether this is the table `kind`, and its records of `stride` bytes are known to their end.
    pub(crate) const fn covers(self, kind: u32, stride: u32) -> bool {
        self.kind == kind && self.len >= stride
    }
}
