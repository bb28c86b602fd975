//! Requests that change what is mapped: each is done once, however often it is sent.

use abi::TaskId;
use iommu_api::{
    Error, Exchange, ExchangeList, Map, MapFlags, MapLease, MapList, Operation, Sequenced, Unmap,
    UnmapList,
};
use userlib::protocol::Wire;

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::maps::{Changed, pool_of};
use crate::message::Request;
use crate::server::{Parts, Server};
use crate::session::Recorded;

/// The meaning of a request's sequence number.
pub(crate) enum Begun<T> {
    /// Done before; its result.
    Again(Recorded),
    /// To be done, with this.
    New(T),
}

impl<'p, H: Hardware, S: System> Server<'p, H, S> {
    /// Finds the claimed device of a request, its number in order, and what the request works with.
    #[inline(always)]
    fn begin(
        &mut self,
        operation: Operation,
        head: Sequenced,
        sender: TaskId,
    ) -> Result<Begun<Parts<'_, 'p, H, S>>, Error> {
        let (devices, others) = self.split();
        let device = devices.claimed(head.handle, sender)?;
        if let Some(recorded) = device.session.begin(operation, head.sequence)? {
            return Ok(Begun::Again(recorded));
        }
        let parts = others.parts(device).ok_or(Error::Unavailable)?;
        Ok(Begun::New(parts))
    }

    /// Does a request once: the recorded result if it is a repeat.
    #[inline(always)]
    fn sequenced(
        &mut self,
        operation: Operation,
        head: Sequenced,
        sender: TaskId,
        change: impl FnOnce(&mut Parts<'_, 'p, H, S>) -> Changed,
    ) -> Result<Recorded, Error> {
        let mut parts = match self.begin(operation, head, sender)? {
            Begun::New(parts) => parts,
            Begun::Again(recorded) => return Ok(recorded),
        };
        let result = match parts.usable() {
            Ok(()) => change(&mut parts),
            Err(error) => Err(error),
        };
        let recorded = parts.record(operation, result);
        let index = parts.device.index();
        self.judge_result(index, recorded);
        Ok(recorded)
    }

    /// After a result was recorded.
    #[inline(always)]
    fn judge_result(&mut self, index: DeviceIndex, recorded: Recorded) {
        if recorded.code == Error::HardwareFailure as u32 {
            self.cut_off_broken(index);
        }
    }

    #[cold]
    fn cut_off_broken(&mut self, index: DeviceIndex) {
        self.revoke(index);
        self.note_broken(index);
    }

    // The next two are `sequenced` written out: what is passed as a closure is not always inlined.

    #[inline(always)]
    pub(crate) fn map(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Map::LEN, 8)?;
        let map = Map::from_words(&request.payload).ok_or(Error::Malformed)?;
        let (sender, pools) = (request.sender, self.plan.pools);
        let premapped = self.plan.premapped;
        let mut parts = match self.begin(Operation::Map, map.head, sender)? {
            Begun::New(parts) => parts,
            Begun::Again(recorded) => return Ok(recorded),
        };
        let result = match parts.usable() {
            Ok(()) => parts.map(&map, sender, pools, premapped),
            Err(error) => Err(error),
        };
        Ok(parts.record(Operation::Map, result))
    }

    #[inline(always)]
    pub(crate) fn unmap(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Unmap::LEN, 0)?;
        let unmap = Unmap::from_words(&request.payload).ok_or(Error::Malformed)?;
        let (sender, premapped) = (request.sender, self.plan.premapped);
        let mut parts = match self.begin(Operation::Unmap, unmap.head, sender)? {
            Begun::New(parts) => parts,
            Begun::Again(recorded) => return Ok(recorded),
        };
        let result = match parts.usable() {
            Ok(()) => parts.unmap(unmap.iova, unmap.pages, sender, premapped),
            Err(error) => Err(error),
        };
        let recorded = parts.record(Operation::Unmap, result);
        let index = parts.device.index();
        self.judge_result(index, recorded);
        Ok(recorded)
    }

    pub(crate) fn map_lease(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(MapLease::LEN, 8)?;
        let map = MapLease::from_words(&request.payload).ok_or(Error::Malformed)?;
        let sender = request.sender;
        self.sequenced(Operation::MapLease, map.head, sender, |parts| {
            parts.map_lease(&map, sender)
        })
    }

    pub(crate) fn map_list(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        let (header, extents) = request.list(8)?;
        let map = MapList::from_words(header).ok_or(Error::Malformed)?;
        let (sender, pools) = (request.sender, self.plan.pools);
        self.sequenced(Operation::MapList, map.head, sender, |parts| {
            if map.flags.has(MapFlags::BLOCKS) {
                return Err(Error::Malformed);
            }
            let pool = pool_of(parts.device, pools, sender, map.pool);
            parts.map_extents(&map, pool, extents)
        })
    }

    pub(crate) fn unmap_list(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        let (header, extents) = request.list(0)?;
        let unmap = UnmapList::from_words(header);
        self.sequenced(Operation::UnmapList, unmap.head, request.sender, |parts| {
            parts.unmap_extents(extents)
        })
    }

    pub(crate) fn exchange(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Exchange::LEN, 0)?;
        let exchange = Exchange::from_words(&request.payload).ok_or(Error::Malformed)?;
        let (sender, pools) = (request.sender, self.plan.pools);
        self.sequenced(Operation::Exchange, exchange.head, sender, |parts| {
            parts.exchange(&exchange, sender, pools)
        })
    }

    pub(crate) fn exchange_list(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        let (header, words) = request.list(0)?;
        let list = ExchangeList::from_words(header).ok_or(Error::Malformed)?;
        let (sender, pools) = (request.sender, self.plan.pools);
        self.sequenced(Operation::ExchangeList, list.head, sender, |parts| {
            let pool = pool_of(parts.device, pools, sender, list.pool);
            parts.exchange_each(&list, pool, words)
        })
    }

    /// Every unmap of a strict domain has completed before its reply, so there is nothing to wait for.
    pub(crate) fn flush(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Sequenced::LEN, 0)?;
        let head = Sequenced::from_words(&request.payload).ok_or(Error::Malformed)?;
        self.sequenced(Operation::Flush, head, request.sender, |parts| {
            parts.complete().map(|()| None)
        })
    }
}

impl<H: Hardware, S: System> Parts<'_, '_, H, S> {
    #[inline(always)]
    fn usable(&self) -> Result<(), Error> {
        if self.device.life.is_revoked() {
            Err(Error::StreamBlocked)
        } else {
            Ok(())
        }
    }

    #[inline(always)]
    fn record(&mut self, operation: Operation, result: Changed) -> Recorded {
        self.device.session.record(operation, result)
    }
}
