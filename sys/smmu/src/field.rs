//! Bit fields as the specification writes them.

/// Bits `high:low` of a 64-bit word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    low: u32,
    width: u32,
}

impl Field {
    /// Bits `high:low`; 63 >= `high` >= `low`.
    pub const fn bits(high: u32, low: u32) -> Self {
        assert!(high < 64 && high >= low);
        Self {
            low,
            width: high - low + 1,
        }
    }
    /// A field of one bit.
    pub const fn bit(at: u32) -> Self {
        Self::bits(at, at)
    }
    /// Mask of the field in its word.
    pub const fn mask(self) -> u64 {
        (u64::MAX >> (64 - self.width)) << self.low
    }
    /// The field's value in `word`.
    pub const fn get(self, word: u64) -> u64 {
        (word & self.mask()) >> self.low
    }
    /// The field's value in a 32-bit register.
    pub const fn get32(self, word: u32) -> u32 {
        self.get(word as u64) as u32
    }
    /// Whether any bit of the field is set.
    pub const fn is_set(self, word: u64) -> bool {
        word & self.mask() != 0
    }
    /// Whether any bit of the field is set in a 32-bit register.
    pub const fn is_set32(self, word: u32) -> bool {
        self.is_set(word as u64)
    }
    /// A word with `value` in the field and 0 elsewhere; bits of `value` beyond the field are lost.
    pub const fn put(self, value: u64) -> u64 {
        (value << self.low) & self.mask()
    }
    /// Puts a value into the field like [`Self::put`], for a 32-bit register.
    pub const fn put32(self, value: u32) -> u32 {
        self.put(value as u64) as u32
    }
    /// The bits of `word` that form an address, in place (fields of addresses keep their position).
    pub const fn address(self, word: u64) -> u64 {
        word & self.mask()
    }
}

#[cfg(test)]
mod tests {
    use super::Field;

    #[test]
    fn masks() {
        assert_eq!(Field::bits(63, 0).mask(), u64::MAX);
        assert_eq!(Field::bits(55, 6).mask(), 0x00ff_ffff_ffff_ffc0);
        assert_eq!(Field::bit(31).mask(), 1 << 31);
        assert_eq!(Field::bits(10, 6).put(0xff), 0x7c0);
        assert_eq!(Field::bits(10, 6).get(!0), 31);
    }
}
