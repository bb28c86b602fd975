//! A claim whose requests outlive the server.
//!
//! A server that dies may or may not have done what it was asked to do last. Its successor keeps the claim and what was
//! mapped, under a new handle. So a driver claims again, and brings about what it had asked for from whatever it
//! finds: what has to be mapped at a given place is first unmapped there, and of what has to be unmapped that is
//! unmapped which is still there. None of it disturbs what the device is doing elsewhere.

use abi::TaskId;
use userlib::delay::{Delay, DelayNs, Patience};

use crate::client::{Device, Failure, IovaList, PoolList};
use crate::{Error, Extent, FaultRecord, MapFlags, PAGE, Status, StatusFlags};

/// The claim that the handle named is over.
const LOST: Failure = Failure::Refused(Error::StaleHandle);

/// The requests that a claim makes of the server: [`Device`], except in tests.
pub trait Requests {
    /// The claim that exists, under its present handle, or a new one.
    fn claim_again(&mut self) -> Result<(), Failure>;
    /// [`Device::map`].
    fn map(&mut self, pool: u16, extent: Extent, flags: MapFlags) -> Result<u64, Failure>;
    /// [`Device::map_lease_at`].
    fn map_lease_at(
        &mut self,
        lender: TaskId,
        lease: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure>;
    /// [`Device::map_at`].
    fn map_at(
        &mut self,
        pool: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure>;
    /// [`Device::map_list_at`].
    fn map_list_at(
        &mut self,
        pool: u16,
        list: &mut PoolList,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure>;
    /// [`Device::register`].
    fn register(&mut self, lender: TaskId, lease: u16, extent: Extent) -> Result<u16, Failure>;
    /// [`Device::unregister`].
    fn unregister(&mut self, pool: u16) -> Result<(), Failure>;
    /// [`Device::unmap`].
    fn unmap(&mut self, iova: u64, pages: u64) -> Result<(), Failure>;
    /// [`Device::unmap_list`].
    fn unmap_list(&mut self, list: &mut IovaList) -> Result<(), Failure>;
    /// [`Device::release`].
    fn release(&mut self) -> Result<(), Failure>;
    /// [`Device::next_fault`].
    fn next_fault(&self) -> Result<Option<FaultRecord>, Failure>;
    /// [`Device::status`].
    fn status(&self) -> Result<Status, Failure>;
}

impl Requests for Device<'_> {
    fn claim_again(&mut self) -> Result<(), Failure> {
        Self::claim_again(self)
    }
    fn map(&mut self, pool: u16, extent: Extent, flags: MapFlags) -> Result<u64, Failure> {
        Self::map(self, pool, extent, flags)
    }
    fn map_lease_at(
        &mut self,
        lender: TaskId,
        lease: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        Self::map_lease_at(self, lender, lease, extent, flags, iova)
    }
    fn map_at(
        &mut self,
        pool: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        Self::map_at(self, pool, extent, flags, iova)
    }
    fn map_list_at(
        &mut self,
        pool: u16,
        list: &mut PoolList,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        Self::map_list_at(self, pool, list, flags, iova)
    }
    fn register(&mut self, lender: TaskId, lease: u16, extent: Extent) -> Result<u16, Failure> {
        Self::register(self, lender, lease, extent)
    }
    fn unregister(&mut self, pool: u16) -> Result<(), Failure> {
        Self::unregister(self, pool)
    }
    fn unmap(&mut self, iova: u64, pages: u64) -> Result<(), Failure> {
        Self::unmap(self, iova, pages)
    }
    fn unmap_list(&mut self, list: &mut IovaList) -> Result<(), Failure> {
        Self::unmap_list(self, list)
    }
    fn release(&mut self) -> Result<(), Failure> {
        self.give_back()
    }
    fn next_fault(&self) -> Result<Option<FaultRecord>, Failure> {
        Self::next_fault(self)
    }
    fn status(&self) -> Result<Status, Failure> {
        Self::status(self)
    }
}

/// A claimed device, of which the driver is told only what the server's life does not change. A claim that did not
/// survive the server ends with [`Error::StaleHandle`]: nothing of what was mapped is left, and the device was made
/// quiet.
///
/// While there is no server it waits by `D`, at most as long as [`Patience`] has it; then the request fails.
#[derive(Debug)]
pub struct Enduring<R, D = Delay> {
    claim: R,
    delay: D,
    /// Pages mapped, as the answers tell.
    mapped: u64,
}

impl<'s> Enduring<Device<'s>> {
    /// Claims as [`Device::claim`] does. A server that is down, or does not serve yet, is waited for.
    pub fn claim(server: &'s userlib::server::Server, device: u32) -> Result<Self, Failure> {
        Self::claim_with(server, device, Delay::new())
    }
}

impl<'s, D: DelayNs> Enduring<Device<'s>, D> {
    /// The same, of a driver that has to know when it was waited: the claim waits by `delay`.
    pub fn claim_with(
        server: &'s userlib::server::Server,
        device: u32,
        mut delay: D,
    ) -> Result<Self, Failure> {
        let mut patience = Patience::new(&mut delay);
        loop {
            match Device::claim(server, device) {
                Ok(claim) => return Ok(Self::new(claim, delay)),
                Err(failure) if is_passing(failure) && patience.wait() => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Whether the server died with the request, or a later life of it does not know the claim by this handle: what became
/// of the request is not known.
fn is_death(failure: Failure) -> bool {
    failure.is_outage() || failure == LOST
}

/// Whether a claim may succeed later.
fn is_passing(failure: Failure) -> bool {
    let refused = [Error::Unavailable, Error::Busy].map(Failure::Refused);
    is_death(failure) || refused.contains(&failure)
}

impl<R: Requests, D: DelayNs> Enduring<R, D> {
    /// A new claim, for which nothing is mapped yet.
    pub fn new(claim: R, delay: D) -> Self {
        Self {
            claim,
            delay,
            mapped: 0,
        }
    }

    /// Finds the claim again after the server's death: the pages that are mapped. `doubt` is how many pages the request
    /// that it died with would have mapped or unmapped.
    fn recover(&mut self, doubt: u64) -> Result<u64, Failure> {
        let mut patience = Patience::new(&mut self.delay);
        loop {
            let found = self.claim.claim_again().and_then(|()| self.claim.status());
            match found {
                Ok(status) => {
                    let expected = self.mapped.saturating_sub(doubt)..=self.mapped + doubt;
                    if expected.contains(&status.mapped_pages) {
                        return Ok(status.mapped_pages);
                    }
                    return Err(LOST);
                }
                Err(failure) if is_passing(failure) && patience.wait() => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Maps pages of the caller's pool where the server chooses. If the server dies with it they may be mapped
    /// twice; they are the caller's own, and stay so until the claim ends.
    pub fn map(&mut self, pool: u16, extent: Extent, flags: MapFlags) -> Result<u64, Failure> {
        let pages = u64::from(extent.pages);
        loop {
            match self.claim.map(pool, extent, flags) {
                Ok(iova) => {
                    self.mapped += pages;
                    return Ok(iova);
                }
                Err(failure) if is_death(failure) => {
                    self.mapped = self.recover(pages)?;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Maps pages of a lease at `iova`, where the caller has nothing mapped. The lender has to wait for the caller.
    pub fn map_lease_at(
        &mut self,
        lender: TaskId,
        lease: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<(), Failure> {
        let pages = u64::from(extent.pages);
        let flags = flags.with(MapFlags::FIXED);
        loop {
            match self.claim.map_lease_at(lender, lease, extent, flags, iova) {
                Ok(_) => {
                    self.mapped += pages;
                    return Ok(());
                }
                Err(failure) => self.make_room(failure, iova, pages)?,
            }
        }
    }

    /// Maps pages of a pool at `iova`, where the caller has nothing mapped.
    #[inline]
    pub fn map_at(
        &mut self,
        pool: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<(), Failure> {
        let pages = u64::from(extent.pages);
        let flags = flags.with(MapFlags::FIXED);
        loop {
            match self.claim.map_at(pool, extent, flags, iova) {
                Ok(_) => {
                    self.mapped += pages;
                    return Ok(());
                }
                Err(failure) => self.make_room(failure, iova, pages)?,
            }
        }
    }

    /// Maps the extents of `list`, of one pool, from `iova` on, where the caller has nothing mapped.
    #[inline]
    pub fn map_list_at(
        &mut self,
        pool: u16,
        list: &mut PoolList,
        flags: MapFlags,
        iova: u64,
    ) -> Result<(), Failure> {
        let pages = list.extents().map(|extent| u64::from(extent.pages)).sum();
        let flags = flags.with(MapFlags::FIXED);
        loop {
            match self.claim.map_list_at(pool, list, flags, iova) {
                Ok(_) => {
                    self.mapped += pages;
                    return Ok(());
                }
                Err(failure) => self.make_room(failure, iova, pages)?,
            }
        }
    }

    /// After the server's death: unmaps what it had mapped of a request, so that it can be made again.
    #[cold]
    fn make_room(&mut self, failure: Failure, iova: u64, pages: u64) -> Result<(), Failure> {
        if !is_death(failure) {
            return Err(failure);
        }
        self.recover(pages)?;
        self.clear(iova, pages, pages)
    }

    /// Registers a pool like [`Device::register`]: a server that had done so gives the same number again.
    pub fn register(&mut self, lender: TaskId, lease: u16, extent: Extent) -> Result<u16, Failure> {
        loop {
            match self.claim.register(lender, lease, extent) {
                Err(failure) if is_death(failure) => {
                    self.recover(0)?;
                }
                result => return result,
            }
        }
    }

    /// Gives a pool back like [`Device::unregister`].
    pub fn unregister(&mut self, pool: u16) -> Result<(), Failure> {
        let mut asked = false;
        loop {
            match self.claim.unregister(pool) {
                Err(failure) if is_death(failure) => {
                    self.recover(0)?;
                }
                // The server that died had done it.
                Err(Failure::Refused(Error::BadMemory)) if asked => return Ok(()),
                result => return result,
            }
            asked = true;
        }
    }

    /// Unmaps like [`Device::unmap`].
    pub fn unmap(&mut self, iova: u64, pages: u64) -> Result<(), Failure> {
        match self.claim.unmap(iova, pages) {
            Err(failure) if is_death(failure) => {
                self.recover(pages)?;
                self.clear(iova, pages, pages)?;
            }
            result => result?,
        }
        self.mapped = self.mapped.saturating_sub(pages);
        Ok(())
    }

    /// Unmaps like [`Device::unmap_list`].
    pub fn unmap_list(&mut self, list: &mut IovaList) -> Result<(), Failure> {
        let pages = list.extents().map(|extent| u64::from(extent.pages)).sum();
        match self.claim.unmap_list(list) {
            Err(failure) if is_death(failure) => {
                self.recover(pages)?;
                for extent in list.extents() {
                    let iova = u64::from(extent.first) * PAGE;
                    self.clear(iova, u64::from(extent.pages), pages)?;
                }
            }
            result => result?,
        }
        self.mapped = self.mapped.saturating_sub(pages);
        Ok(())
    }

    /// Unmaps whatever is mapped of a range: all of it, nothing, or, if the server died between two entries, a row
    /// that it had not come to or had come as far as.
    fn clear(&mut self, iova: u64, pages: u64, doubt: u64) -> Result<(), Failure> {
        'again: loop {
            for first in 0..pages {
                for count in (1..=pages - first).rev() {
                    match self.claim.unmap(iova + first * PAGE, count) {
                        // Another row cannot be left: entries are made and removed in their order.
                        Ok(()) => return Ok(()),
                        Err(Failure::Refused(Error::NotMapped | Error::PartOfLease)) => {}
                        Err(failure) if is_death(failure) => {
                            self.recover(doubt)?;
                            continue 'again;
                        }
                        Err(failure) => return Err(failure),
                    }
                }
            }
            return Ok(());
        }
    }

    /// Takes the next fault like [`Device::next_fault`]; faults that a dead server had not told are
    /// lost with it.
    pub fn next_fault(&mut self) -> Result<Option<FaultRecord>, Failure> {
        loop {
            match self.claim.next_fault() {
                Err(failure) if is_death(failure) => {
                    self.recover(0)?;
                }
                result => return result,
            }
        }
    }

    /// Asks for the state like [`Device::status`].
    pub fn status(&mut self) -> Result<Status, Failure> {
        loop {
            match self.claim.status() {
                Err(failure) if is_death(failure) => {
                    self.recover(0)?;
                }
                result => return result,
            }
        }
    }

    /// Whether the device was cut off since it was claimed: what it had under way is lost, and nothing but a release
    /// is granted.
    pub fn is_cut_off(&mut self) -> Result<bool, Failure> {
        self.status()
            .map(|status| status.flags.has(StatusFlags::STORM))
    }

    /// Releases like [`Device::release`].
    pub fn release(mut self) -> Result<(), Failure> {
        loop {
            match self.claim.release() {
                // Whether it was released nobody knows: claimed again, it is released from there.
                Err(failure) if is_death(failure) => {
                    let mapped = self.mapped;
                    self.recover(mapped)?;
                }
                result => return result,
            }
        }
    }

    /// The claim.
    pub fn device(&self) -> &R {
        &self.claim
    }
}

#[cfg(test)]
mod tests;
