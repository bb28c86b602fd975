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
        // Slots are taken from below: mostly few words are looked at.
        let end = (u128::BITS - self.used.leading_zeros()) as usize;
        let used = self.slots.get(..end)?;
        used.iter().position(|word| *word == wanted)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_found_wherever_it_is() {
        let mut holds = Holds::NONE;
        for device in 0..HOLDS_MAX as u32 {
            assert_eq!(holds.find(1, device), None);
            assert!(holds.add(1, device));
            assert_eq!(holds.find(1, device), Some(device as usize));
        }
        assert!(!holds.add(1, u32::MAX), "all slots are taken");
        // From both ends to the middle: what is left has free slots on either side.
        for at in 0..HOLDS_MAX / 2 {
            for slot in [at, HOLDS_MAX - 1 - at] {
                holds.remove(slot);
                for device in 0..HOLDS_MAX {
                    let left = (at + 1..HOLDS_MAX - 1 - at).contains(&device)
                        || (slot == at && device == HOLDS_MAX - 1 - at);
                    let found = holds.find(1, device as u32);
                    assert_eq!(found, left.then_some(device));
                }
            }
        }
        assert_eq!(holds.find(0, 0), None);
    }
}
