//! Typed calls for drivers and auditors.

use userlib::ipc::Answer;
use userlib::server::{CallError, Server};
use zerocopy::IntoBytes;

use crate::{
    Claim, DeviceRequest, Error, Extent, FaultRecord, Handle, HandleRequest, Map, MapFlags,
    MapLease, MapList, Operation, Payload, Sequenced, Status, Unmap, UnmapList, Window,
};

/// Why a call brought no result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure {
    /// The server refused.
    Refused(Error),
    /// The server is dead or down. A request of a claim can be sent again once it is up: claim the
    /// device again, which gives the claim that exists, and repeat.
    Unavailable(CallError),
    /// The reply is not of this protocol.
    Nonsense,
    /// The claim did not survive the server: nothing of what was mapped is left, and the device was made quiet.
    Lost,
}

impl Failure {
    /// Whether the server died with the request, or a later life of it does not know the claim by this handle: what
    /// became of the request is not known.
    pub fn is_death(self) -> bool {
        matches!(
            self,
            Self::Unavailable(CallError::Dead | CallError::Down)
                | Self::Refused(Error::StaleHandle)
        )
    }
}

impl From<CallError> for Failure {
    #[cold]
    fn from(error: CallError) -> Self {
        match error {
            CallError::Code(code) => Error::from_code(code).map_or(Self::Nonsense, Self::Refused),
            other => Self::Unavailable(other),
        }
    }
}

fn expect(answer: &Answer, len: usize) -> Result<&Payload, Failure> {
    if answer.len == len {
        Ok(&answer.payload)
    } else {
        Err(Failure::Nonsense)
    }
}

fn ask_device(
    server: &Server,
    operation: Operation,
    device: u32,
    reply_len: usize,
) -> Result<Answer, Failure> {
    let request = DeviceRequest { device }.to_words();
    Ok(server.call(
        operation as u16,
        &request,
        DeviceRequest::LEN,
        reply_len,
        &[],
    )?)
}

/// Window of a device. Owner and auditors.
pub fn describe(server: &Server, device: u32) -> Result<Window, Failure> {
    let answer = ask_device(server, Operation::Describe, device, Window::LEN)?;
    Window::from_words(expect(&answer, Window::LEN)?).ok_or(Failure::Nonsense)
}

/// State and counters of a device. Owner and auditors.
pub fn status(server: &Server, device: u32) -> Result<Status, Failure> {
    let answer = ask_device(server, Operation::Status, device, Status::LEN)?;
    Status::from_words(expect(&answer, Status::LEN)?).ok_or(Failure::Nonsense)
}

/// A list of extents with room for its header, so that sending it copies nothing. `HEADER` is
/// [`MapList::WORDS`] or [`UnmapList::WORDS`].
pub struct List<const HEADER: usize> {
    words: [u64; abi::MESSAGE_MAX / 8],
    len: usize,
}

/// For [`Device::map_list`].
pub type PoolList = List<{ MapList::WORDS }>;
/// For [`Device::unmap_list`].
pub type IovaList = List<{ UnmapList::WORDS }>;

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
        let Some(word) = self.words.get_mut(self.len) else {
            return false;
        };
        *word = extent.to_word();
        self.len += 1;
        true
    }
    /// The extents in it.
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        let words = self.words.get(HEADER..self.len).unwrap_or(&[]);
        words.iter().map(|word| Extent::from_word(*word))
    }
    fn message(&mut self, header: &[u64; HEADER]) -> &[u64] {
        for (to, from) in self.words.iter_mut().zip(header) {
            *to = *from;
        }
        self.words.get(..self.len).unwrap_or(&self.words)
    }
}

impl<const HEADER: usize> Default for List<HEADER> {
    fn default() -> Self {
        Self::new()
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
        let answer = ask_device(server, Operation::Claim, device, Claim::LEN)?;
        let claim = Claim::from_words(expect(&answer, Claim::LEN)?).ok_or(Failure::Nonsense)?;
        Ok(Self {
            server,
            device,
            handle: claim.handle,
            sequence: claim.sequence,
            window: claim.window,
        })
    }

    /// The device's number.
    pub fn number(&self) -> u32 {
        self.device
    }

