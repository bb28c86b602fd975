//! The table of holds.

use plan::limits::HOLDS_MAX;

/// A hold of a task for one device.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// The task's number.
    pub task: u32,
    pub device: u32,
}

/// All holds, in slots: number of the task and device of each as one word, so that a search is a compare a slot.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Holds {
    used: u128,
    slots: [u64; HOLDS_MAX],
}

/// No hold's word: a number has 16 bits.
const FREE: u64 = u64::MAX;

const fn word(task: u32, device: u32) -> u64 {
    (task as u64) << 32 | device as u64
}

impl Holds {
    pub const NONE: Self = Self {
        used: 0,
        slots: [FREE; HOLDS_MAX],
    };

    /// The first used slot from `from` up.
    pub fn next(&self, from: usize) -> Option<(usize, Hold)> {
        let rest = self.used.checked_shr(u32::try_from(from).ok()?)?;
        if rest == 0 {
            return None;
        }
        let slot = from.checked_add(rest.trailing_zeros() as usize)?;
        let word = *self.slots.get(slot)?;
        let hold = Hold {
            task: (word >> 32) as u32,
            device: word as u32,
        };
        Some((slot, hold))
    }

    pub fn find(&self, task: u32, device: u32) -> Option<usize> {
        let wanted = word(task, device);
        self.slots.iter().position(|word| *word == wanted)
    }

    pub fn add(&mut self, task: u32, device: u32) -> bool {
        let slot = (!self.used).trailing_zeros() as usize;
        let Some(place) = self.slots.get_mut(slot) else {
            return false;
        };
        *place = word(task, device);
        self.used |= 1u128.checked_shl(slot as u32).unwrap_or(0);
        true
    }

    pub fn remove(&mut self, slot: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = FREE;
        }
        self.used &= !1u128.checked_shl(slot as u32).unwrap_or(0);
    }
}
