//! Descriptors: how an entry of a table is written and read.

use crate::{Attributes, Granule};

/// Most output address bits that a descriptor of this format holds.
pub const OUTPUT_BITS_MAX: u32 = 48;

const VALID: u64 = 1 << 0;
/// Table at levels 0 to 2, page at level 3; clear is a block, or reserved at level 3.
const TABLE_OR_PAGE: u64 = 1 << 1;

/// Address bits at and above `shift`, below [`OUTPUT_BITS_MAX`].
const fn address_mask(shift: u32) -> u64 {
    ((1 << OUTPUT_BITS_MAX) - 1) & !((1 << shift) - 1)
}

/// A leaf of a level-`level` table that maps `output`: a page at level 3, a block above.
///
/// Bits of `output` that such a leaf cannot hold are dropped, so that no address can reach into the
/// attributes; [`crate::AddressSpace::map`] refuses them instead.
#[must_use]
pub const fn leaf(granule: Granule, level: u32, output: u64, attributes: Attributes) -> u64 {
    let kind = if level == 3 {
        VALID | TABLE_OR_PAGE
    } else {
        VALID
    };
    kind | attributes.bits() | output & address_mask(granule.entry_shift(level))
}

/// An entry that leads to the table at `next`, without the hierarchical attribute bits: rights are
/// given by leaves alone. `next` is aligned to the table's size.
#[must_use]
pub const fn table(granule: Granule, next: u64) -> u64 {
    VALID | TABLE_OR_PAGE | next & address_mask(granule.page_shift())
}

/// The kind of a table entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Descriptor {
    /// The entry translates nothing, by its valid bit or because the level has no such entry.
    Invalid,
    /// The entry leads to a table of the next level.
    Table {
        /// The table's physical address.
        next: u64,
    },
    /// The entry maps a page or a block.
    Leaf {
        /// The physical address of what it maps.
        output: u64,
        /// Attribute bits of the leaf.
        attributes: Attributes,
    },
}

impl Descriptor {
    /// Reads an entry of a level-`level` table.
    #[must_use]
    pub const fn decode(granule: Granule, level: u32, value: u64) -> Self {
        let page_or_table = value & TABLE_OR_PAGE != 0;
        if value & VALID == 0 {
            Self::Invalid
        } else if level < 3 && page_or_table {
            Self::Table {
                next: value & address_mask(granule.page_shift()),
            }
        } else if granule.maps_at(level) && page_or_table == (level == 3) {
            Self::Leaf {
                output: value & address_mask(granule.entry_shift(level)),
                attributes: Attributes::of(value),
            }
        } else {
            Self::Invalid
        }
    }
}
