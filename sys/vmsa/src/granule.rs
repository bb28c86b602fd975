//! Translation granules and the shape of the tables that follows from them.

/// Bytes of a page and of a full table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Granule {
    /// 4 KiB; blocks of 1 GiB and 2 MiB.
    Size4K,
    /// 16 KiB; blocks of 32 MiB.
    Size16K,
    /// 64 KiB; blocks of 512 MiB.
    Size64K,
}

impl Granule {
    /// log2 of a page.
    #[must_use]
    pub const fn page_shift(self) -> u32 {
        match self {
            Self::Size4K => 12,
            Self::Size16K => 14,
            Self::Size64K => 16,
        }
    }

    /// Bytes of a page and of a full table.
    #[must_use]
    pub const fn page(self) -> u64 {
        1 << self.page_shift()
    }

    /// Address bits that one full table resolves.
    #[must_use]
    pub const fn level_bits(self) -> u32 {
        self.page_shift() - 3
    }

    /// log2 of the bytes that one entry of a level-`level` table covers; `level` is 0 to 3.
    #[must_use]
    pub const fn entry_shift(self, level: u32) -> u32 {
        self.page_shift() + 3u32.saturating_sub(level) * self.level_bits()
    }

    /// Bytes that one entry of a level-`level` table covers.
    #[must_use]
    pub const fn entry_size(self, level: u32) -> u64 {
        1 << self.entry_shift(level)
    }

    /// Whether an entry of a level-`level` table can map memory: a page at level 3, else a block.
    #[must_use]
    pub const fn maps_at(self, level: u32) -> bool {
        match self {
            Self::Size4K => level >= 1 && level <= 3,
            Self::Size16K | Self::Size64K => level == 2 || level == 3,
        }
    }

    /// Level of the root table for an input of `input_bits` bits, 25 to 48.
    #[must_use]
    pub const fn root_level(self, input_bits: u32) -> u32 {
        let resolved = input_bits.saturating_sub(self.page_shift());
        4u32.saturating_sub(resolved.div_ceil(self.level_bits()))
    }

    /// Entries of the root table for an input of `input_bits` bits, at most those of a full table.
    #[must_use]
    pub const fn root_entries(self, input_bits: u32) -> u64 {
        let level = self.root_level(input_bits);
        1 << input_bits.saturating_sub(self.entry_shift(level))
    }

    /// `TCR_EL1.TG0` and a context descriptor's TG0.
    #[must_use]
    pub const fn lower_code(self) -> u64 {
        match self {
            Self::Size4K => 0b00,
            Self::Size64K => 0b01,
            Self::Size16K => 0b10,
        }
    }

    /// `TCR_EL1.TG1`, which has another code for the same sizes.
    #[must_use]
    pub const fn upper_code(self) -> u64 {
        match self {
            Self::Size16K => 0b01,
            Self::Size4K => 0b10,
            Self::Size64K => 0b11,
        }
    }
}
