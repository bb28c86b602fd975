//! The data of requests, and what of it the device may reach.

use abi::TaskId;
use blk_api::Error;
use iommu_api::client::{Device, Failure, IovaList, PoolList};
use iommu_api::enduring::Enduring;
use iommu_api::{Extent, MapFlags, PAGE};
use static_cell::StaticCell;

use crate::batch::Batch;
use crate::controller::Controller;
use crate::iovas::Iovas;
use crate::pause::Pause;
use crate::request::{Finished, Request};

/// The device's claim, and what is mapped by it.
pub struct Data<'s> {
    /// The claim.
    pub claim: Enduring<Device<'s>, Pause>,
    iovas: Iovas,
    maps: &'static mut PoolList,
    unmaps: &'static mut IovaList,
}

/// The lists are larger than a stack ought to hold.
static MAPS: StaticCell<PoolList> = StaticCell::new();
static UNMAPS: StaticCell<IovaList> = StaticCell::new();

impl<'s> Data<'s> {
    /// With nothing mapped but the driver's own memory, whose places and lengths are `own`.
    pub fn new(claim: Enduring<Device<'s>, Pause>, own: &[(u64, usize)]) -> Self {
        let window = claim.device().window();
        let mut iovas = Iovas::new(window.iova_base, window.pages);
        for (iova, len) in own {
            iovas.avoid(*iova, len / PAGE as usize);
        }
        let lists = MAPS.try_init_with(PoolList::new);
        let lists = lists.zip(UNMAPS.try_init_with(IovaList::new));
        let Some((maps, unmaps)) = lists else {
            userlib::give_up!("the driver was started twice");
        };
        Self {
            claim,
            iovas,
            maps,
            unmaps,
        }
    }

    /// Maps pages of what a client lent with its message. The kernel keeps them in place until they are unmapped, even
    /// if the client dies.
    pub fn map_lease(
        &mut self,
        client: TaskId,
        extent: Extent,
        writes: bool,
    ) -> Result<u64, Error> {
        self.place(extent.pages, "map", |data, iova| {
            let flags = flags(writes);
            data.claim.map_lease_at(client, 0, extent, flags, iova)
        })
    }

    /// Maps the pages of a batch in a row.
    #[inline]
    pub fn map_batch(&mut self, batch: &Batch) -> Result<u64, Error> {
        self.map_pool(batch.pool(), batch.extents(), batch.pages(), batch.writes())
    }

    /// Maps extents of a registered pool in a row.
    #[inline]
    pub fn map_pool(
        &mut self,
        pool: u16,
        extents: &[Extent],
        pages: u32,
        writes: bool,
    ) -> Result<u64, Error> {
        let flags = flags(writes);
        if let [extent] = extents {
            return self.place(pages, "map", |data, iova| {
                data.claim.map_at(pool, *extent, flags, iova)
            });
        }
        self.maps.clear();
        for extent in extents {
            // Cannot fail: a list has room for more.
            let _ = self.maps.push(*extent);
        }
        self.place(pages, "map_list", |data, iova| {
            data.claim.map_list_at(pool, data.maps, flags, iova)
        })
    }

    /// Finds free IOVAs, and maps there.
    #[inline]
    fn place(
        &mut self,
        pages: u32,
        what: &str,
        mut map: impl FnMut(&mut Self, u64) -> Result<(), Failure>,
    ) -> Result<u64, Error> {
        loop {
            let iova = self.iovas.take(pages as usize).ok_or(Error::Busy)?;
            let failure = match map(self, iova) {
                Ok(()) => return Ok(iova),
                // The plan has something mapped there; each time there is less to choose from.
                Err(Failure::Refused(iommu_api::Error::Overlap)) => continue,
                Err(failure) => failure,
            };
            self.iovas.give(iova, pages as usize);
            return Err(refused(what, failure));
        }
    }

    /// Registers a pool that a client lends with its message.
    pub fn register(&mut self, client: TaskId, extent: Extent) -> Result<u16, Error> {
        let registered = self.claim.register(client, 0, extent);
        registered.map_err(|failure| refused("register", failure))
    }

    /// Gives a registered pool back.
    pub fn unregister(&mut self, pool: u16) -> Result<(), Error> {
        match self.claim.unregister(pool) {
            // The server has taken it back: whoever lent it is dead.
            Ok(()) | Err(Failure::Refused(iommu_api::Error::BadMemory)) => Ok(()),
            Err(failure) => Err(refused("unregister", failure)),
        }
    }

    /// Unmaps one run of pages.
    pub fn unmap(&mut self, iova: u64, pages: u64) {
        self.iovas.give(iova, pages as usize);
        if let Err(error) = self.claim.unmap(iova, pages) {
            lost("unmap", error)
        }
    }

    /// Takes the data of finished requests from the device, all in one message.
    #[inline]
    pub fn unmap_finished(&mut self, finished: &[Finished], controller: &impl Controller) {
        let requests = finished.iter().map(|one| controller.request(one.slot));
        let mapped = requests.filter(|request| request.mapped);
        self.unmap_runs(mapped.map(Request::pages));
    }

    /// Unmaps runs of pages, given by IOVA and length, all in one message. There are no more than a list has room for.
    #[inline]
    pub fn unmap_runs(&mut self, all: impl Iterator<Item = (u64, u32)>) {
        self.unmaps.clear();
        // Runs that go on where others end are one.
        let mut run = Extent::default();
        let mut runs = 0u32;
        for (iova, pages) in all {
            self.iovas.give(iova, pages as usize);
            let first = (iova / PAGE) as u32;
            if runs > 0 && run.first + run.pages == first {
                run.pages += pages;
                continue;
            }
            if runs > 0 {
                // Cannot fail: a list has room for more than there are requests.
                let _ = self.unmaps.push(run);
            }
            run = Extent { first, pages };
            runs += 1;
        }
        let result = match runs {
            0 => Ok(()),
            1 => {
                let iova = u64::from(run.first) * PAGE;
                self.claim.unmap(iova, u64::from(run.pages))
            }
            _ => {
                let _ = self.unmaps.push(run);
                self.claim.unmap_list(self.unmaps)
            }
        };
        if let Err(error) = result {
            lost("unmap", error)
        }
    }
}

const fn flags(writes: bool) -> MapFlags {
    if writes {
        MapFlags::READ_WRITE
    } else {
        MapFlags::READ
    }
}

/// The IOMMU server does not map or register for a client, whose fault that may be.
#[cold]
fn refused(what: &str, failure: Failure) -> Error {
    match failure {
        Failure::Refused(
            iommu_api::Error::NoLease
            | iommu_api::Error::BadPermissions
            | iommu_api::Error::BadMemory,
        ) => Error::BadLease,
        Failure::Refused(iommu_api::Error::PinsExhausted | iommu_api::Error::Busy) => Error::Busy,
        failure => lost(what, failure),
    }
}

/// The IOMMU server refuses what it must grant, or is gone for good: which requests the device can still reach is
/// not known any more. The driver's death makes the server cut the device off and reset it.
pub fn lost(what: &str, error: Failure) -> ! {
    userlib::give_up!("iommu, {what}: {}", error.name())
}
