//! Typed calls for drivers and auditors.
//!
//! A driver claims its device, maps a page of its pool, has the device use it, and unmaps it. The device reaches the page
//! from the one call to the other:
//!
//! ```no_run
//! use iommu_api::client::{Device, Failure};
//! use iommu_api::{Extent, MapFlags};
//! use userlib::config;
//! use userlib::server::Server;
//!
//! fn receive_one() -> Result<(), &'static str> {
//!     let iommu = Server::named("iommu").ok_or("the plan lets this task call no `iommu`")?;
//!     let disk = config::devices().first().ok_or("the plan gives this task no device")?;
//!     // Returns when the device is quiet, its stream open and its bus mastering on.
//!     let mut claim = Device::claim(&iommu, disk.device).map_err(Failure::name)?;
//!     let page = Extent { first: 0, pages: 1 };
//!     let iova = claim.map(0, page, MapFlags::READ_WRITE).map_err(Failure::name)?;
//!     // Here the device is told `iova`, and what it writes there is waited for.
//!     claim.unmap(iova, page.pages.into()).map_err(Failure::name)?;
//!     claim.release().map_err(Failure::name)
//! }
//! ```

use userlib::ipc::Payload;
use userlib::protocol::{self, Caller, Wire};
use userlib::server::Server;
use zerocopy::IntoBytes;

use crate::{
    Claim, DeviceRequest, Error, Exchange, ExchangeList, Extent, FaultRecord, Handle,
    HandleRequest, Iova, Map, MapFlags, MapLease, MapList, OldestFault, Operation, Register,
    Replacement, Sequenced, Status, Unmap, UnmapList, Unregister, Window,
};

/// Why a call brought no result. After an outage, once the server is up, claim the device again, which gives the claim
/// that exists, and repeat the request.
pub type Failure = protocol::Failure<Error>;

fn ask_device<R: Wire>(server: &Server, operation: Operation, device: u32) -> Result<R, Failure> {
    server.exchange(operation as u16, &DeviceRequest { device }, &[])
}

/// Window of a device. Owner and auditors.
pub fn describe(server: &Server, device: u32) -> Result<Window, Failure> {
    ask_device(server, Operation::Describe, device)
}

/// State and counters of a device. Owner and auditors.
pub fn status(server: &Server, device: u32) -> Result<Status, Failure> {
    ask_device(server, Operation::Status, device)
}

/// A list of extents with room for its header, so that sending it copies nothing. `HEADER` is
/// [`MapList::WORDS`], [`UnmapList::WORDS`] or [`ExchangeList::WORDS`].
pub struct List<const HEADER: usize> {
    words: [u64; abi::MESSAGE_MAX / 8],
    len: usize,
}

/// For [`Device::map_list`].
pub type PoolList = List<{ MapList::WORDS }>;
/// For [`Device::unmap_list`].
pub type IovaList = List<{ UnmapList::WORDS }>;
/// For [`Device::exchange_list`]: its words are replacements.
pub type ReplacementList = List<{ ExchangeList::WORDS }>;

impl<const HEADER: usize> List<HEADER> {
    /// An empty list.
    pub const fn new() -> Self {
        Self {
            words: [0; abi::MESSAGE_MAX / 8],
            len: HEADER,
        }
    }
    /// Empties it.
    pub fn clear(&mut self) {
        self.len = HEADER;
    }
    /// Appends; false if the list is full.
    #[inline]
    pub fn push(&mut self, extent: Extent) -> bool {
        self.push_word(extent.to_word())
    }
    #[inline(always)]
    fn push_word(&mut self, word: u64) -> bool {
        let Some(place) = self.words.get_mut(self.len) else {
            return false;
        };
        *place = word;
        self.len += 1;
        true
    }
    /// Appends all of them; false if there was no room for some.
    #[inline]
    pub fn extend(&mut self, extents: impl IntoIterator<Item = Extent>) -> bool {
        self.extend_words(extents.into_iter().map(Extent::to_word))
    }
    #[inline(always)]
    fn extend_words(&mut self, mut words: impl Iterator<Item = u64>) -> bool {
        let places = self.words.get_mut(self.len..).unwrap_or_default();
        let (room, mut taken) = (places.len(), 0);
        // In this order: a place that no word is left for is no loss, a word without a place would be.
        for (place, word) in places.iter_mut().zip(words.by_ref()) {
            *place = word;
            taken += 1;
        }
        self.len += taken;
        taken < room || words.next().is_none()
    }
    /// The extents in it.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        let words = self.words.get(HEADER..self.len).unwrap_or(&[]);
        words.iter().map(|word| Extent::from_word(*word))
    }
    #[inline(always)]
    fn message(&mut self, header: &[u64; HEADER]) -> Message<'_> {
        for (to, from) in self.words.iter_mut().zip(header) {
            *to = *from;
        }
        let words = self.words.get(..self.len).unwrap_or(&self.words);
        let first = self.words.first_chunk().unwrap_or(&[0; 8]);
        Message { words, first }
    }
}

