//! Memory that clients lent for longer than a call.

use abi::{LeaseAttributes, TaskId};
use blk_api::REGIONS_MAX;

use crate::request::Lent;

/// A region of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Region {
    /// The life that lent it.
    client: TaskId,
    /// The number of the pool that it is for the IOMMU server.
    pool: u16,
    attributes: LeaseAttributes,
    pages: u64,
    /// The IOVA at which all of it stays mapped; 0 if each request maps what it needs.
    stays: u64,
}

const NONE: Region = Region {
    client: TaskId::KERNEL,
    pool: 0,
    attributes: LeaseAttributes::empty(),
    pages: 0,
    stays: 0,
};

impl Region {
    /// A pool that `client` lent.
    pub const fn new(client: TaskId, pool: u16, lent: Lent, stays: u64) -> Self {
        Self {
            client,
            pool,
            attributes: lent.attributes,
            pages: lent.pages,
            stays,
        }
    }
    /// The number of its pool.
    #[inline(always)]
    pub const fn pool(&self) -> u16 {
        self.pool
    }
    /// What was lent.
    #[inline(always)]
    pub const fn lent(&self) -> Lent {
        Lent {
            pages: self.pages,
            attributes: self.attributes,
        }
    }
    /// The IOVA at which all of it stays mapped, if it does.
    #[inline(always)]
    pub const fn stays(&self) -> Option<u64> {
        if self.stays == 0 {
            None
        } else {
            Some(self.stays)
        }
    }
}

/// The regions of all clients, by their places at the desk and their numbers.
#[derive(Debug)]
pub struct Regions<const CLIENTS: usize> {
    regions: [[Region; REGIONS_MAX]; CLIENTS],
}

impl<const CLIENTS: usize> Default for Regions<CLIENTS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const CLIENTS: usize> Regions<CLIENTS> {
    /// None yet.
    pub const fn new() -> Self {
        Self {
            regions: [[NONE; REGIONS_MAX]; CLIENTS],
        }
    }

    fn slot(&mut self, place: usize, number: u8) -> Option<&mut Region> {
        let regions = self.regions.get_mut(place)?;
        regions.get_mut(usize::from(number))
    }

    /// Whether the client at a place can have a region of that number, and has none.
    pub fn is_free(&self, place: usize, client: TaskId, number: u8) -> bool {
        let possible = (1..REGIONS_MAX).contains(&usize::from(number));
        possible && place < CLIENTS && self.get(place, client, number).is_none()
    }

    /// Keeps a region under a number that is free. What an earlier life of the client lent is gone with it.
    pub fn put(&mut self, place: usize, number: u8, region: Region) {
        if let Some(slot) = self.slot(place, number) {
            *slot = region;
        }
    }

    /// A region of the client at a place.
    #[inline(always)]
    pub fn get(&self, place: usize, client: TaskId, number: u8) -> Option<&Region> {
        let regions = self.regions.get(place)?;
        let region = regions.get(usize::from(number))?;
        (region.client == client).then_some(region)
    }

    /// Takes one out that stays mapped and that `goes`, asked with the client that lent it.
    #[cold]
    pub fn take_mapped(&mut self, mut goes: impl FnMut(TaskId) -> bool) -> Option<Region> {
        let mut all = self.regions.iter_mut().flatten();
        let found = all.find(|region| region.stays().is_some() && goes(region.client))?;
        Some(core::mem::replace(found, NONE))
    }

    /// Whether one stays mapped and `goes`, asked with the client that lent it.
    #[cold]
    pub fn any_mapped(&self, mut goes: impl FnMut(TaskId) -> bool) -> bool {
        let mut all = self.regions.iter().flatten();
        all.any(|region| region.stays().is_some() && goes(region.client))
    }

    /// Takes a region of a client out.
    pub fn take(&mut self, place: usize, client: TaskId, number: u8) -> Option<Region> {
        let found = *self.get(place, client, number)?;
        if let Some(slot) = self.slot(place, number) {
            *slot = NONE;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lent(pages: u64) -> Lent {
        Lent {
            pages,
            attributes: LeaseAttributes::all(),
        }
    }

    #[test]
    fn a_region_is_one_lifes() {
        let mut regions = Regions::<2>::new();
        let a = TaskId::new(5, 3);
        let next = a.next_life();
        assert!(regions.is_free(0, a, 1));
        regions.put(0, 1, Region::new(a, 0x8000, lent(4), 0));
        assert!(!regions.is_free(0, a, 1));
        assert_eq!(regions.get(0, a, 1).map(Region::pool), Some(0x8000));
        assert_eq!(regions.get(0, a, 1).map(Region::stays), Some(None));
        for (place, client, number) in [(0, a, 2), (1, a, 1), (0, next, 1), (0, a, 0), (0, a, 200)]
        {
            assert_eq!(regions.get(place, client, number), None);
        }
        assert!(regions.is_free(0, next, 1), "that life is over");
        regions.put(0, 1, Region::new(next, 0x8001, lent(4), 1 << 32));
        assert_eq!(regions.get(0, a, 1), None);
        let taken = regions.take(0, next, 1).expect("there");
        assert_eq!((taken.stays(), taken.lent()), (Some(1 << 32), lent(4)));
        assert_eq!(regions.take(0, next, 1), None);
    }

    #[test]
    fn what_stays_mapped_of_the_dead_is_found() {
        let mut regions = Regions::<2>::new();
        let (dead, alive) = (TaskId::new(5, 3), TaskId::new(6, 0));
        regions.put(0, 1, Region::new(dead, 0x8000, lent(4), 1 << 32));
        regions.put(0, 2, Region::new(dead, 0x8001, lent(4), 0));
        regions.put(1, 1, Region::new(alive, 0x8002, lent(4), 2 << 32));
        let is_dead = |client| client == dead;
        assert!(regions.any_mapped(is_dead));
        let taken = regions.take_mapped(is_dead).expect("there");
        assert_eq!((taken.pool(), taken.stays()), (0x8000, Some(1 << 32)));
        assert!(!regions.any_mapped(is_dead), "the other is not mapped");
        assert_eq!(regions.take_mapped(is_dead), None);
        assert_eq!(regions.get(0, dead, 1), None);
        assert!(regions.get(0, dead, 2).is_some() && regions.get(1, alive, 1).is_some());
    }

    #[test]
    fn numbers_are_bounded() {
        let regions = Regions::<2>::new();
        for number in [0, REGIONS_MAX as u8, u8::MAX] {
            assert!(!regions.is_free(0, TaskId::new(5, 0), number), "{number}");
        }
        assert!(!regions.is_free(2, TaskId::new(8, 0), 1), "no such place");
    }
}
