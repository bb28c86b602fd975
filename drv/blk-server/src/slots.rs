//! Which requests the device has.

use abi::TaskId;

use crate::SLOTS_MAX;
use crate::request::Request;

/// The numbers of the requests that a device has, below a limit.
#[derive(Clone, Copy, Debug)]
pub struct Slots {
    taken: u64,
    limit: usize,
}

impl Slots {
    /// All free; no more than [`SLOTS_MAX`], whatever the limit is.
    pub const fn new(limit: usize) -> Self {
        let limit = if limit > SLOTS_MAX { SLOTS_MAX } else { limit };
        Self { taken: 0, limit }
    }

    /// How many there are.
    pub const fn limit(&self) -> usize {
        self.limit
    }
    /// How many are free.
    #[inline(always)]
    pub const fn room(&self) -> usize {
        self.limit - self.count() as usize
    }
    /// How many are taken.
    #[inline(always)]
    pub const fn count(&self) -> u32 {
        self.taken.count_ones()
    }
    /// Whether all are free.
    #[inline(always)]
    pub const fn is_idle(&self) -> bool {
        self.taken == 0
    }
    /// Whether a slot is taken.
    #[inline(always)]
    pub const fn is_taken(&self, slot: usize) -> bool {
        slot < self.limit && self.taken & 1 << slot != 0
    }
    /// A free slot.
    #[inline(always)]
    pub const fn free(&self) -> Option<usize> {
        let slot = self.taken.trailing_ones() as usize;
        if slot < self.limit { Some(slot) } else { None }
    }
    /// Takes a slot; one beyond the limit is nobody's.
    #[inline(always)]
    pub const fn take(&mut self, slot: usize) {
        if slot < self.limit {
            self.taken |= 1 << slot;
        }
    }
    /// Gives a slot back.
    #[inline(always)]
    pub const fn give(&mut self, slot: usize) {
        if slot < self.limit {
            self.taken &= !(1 << slot);
        }
    }
    /// Those that are taken, in the order of their numbers.
    pub fn taken(&self) -> impl Iterator<Item = usize> + use<> {
        let slots = *self;
        (0..SLOTS_MAX).filter(move |slot| slots.is_taken(*slot))
    }
}

/// Requests by their slots; of a free slot, what was there last.
#[derive(Debug)]
pub struct Table([Request; SLOTS_MAX]);

impl Default for Table {
    fn default() -> Self {
        Self::new()
    }
}

impl Table {
    /// No requests yet.
    pub const fn new() -> Self {
        Self([Request::NONE; SLOTS_MAX])
    }
    /// Keeps a request.
    #[inline(always)]
    pub fn put(&mut self, slot: usize, request: Request) {
        if let Some(place) = self.0.get_mut(slot) {
            *place = request;
        }
    }
    /// The request that is, or was last, in a slot.
    #[inline(always)]
    pub fn get(&self, slot: usize) -> &Request {
        self.0.get(slot).unwrap_or(&Request::NONE)
    }
    /// Whether one of the slots that are taken has a request of this client.
    pub fn any_of(&self, client: TaskId, slots: &Slots) -> bool {
        slots.taken().any(|slot| self.get(slot).client == client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn the_first_free_slot_is_taken() {
        let mut slots = Slots::new(3);
        for expected in 0..3 {
            assert_eq!((slots.free(), slots.room()), (Some(expected), 3 - expected));
            slots.take(expected);
        }
        assert_eq!((slots.free(), slots.room(), slots.count()), (None, 0, 3));
        slots.give(1);
        assert_eq!(slots.free(), Some(1));
        assert_eq!(slots.taken().collect::<Vec<_>>(), [0, 2]);
        slots.give(0);
        slots.give(2);
        assert!(slots.is_idle());
    }

    #[test]
    fn there_are_no_slots_beyond_the_limit() {
        for limit in [0, 5, 64, 1000] {
            let mut slots = Slots::new(limit);
            let limit = limit.min(SLOTS_MAX);
            for slot in [limit, 64, 65, usize::MAX] {
                slots.take(slot);
                assert!(!slots.is_taken(slot) && slots.is_idle());
                slots.give(slot);
            }
            (0..limit).for_each(|slot| slots.take(slot));
            assert_eq!((slots.room(), slots.free()), (0, None));
        }
    }

    #[test]
    fn a_client_has_requests_while_their_slots_are_taken() {
        let (a, b) = (TaskId::new(5, 0), TaskId::new(6, 0));
        let (mut slots, mut table) = (Slots::new(64), Table::new());
        let request = Request {
            client: a,
            ..Request::NONE
        };
        table.put(63, request);
        assert!(!table.any_of(a, &slots));
        slots.take(63);
        assert!(table.any_of(a, &slots) && !table.any_of(b, &slots));
        slots.give(63);
        assert!(!table.any_of(a, &slots));
        assert_eq!((*table.get(63), *table.get(64)), (request, Request::NONE));
    }
}