/// A list with its header.
struct Message<'a> {
    words: &'a [u64],
    /// Whatever its first words are, if there are fewer.
    first: &'a Payload,
}

impl<const HEADER: usize> Default for List<HEADER> {
    fn default() -> Self {
        Self::new()
    }
}

impl ReplacementList {
    /// Appends; false if the list is full.
    #[inline]
    pub fn replace(&mut self, replacement: Replacement) -> bool {
        self.push_word(replacement.to_word())
    }
    /// The replacements in it.
    pub fn replacements(&self) -> impl Iterator<Item = Replacement> + '_ {
        let words = self.words.get(ExchangeList::WORDS..self.len);
        let words = words.unwrap_or(&[]).iter();
        words.map(|word| Replacement::from_word(*word))
    }
}

/// A claimed device.
#[derive(Debug)]
pub struct Device<'s> {
    server: &'s Server,
    device: u32,
    handle: Handle,
    sequence: u64,
    window: Window,
}

impl<'s> Device<'s> {
    /// Claims the device of that number. Returns when it is quiet, its stream open and its bus
    /// mastering on; that may take as long as its quiesce recipe.
    pub fn claim(server: &'s Server, device: u32) -> Result<Self, Failure> {
        let claim: Claim = ask_device(server, Operation::Claim, device)?;
        Ok(Self {
            server,
            device,
            handle: claim.handle,
            sequence: claim.sequence,
            window: claim.window,
        })
    }

    /// Claims the device again: the claim that exists, under its present handle, or a new one.
    pub(crate) fn claim_again(&mut self) -> Result<(), Failure> {
        *self = Self::claim(self.server, self.device)?;
        Ok(())
    }

    /// The device's number.
    pub fn number(&self) -> u32 {
        self.device
    }

    /// The window in which the device may map.
    pub fn window(&self) -> Window {
        self.window
    }

    #[inline(always)]
    fn next(&mut self) -> Sequenced {
        self.sequence += 1;
        Sequenced {
            handle: self.handle,
            sequence: self.sequence,
        }
    }

    /// Calls; a request that found no server has not used up its number.
    #[inline(always)]
    fn change<Q: Wire, R: Wire>(
        &mut self,
        operation: Operation,
        request: &Q,
    ) -> Result<R, Failure> {
        match self.server.exchange(operation as u16, request, &[]) {
            Ok(reply) => Ok(reply),
            Err(failure) => Err(self.failed(failure)),
        }
    }

    #[cold]
    fn failed(&mut self, failure: Failure) -> Failure {
        if failure.is_silence() {
            self.sequence -= 1;
        }
        failure
    }

    /// Maps pages of pool number `pool`; the IOVA.
    #[inline]
    pub fn map(&mut self, pool: u16, extent: Extent, flags: MapFlags) -> Result<u64, Failure> {
        self.map_at(pool, extent, flags, 0)
    }

    /// Maps like [`Self::map`], at `iova` if `flags` has [`MapFlags::FIXED`].
    #[inline]
    pub fn map_at(
        &mut self,
        pool: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        let request = Map {
            head: self.next(),
            extent,
            pool,
            flags,
            iova,
        };
        self.change(Operation::Map, &request).map(|Iova(iova)| iova)
    }

    /// Maps pages of lease `lease` that `lender`, who waits for this task's reply, gave it.
    pub fn map_lease(
        &mut self,
        lender: abi::TaskId,
        lease: u16,
        extent: Extent,
        flags: MapFlags,
    ) -> Result<u64, Failure> {
        self.map_lease_at(lender, lease, extent, flags, 0)
    }

    /// Maps like [`Self::map_lease`], at `iova` if `flags` has [`MapFlags::FIXED`].
    pub fn map_lease_at(
        &mut self,
        lender: abi::TaskId,
        lease: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        let request = MapLease {
            head: self.next(),
            extent,
            lease,
            flags,
            iova,
            lender: lender.0,
        };
        let Iova(iova) = self.change(Operation::MapLease, &request)?;
        Ok(iova)
    }