    /// Where it may map.
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
    fn change(
        &mut self,
        operation: Operation,
        payload: &Payload,
        len: usize,
        reply_len: usize,
    ) -> Result<Answer, Failure> {
        match self
            .server
            .call(operation as u16, payload, len, reply_len, &[])
        {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(error)),
        }
    }

    #[cold]
    fn failed(&mut self, error: CallError) -> Failure {
        if !matches!(error, CallError::Code(_)) {
            self.sequence -= 1;
        }
        error.into()
    }

    #[inline(always)]
    fn iova(answer: &Answer) -> Result<u64, Failure> {
        if answer.len == 8 {
            Ok(answer.payload[0])
        } else {
            Err(Failure::Nonsense)
        }
    }

    /// Maps pages of pool number `pool`; the IOVA.
    #[inline]
    pub fn map(&mut self, pool: u16, extent: Extent, flags: MapFlags) -> Result<u64, Failure> {
        self.map_at(pool, extent, flags, 0)
    }

    /// As [`Self::map`], at `iova` if `flags` has [`MapFlags::FIXED`].
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
        let answer = self.change(Operation::Map, &request.to_words(), Map::LEN, 8)?;
        Self::iova(&answer)
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

    /// As [`Self::map_lease`], at `iova` if `flags` has [`MapFlags::FIXED`].
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
        let answer = self.change(Operation::MapLease, &request.to_words(), MapLease::LEN, 8)?;
        Self::iova(&answer)
    }

    /// Maps the extents of `list`, of pool number `pool`, to one run of IOVAs.
    pub fn map_list(
        &mut self,
        pool: u16,
        list: &mut PoolList,
        flags: MapFlags,
    ) -> Result<u64, Failure> {
        let header = MapList {
            head: self.next(),
            pool,
            flags,
            iova: 0,
        };
        let answer = self.long(Operation::MapList, list.message(&header.to_words()), 8)?;
        Self::iova(&answer)
    }

    /// Unmaps `pages` from `iova`. When it returns, the device reaches none of them.
    #[inline]
    pub fn unmap(&mut self, iova: u64, pages: u64) -> Result<(), Failure> {
        let request = Unmap {
            head: self.next(),
            iova,
            pages,
        };
        self.change(Operation::Unmap, &request.to_words(), Unmap::LEN, 0)?;
        Ok(())
    }

    /// Unmaps the extents of `list` (IOVA / 4096 and pages).
    pub fn unmap_list(&mut self, list: &mut IovaList) -> Result<(), Failure> {
        let header = UnmapList { head: self.next() };
        self.long(Operation::UnmapList, list.message(&header.to_words()), 0)?;
        Ok(())
    }

    /// Calls with a list; a short one travels in registers.
    fn long(
        &mut self,
        operation: Operation,
        message: &[u64],
        reply_len: usize,
    ) -> Result<Answer, Failure> {
        let mut payload = [0; 8];
        if message.len() <= payload.len() {
            for (to, from) in payload.iter_mut().zip(message) {
                *to = *from;
            }
            return self.change(operation, &payload, size_of_val(message), reply_len);
        }
        let mut reply = [0; 8];
        let reply = reply.get_mut(..reply_len).unwrap_or_default();
        let bytes = message.as_bytes();
        match self.server.call_long(operation as u16, bytes, reply, &[]) {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Waits until everything unmapped is gone from the SMMU; at once in a strict domain.
    pub fn flush(&mut self) -> Result<(), Failure> {
        let request = self.next();
        self.change(Operation::Flush, &request.to_words(), Sequenced::LEN, 0)?;
        Ok(())
    }

    /// The oldest fault that was not fetched yet.
    pub fn next_fault(&self) -> Result<Option<FaultRecord>, Failure> {
        let request = HandleRequest {
            handle: self.handle,
        };
        let answer = self.server.call(
            Operation::NextFault as u16,
            &request.to_words(),
            HandleRequest::LEN,
            FaultRecord::LEN,
            &[],
        )?;
        FaultRecord::from_words(expect(&answer, FaultRecord::LEN)?).ok_or(Failure::Nonsense)
    }

    /// State and counters.
    pub fn status(&self) -> Result<Status, Failure> {
        status(self.server, self.device)
    }

    /// Gives the device back. Unmap first: what is still mapped makes the server reset the device.
    pub fn release(mut self) -> Result<(), Failure> {
        self.give_back()
    }

    fn give_back(&mut self) -> Result<(), Failure> {
        let request = self.next();
        self.change(Operation::Release, &request.to_words(), Sequenced::LEN, 0)?;
        Ok(())
    }
}

impl crate::enduring::Requests for Device<'_> {
    fn claim_again(&mut self) -> Result<(), Failure> {
        *self = Self::claim(self.server, self.device)?;
        Ok(())
    }
    fn map(&mut self, pool: u16, extent: Extent, flags: MapFlags) -> Result<u64, Failure> {
        Self::map(self, pool, extent, flags)
    }
    fn map_lease_at(
        &mut self,
        lender: abi::TaskId,
        lease: u16,
        extent: Extent,
        flags: MapFlags,
        iova: u64,
    ) -> Result<u64, Failure> {
        Self::map_lease_at(self, lender, lease, extent, flags, iova)
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
