//! Requests that change what is mapped: each is done once, however often it is sent.
//!
//! Those that are frequent are served from words and answered by words. Whatever a request is not, the next of a claim
//! that is served, is found out apart from it.

use abi::{SendDescriptor, TaskId};
use iommu_api::{
    Error, ExchangeList, Extent, Handle, MapFlags, MapLease, MapList, Operation, REGISTERED,
    Register, Sequenced, UnmapList, Unregister,
};
use userlib::protocol::Wire;

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::map::Changed;
use crate::message::{Request, list};
use crate::server::{Parts, Server, Target};
use crate::session::Recorded;

/// Words of a `map`.
pub type MapWords = [u64; 5];
/// Words of an `exchange`.
pub type ExchangeWords = [u64; 5];
/// Words of an `unmap`.
pub type UnmapWords = [u64; 4];

/// The pool and the rights that a word of a request names.
#[inline(always)]
fn pool_and_flags(what: u64) -> Option<(u16, MapFlags)> {
    Some((what as u16, MapFlags::checked(what >> 16)?))
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Serves a `map`.
    #[inline(always)]
    pub fn map(
        &mut self,
        sender: TaskId,
        words @ [handle, sequence, extent, what, iova]: MapWords,
    ) -> Recorded {
        let Some((pool, flags)) = pool_and_flags(what) else {
            return Recorded::refusal(Error::Malformed);
        };
        let handle = Handle(handle);
        let head = Sequenced { handle, sequence };
        let extent = Extent::from_word(extent);
        if pool >= REGISTERED {
            return self.map_lent(sender, head, extent, (pool, flags), iova);
        }
        let Some(slot) = self.devices.serve(head, sender) else {
            return self.not_served(Operation::Map, head, sender);
        };
        let Some(space) = self.spaces.get_mut(slot.domain()) else {
            return slot.record(Operation::Map, Err(Error::Unavailable));
        };
        let hardware = &mut self.smmus[space.smmu].hardware;
        let result = Target {
            slot,
            space,
            hardware,
            lent: &self.kept.lent,
        }
        .map(&self.plan, extent, pool, flags, iova);
        if let Err(error) = result
            && space.lazy.is_in_the_way(error)
        {
            let index = slot.device();
            return self.map_with_room(index, error, sender, words);
        }
        slot.record(Operation::Map, result)
    }

    /// Serves a `map` of a pool that was lent as a whole: again if something was in its way, as nothing is after a flush. A
    /// function of its own: whoever maps its own pages does not pay for the search.
    #[inline(never)]
    fn map_lent(
        &mut self,
        sender: TaskId,
        head: Sequenced,
        extent: Extent,
        (pool, flags): (u16, MapFlags),
        iova: u64,
    ) -> Recorded {
        loop {
            let done = self.sequenced(Operation::Map, head, sender, |parts| {
                parts.target().map_lent(extent, pool, flags, iova)
            });
            if !self.take_anew() {
                return done;
            }
        }
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
        let plan = self.plan;
        self.sequenced(Operation::Unmap, head, sender, |parts| {
            parts.unmap(&plan, iova, pages)
        })
    }

    /// Serves an `exchange`.
    #[inline(always)]
    pub fn exchange(
        &mut self,
        sender: TaskId,
        [handle, sequence, extent, what, iova]: ExchangeWords,
    ) -> Recorded {
        let Some((pool, flags)) = pool_and_flags(what) else {
            return Recorded::refusal(Error::Malformed);
        };
        let handle = Handle(handle);
        let head = Sequenced { handle, sequence };
        let (extent, plan) = (Extent::from_word(extent), self.plan);
        self.sequenced(Operation::Exchange, head, sender, |parts| {
            parts.exchange(&plan, extent, pool, flags, iova)
        })
    }

    /// Serves a `map_list`, `unmap_list` or `exchange_list`, of which `message` has at least all words: twice if something
    /// was in its way, as nothing is after a flush.
    #[inline(always)]
    pub fn serve_list(
        &mut self,
        sender: TaskId,
        form: SendDescriptor,
        message: &[u64],
    ) -> Recorded {
        let done = self.serve_list_once(sender, form, message);
        if self.take_anew() {
            return self.serve_list_once(sender, form, message);
        }
        done
    }

    /// A function of its own, so that the requests above do not pay for the registers and stack that a list needs.
    #[inline(never)]
    fn serve_list_once(
        &mut self,
        sender: TaskId,
        form: SendDescriptor,
        message: &[u64],
    ) -> Recorded {
        let done = match Operation::from_number(form.operation()) {
            Some(Operation::MapList) => self.map_list(sender, form, message),
            Some(Operation::UnmapList) => self.unmap_list(sender, form, message),
            Some(Operation::ExchangeList) => self.exchange_list(sender, form, message),
            _ => Err(Error::Malformed),
        };
        done.unwrap_or_else(Recorded::refusal)
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

    /// Does a request once: the recorded result if it is a repeat.
    #[inline(always)]
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
        let (spaces, smmus) = (&mut self.spaces, &mut self.smmus);
        let (kept, system) = (&mut self.kept, &mut self.system);
        let (result, lazy) = match Parts::of(slot, spaces, smmus, kept, system) {
            Some(mut parts) => (change(&mut parts), parts.space.lazy.is_lazy()),
            None => (Err(Error::Unavailable), false),
        };
        let index = slot.device();
        if lazy {
            return self.record_lazily(index, operation, result);
        }
        let recorded = slot.record(operation, result);
        self.judge_result(index, recorded);
        recorded
    }

    /// After a result was recorded.
    #[inline(always)]
    pub(crate) fn judge_result(&mut self, index: DeviceIndex, recorded: Recorded) {
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

    pub(crate) fn register(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Register::LEN, 8)?;
        let register = Register::from_words(&request.payload).ok_or(Error::Malformed)?;
        let (sender, plan) = (request.sender, self.plan);
        Ok(
            self.sequenced(Operation::Register, register.head, sender, |parts| {
                parts.register(&plan, &register)
            }),
        )
    }

    pub(crate) fn unregister(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Unregister::LEN, 0)?;
        let asked = Unregister::from_words(&request.payload).ok_or(Error::Malformed)?;
        let sender = request.sender;
        Ok(
            self.sequenced(Operation::Unregister, asked.head, sender, |parts| {
                parts.unregister(asked.pool)
            }),
        )
    }

    fn map_list(
        &mut self,
        sender: TaskId,
        form: SendDescriptor,
        message: &[u64],
    ) -> Result<Recorded, Error> {
        let (header, extents) = list(form, message, 8)?;
        let map = MapList::from_words(header).ok_or(Error::Malformed)?;
        let plan = self.plan;
        Ok(
            self.sequenced(Operation::MapList, map.head, sender, |parts| {
                if map.flags.has(MapFlags::BLOCKS) {
                    return Err(Error::Malformed);
                }
                parts.target().map_extents(&plan, &map, extents)
            }),
        )
    }

    fn unmap_list(
        &mut self,
        sender: TaskId,
        form: SendDescriptor,
        message: &[u64],
    ) -> Result<Recorded, Error> {
        let (header, extents) = list(form, message, 0)?;
        let unmap = UnmapList::from_words(header);
        Ok(
            self.sequenced(Operation::UnmapList, unmap.head, sender, |parts| {
                parts.unmap_extents(extents)
            }),
        )
    }

    fn exchange_list(
        &mut self,
        sender: TaskId,
        form: SendDescriptor,
        message: &[u64],
    ) -> Result<Recorded, Error> {
        let (header, words) = list(form, message, 0)?;
        let list = ExchangeList::from_words(header).ok_or(Error::Malformed)?;
        let plan = self.plan;
        Ok(
            self.sequenced(Operation::ExchangeList, list.head, sender, |parts| {
                parts.exchange_each(&plan, &list, words)
            }),
        )
    }

    /// Completes every unmap of the domain. Those of a strict one have completed before their replies, so that there is
    /// nothing to wait for.
    pub(crate) fn flush(&mut self, request: &Request<'_>) -> Result<Recorded, Error> {
        request.shape(Sequenced::LEN, 0)?;
        let head = Sequenced::from_words(&request.payload).ok_or(Error::Malformed)?;
        let flushed = match self.devices.claimed(head.handle, request.sender) {
            Some(index) => self.flush_domain(self.devices.slot(index).domain()),
            None => Ok(()),
        };
        Ok(
            self.sequenced(Operation::Flush, head, request.sender, |parts| {
                flushed.and_then(|()| parts.complete()).map(|()| None)
            }),
        )
    }
}