    /// Has a pool pinned that `lender`, who waits for this task's reply, gave as lease `lease`; its number. It stays so
    /// when the call is over.
    pub fn register(
        &mut self,
        lender: abi::TaskId,
        lease: u16,
        extent: Extent,
    ) -> Result<u16, Failure> {
        let request = Register {
            head: self.next(),
            extent,
            lease,
            lender: lender.0,
        };
        let Iova(number) = self.change(Operation::Register, &request)?;
        u16::try_from(number).map_err(|_| Failure::Nonsense)
    }

    /// Gives a pool back that was registered, and of which nothing is mapped.
    pub fn unregister(&mut self, pool: u16) -> Result<(), Failure> {
        let request = Unregister {
            head: self.next(),
            pool,
        };
        self.change(Operation::Unregister, &request)
    }

    /// Maps the extents of `list`, of pool number `pool`, to one run of IOVAs.
    pub fn map_list(
        &mut self,
        pool: u16,
        list: &mut PoolList,
        flags: MapFlags,
    ) -> Result<u64, Failure> {
        self.map_list_at(pool, list, flags, 0)
    }

    /// Maps like [`Self::map_list`], at `iova` if `flags` has [`MapFlags::FIXED`].
    pub fn map_list_at(
        &mut self,
        pool: u16,
        list: &mut PoolList,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        let header = MapList {
            head: self.next(),
            pool,
            flags,
            iova,
        };
        let Iova(iova) = self.long(Operation::MapList, &list.message(&header.to_words()))?;
        Ok(iova)
    }

    /// Unmaps `pages` from `iova`. When it returns, the device reaches none of them.
    #[inline]
    pub fn unmap(&mut self, iova: u64, pages: u64) -> Result<(), Failure> {
        let request = Unmap {
            head: self.next(),
            iova,
            pages,
        };
        self.change(Operation::Unmap, &request)
    }

    /// Unmaps the extents of `list` (IOVA / 4096 and pages).
    pub fn unmap_list(&mut self, list: &mut IovaList) -> Result<(), Failure> {
        let header = UnmapList { head: self.next() };
        self.long(Operation::UnmapList, &list.message(&header.to_words()))
    }

    /// Maps pages of pool number `pool` in the place of what is mapped from `iova` on. When it returns, the device
    /// reaches the new pages there, and none of the old ones.
    #[inline]
    pub fn exchange(
        &mut self,
        pool: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<(), Failure> {
        let request = Exchange {
            head: self.next(),
            extent,
            pool,
            flags,
            iova,
        };
        self.change(Operation::Exchange, &request)
    }

    /// Maps single pages of pool number `pool`, each in the place of another.
    pub fn exchange_list(
        &mut self,
        pool: u16,
        list: &mut ReplacementList,
        flags: MapFlags,
    ) -> Result<(), Failure> {
        let header = ExchangeList {
            head: self.next(),
            pool,
            flags,
        };
        self.long(Operation::ExchangeList, &list.message(&header.to_words()))
    }

    /// Calls with a list; a short one travels in registers.
    #[inline(always)]
    fn long<R: Wire>(&mut self, operation: Operation, message: &Message<'_>) -> Result<R, Failure> {
        let len = size_of_val(message.words);
        let operation = operation as u16;
        let answer = if len <= size_of::<Payload>() {
            self.server.call(operation, message.first, len, R::LEN, &[])
        } else {
            // A reply of up to 64 bytes is in the answer.
            let mut reply = [0; 8];
            let reply = reply.get_mut(..R::LEN).unwrap_or_default();
            let bytes = message.words.as_bytes();
            self.server.call_long(operation, bytes, reply, &[])
        };
        match answer {
            Ok(answer) => R::from_message(&answer.payload, answer.len).ok_or(Failure::Nonsense),
            Err(failure) => Err(self.failed(failure.of_protocol())),
        }
    }

    /// Waits until everything unmapped is gone from the SMMU; at once in a strict domain.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let request = self.next();
        self.change(Operation::Flush, &request)
    }

    /// The oldest fault that was not fetched yet.
    pub fn next_fault(&self) -> Result<Option<FaultRecord>, Failure> {
        let request = HandleRequest {
            handle: self.handle,
        };
        let operation = Operation::NextFault as u16;
        let OldestFault(fault) = self.server.exchange(operation, &request, &[])?;
        Ok(fault)
    }

    /// State and counters.
    pub fn status(&self) -> Result<Status, Failure> {
        status(self.server, self.device)
    }

    /// Gives the device back. Unmap first: what is still mapped makes the server reset the device.
    pub fn release(mut self) -> Result<(), Failure> {
        self.give_back()
    }

    pub(crate) fn give_back(&mut self) -> Result<(), Failure> {
        let request = self.next();
        self.change(Operation::Release, &request)
    }
}
