//! Requests that change what is mapped: each is done once, however often it is sent.
//!
//! `map` and `unmap`, which are most of them, are served from words and answered by words. Whatever such a request is
//! not, the next of a claim that is served, is found out apart from it.

use abi::TaskId;
use iommu_api::{
    Error, Exchange, ExchangeList, Extent, Handle, MapFlags, MapLease, MapList, Operation,
    Sequenced, UnmapList,
};
use userlib::protocol::Wire;

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::map::Changed;
use crate::message::Request;
use crate::server::{Parts, Server, Target};
use crate::session::Recorded;

/// Words of a `map`.
pub type MapWords = [u64; 5];
/// Words of an `unmap`.
pub type UnmapWords = [u64; 4];

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Serves a `map`.
    #[inline(always)]
    pub fn map(
        &mut self,
        sender: TaskId,
        [handle, sequence, extent, what, iova]: MapWords,
    ) -> Recorded {
        let Some(flags) = MapFlags::checked(what >> 16) else {
            return Recorded::refusal(Error::Malformed);
        };
        let handle = Handle(handle);
        let head = Sequenced { handle, sequence };
        let Some(slot) = self.devices.serve(head, sender) else {
            return self.not_served(Operation::Map, head, sender);
        };
        let Some(space) = self.spaces.get_mut(slot.domain()) else {
            return slot.record(Operation::Map, Err(Error::Unavailable));
        };
        let hardware = &mut self.smmus[space.smmu].hardware;
        let extent = Extent::from_word(extent);
        let result = Target {
            slot,
            space,
            hardware,
        }
        .map(&self.plan, extent, what as u16, flags, iova);
        slot.record(Operation::Map, result)
    }

    /// Serves an `unmap`.
    #[inline(always)]
    pub fn unmap(
        &mut self,
        sender: TaskId,
        [handle, sequence, iova, pages]: UnmapWords,
    ) -> Recorded {
        let handle = Handle(handle);
        let head = Sequenced { handle, sequence };
        let Some(slot) = self.devices.serve(head, sender) else {
            return self.not_served(Operation::Unmap, head, sender);
        };
        let Some(space) = self.spaces.get_mut(slot.domain()) else {
            return slot.record(Operation::Unmap, Err(Error::Unavailable));
        };
        let smmu = &mut self.smmus[space.smmu];
        let Some(running) = &mut smmu.running else {
            return slot.record(Operation::Unmap, Err(Error::Unavailable));
        };
        let mut parts = Parts {
            slot,
            space,
            hardware: &mut smmu.hardware,
            running,
            pins: &mut self.pins,
            system: &mut self.system,
        };
        let result = parts.unmap(&self.plan, iova, pages);
        let recorded = slot.record(Operation::Unmap, result);
        let index = slot.device();
        self.judge_result(index, recorded);
        recorded
    }

    /// The answer to a request that is not the next one of a claim that is served.
    #[cold]
    #[inline(never)]
    fn not_served(&mut self, operation: Operation, head: Sequenced, sender: TaskId) -> Recorded {
        let Some(index) = self.devices.claimed(head.handle, sender) else {
            return Recorded::refusal(Error::StaleHandle);
        };
        let Some(slot) = self.devices.slot_mut(index) else {
            return Recorded::refusal(Error::StaleHandle);
        };
        match slot.begin(operation, head.sequence) {
            Ok(Some(recorded)) => recorded,
            // The next one: so its claim was cut off.
            Ok(None) => slot.record(operation, Err(Error::StreamBlocked)),
            Err(error) => Recorded::refusal(error),
        }
    }

    /// Does any other request once: the recorded result if it is a repeat.
    fn sequenced(
        &mut self,
        operation: Operation,
        head: Sequenced,
        sender: TaskId,
        change: impl FnOnce(&mut Parts<'_, H, S>) -> Changed,
    ) -> Recorded {
        let Some(slot) = self.devices.serve(head, sender) else {
            return self.not_served(operation, head, sender);
        };
        let index = slot.device();
        let result = match self.parts(index) {
            Some(mut parts) => change(&mut parts),
            None => Err(Error::Unavailable),
        };
        let Some(slot) = self.devices.slot_mut(index) else {
            return Recorded::refusal(Error::StaleHandle);
        };
        let recorded = slot.record(operation, result);
        self.judge_result(index, recorded);
        recorded
    }

    /// After a result was recorded.
    #[inline(always)]
    fn judge_result(&mut self, index: DeviceIndex, recorded: Recorded) {
        if recorded.code() == Error::HardwareFailure as u32 {
            self.cut_off_broken(index);
        }
    }

    #[cold]
    fn cut_off_broken(&mut self, index: DeviceIndex) {
        self.revoke(index);
        self.note_broken(index);
    }

    pub(crate) fn map_lease(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(MapLease::LEN, 8)?;
        let map = MapLease::from_words(&request.payload).ok_or(Error::Malformed)?;
        let sender = request.sender;
        Ok(
            self.sequenced(Operation::MapLease, map.head, sender, |parts| {
                parts.map_lease(&map)
            }),
        )
    }

    pub(crate) fn map_list(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        let (header, extents) = request.list(8)?;
        let map = MapList::from_words(header).ok_or(Error::Malformed)?;
        let (sender, plan) = (request.sender, self.plan);
        Ok(
            self.sequenced(Operation::MapList, map.head, sender, |parts| {
                if map.flags.has(MapFlags::BLOCKS) {
                    return Err(Error::Malformed);
                }
                parts.target().map_extents(&plan, &map, extents)
            }),
        )
    }

    pub(crate) fn unmap_list(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        let (header, extents) = request.list(0)?;
        let unmap = UnmapList::from_words(header);
        let sender = request.sender;
        Ok(
            self.sequenced(Operation::UnmapList, unmap.head, sender, |parts| {
                parts.unmap_extents(extents)
            }),
        )
    }

    pub(crate) fn exchange(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Exchange::LEN, 0)?;
        let exchange = Exchange::from_words(&request.payload).ok_or(Error::Malformed)?;
        let (sender, plan) = (request.sender, self.plan);
        Ok(
            self.sequenced(Operation::Exchange, exchange.head, sender, |parts| {
                parts.exchange(&plan, &exchange)
            }),
        )
    }

    pub(crate) fn exchange_list(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        let (header, words) = request.list(0)?;
        let list = ExchangeList::from_words(header).ok_or(Error::Malformed)?;
        let (sender, plan) = (request.sender, self.plan);
        Ok(
            self.sequenced(Operation::ExchangeList, list.head, sender, |parts| {
                parts.exchange_each(&plan, &list, words)
            }),
        )
    }

    /// Every unmap of a strict domain has completed before its reply, so there is nothing to wait for.
    pub(crate) fn flush(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Sequenced::LEN, 0)?;
        let head = Sequenced::from_words(&request.payload).ok_or(Error::Malformed)?;
        Ok(
            self.sequenced(Operation::Flush, head, request.sender, |parts| {
                parts.complete().map(|()| None)
            }),
        )
    }
}
