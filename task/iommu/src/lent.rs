//! Pools that clients lend a driver as a whole: pinned once, mapped and unmapped page by page.
//!
//! The plan has the relation: which task may lend which of its pools to which device. So each such pool has a number
//! that outlives calls, lives, and this server: it is its place in the plan's table, and a part of the kernel's pin.
//! What is mapped of a pool is not counted: the window says so, and it is only asked when the pool is to be given back.
//! So a map and an unmap of it cost what they cost of the driver's own pools.

use abi::{LeaseAttributes, TaskId};
use iommu_api::{Error, MapFlags, PAGE, REGISTERED};

use crate::indices::{DeviceIndex, DeviceSet};
use crate::limits::LENT_POOLS_MAX;

/// A registered pool.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lent {
    pub(crate) device: DeviceIndex,
    /// The life that lent it; if that is over, the one that cannot begin before the pool is given back.
    pub(crate) lender: TaskId,
    /// The kernel's name for the pin.
    pub(crate) pin: u32,
    pub(crate) pa: u64,
    pub(crate) pages: u64,
    pub(crate) writable: bool,
    /// The lender is dead: nothing more of it is mapped. When the device is taken away for it.
    pub(crate) ends: Option<u64>,
}

impl Lent {
    /// The number of its first byte's page, and how many pages there are, if more of it may be mapped.
    fn open(&self) -> Option<(u64, u64, bool)> {
        let open = self.ends.is_none();
        open.then_some((self.pa, self.pages, self.writable))
    }

    fn has(&self, address: u64) -> bool {
        let offset = address.checked_sub(self.pa);
        offset.is_some_and(|offset| offset < self.pages * PAGE)
    }
}

/// Memory that is named in a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Memory {
    /// Physical address.
    pub(crate) pa: u64,
    /// Pages.
    pub(crate) pages: u64,
    /// Whether a device may write to it.
    pub(crate) writable: bool,
}

impl Memory {
    /// Whether it may be mapped with these rights.
    #[inline(always)]
    pub(crate) fn check(&self, flags: MapFlags) -> Result<(), Error> {
        if self.writable {
            return Ok(());
        }
        if flags.writable() {
            Err(Error::BadPermissions)
        } else {
            Ok(())
        }
    }
}

/// The registered pools, each at the place that it has in the plan's table.
#[derive(Debug)]
pub(crate) struct LentPools {
    pools: [Option<Lent>; LENT_POOLS_MAX],
    /// Devices with a pool.
    registered: DeviceSet,
    /// Those with one whose lender is dead.
    ending: DeviceSet,
}

impl LentPools {
    /// None is registered.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            pools: [None; LENT_POOLS_MAX],
            registered: DeviceSet::EMPTY,
            ending: DeviceSet::EMPTY,
        }
    }

    /// The pool that a device's claimant calls by this number.
    #[cold]
    pub(crate) fn find(&self, device: DeviceIndex, number: u16) -> Option<Memory> {
        let at = number.checked_sub(REGISTERED)?;
        let lent = self.pools.get(usize::from(at))?.as_ref()?;
        let (pa, pages, writable) = lent.open().filter(|_| lent.device == device)?;
        Some(Memory {
            pa,
            pages,
            writable,
        })
    }

    /// Whether some device has a pool whose lender is dead.
    #[inline(always)]
    pub(crate) const fn is_any_ending(&self) -> bool {
        !self.ending.is_empty()
    }

    /// Whether a device has a pool whose lender is dead.
    #[cold]
    pub(crate) const fn is_ending(&self, device: DeviceIndex) -> bool {
        self.ending.contains(device)
    }

    /// Whether a device has a pool.
    #[inline(always)]
    pub(crate) const fn has_any(&self, device: DeviceIndex) -> bool {
        self.registered.contains(device)
    }

    /// The end of a registered pool of a device that has an address.
    pub(crate) fn end_of(&self, device: DeviceIndex, address: u64) -> Option<u64> {
        let mut pools = self.pools.iter().flatten();
        let lent = pools.find(|lent| lent.device == device && lent.has(address))?;
        Some(lent.pa + lent.pages * PAGE)
    }

    pub(crate) fn of(&self, device: DeviceIndex) -> impl Iterator<Item = usize> + use<> {
        let mut places = [false; LENT_POOLS_MAX];
        for (place, lent) in places.iter_mut().zip(&self.pools) {
            *place = lent.is_some_and(|lent| lent.device == device);
        }
        (0..LENT_POOLS_MAX).filter(move |at| places.get(*at) == Some(&true))
    }

    pub(crate) fn get(&self, at: usize) -> Option<Lent> {
        self.pools.get(at).copied().flatten()
    }

    pub(crate) fn put(&mut self, at: usize, lent: Option<Lent>) {
        if let Some(place) = self.pools.get_mut(at) {
            *place = lent;
        }
        let (mut registered, mut ending) = (DeviceSet::EMPTY, DeviceSet::EMPTY);
        for lent in self.pools.iter().flatten() {
            registered.insert(lent.device);
            if lent.ends.is_some() {
                ending.insert(lent.device);
            }
        }
        self.registered = registered;
        self.ending = ending;
    }

    /// When the next device is taken away.
    pub(crate) fn due(&self) -> Option<u64> {
        self.pools
            .iter()
            .flatten()
            .filter_map(|lent| lent.ends)
            .min()
    }
}

/// A registered pool as the kernel tells of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FoundPool {
    pub(crate) device: DeviceIndex,
    pub(crate) lender: TaskId,
    pub(crate) pin: u32,
    pub(crate) pa: u64,
    pub(crate) pages: u64,
    pub(crate) access: LeaseAttributes,
    pub(crate) dead: bool,
}
