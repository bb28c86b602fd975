//! The table of pins.

use plan::limits::PINS_MAX;

const WORDS: usize = PINS_MAX / 64;
const _: () = assert!(WORDS * 64 == PINS_MAX);

/// A pinned range.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    /// The lender's number.
    pub lender: u16,
    /// The accesses that the lease granted, as their bits.
    pub access: u16,
    pub device: u32,
    pub physical: u64,
    pub len: u64,
}

/// All pins; a bit of `used` for each slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pins {
    used: [u64; WORDS],
    slots: [Pin; PINS_MAX],
}

impl Pins {
    pub const NONE: Self = Self {
        used: [0; WORDS],
        slots: [Pin {
            lender: 0,
            access: 0,
            device: 0,
            physical: 0,
            len: 0,
        }; PINS_MAX],
    };

    /// The first used slot from `from` up.
    pub fn next(&self, from: usize) -> Option<(usize, Pin)> {
        for (number, used) in self.used.iter().enumerate() {
            let base = number * 64;
            let skip = from.saturating_sub(base);
            let rest = if skip < 64 { used >> skip << skip } else { 0 };
            if rest != 0 {
                let slot = base + rest.trailing_zeros() as usize;
                return Some((slot, *self.slots.get(slot)?));
            }
        }
        None
    }

    pub fn add(&mut self, pin: Pin) -> Option<usize> {
        for (number, used) in self.used.iter_mut().enumerate() {
            let bit = (!*used).trailing_zeros();
            if bit < 64 {
                let slot = number * 64 + bit as usize;
                *self.slots.get_mut(slot)? = pin;
                *used |= 1 << bit;
                return Some(slot);
            }
        }
        None
    }

    pub fn remove(&mut self, slot: usize) -> Option<Pin> {
        let word = self.used.get_mut(slot / 64)?;
        let bit = 1u64 << (slot % 64);
        if *word & bit == 0 {
            return None;
        }
        *word &= !bit;
        self.slots.get(slot).copied()
    }
}
