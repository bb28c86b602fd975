//! A set of bus numbers, or of functions on a bus.

/// A set of numbers of 8 bits.
#[derive(Clone, Copy, Default)]
pub(crate) struct Numbers([u64; 4]);

impl Numbers {
    /// Adds a number; false if it is there already.
    pub(crate) fn add(&mut self, number: u8) -> bool {
        let Some(word) = self.0.get_mut(usize::from(number >> 6)) else {
            return false;
        };
        let bit = 1 << (number & 63);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    pub(crate) fn contains(&self, number: u8) -> bool {
        let word = self.0.get(usize::from(number >> 6)).copied().unwrap_or(0);
        word >> (number & 63) & 1 != 0
    }
}
