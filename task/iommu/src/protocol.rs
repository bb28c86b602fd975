//! Decoding, authorising, doing.

use abi::TaskId;
use iommu_api::{
    Claim, DeviceRequest, Error, Extent, FaultRecord, Handle, HandleRequest, Map, MapFlags,
    MapLease, MapList, Operation, PAGE, Payload, Sequenced, Status, StatusFlags, Unmap, UnmapList,
    Window,
};
use plan::iommu::PoolEntry;

use crate::hardware::{Hardware, System};
use crate::log::Line;
use crate::ownership::{Order, Purpose, Quiet, Recorded, State};
use crate::server::{Parts, Pin, Server};
use crate::space::{Kind, Run};
use crate::stream;

/// A message as received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who waits for the reply.
    pub sender: TaskId,
    /// What is asked.
    pub operation: u16,
    /// Bytes of the message.
    pub len: usize,
    /// Bytes the sender can take.
    pub reply_capacity: usize,
    /// The message if it is at most 64 bytes.
    pub payload: Payload,
    /// The message if it is longer: at least its first `len` bytes.
    pub long: &'a [u8],
    /// Leases attached; this protocol has none.
    pub leases: usize,
}

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Reply now.
    Now {
        /// 0 or an [`Error`].
        code: u32,
        /// What the first `len` bytes of are sent.
        payload: Payload,
        /// Bytes.
        len: usize,
    },
    /// The server replies later, through [`System::reply`].
    Later,
}

impl Reply {
    fn error(error: Error) -> Self {
        Self::Now {
            code: error as u32,
            payload: [0; 8],
            len: 0,
        }
    }
    fn words(payload: Payload, len: usize) -> Self {
        Self::Now {
            code: 0,
            payload,
            len,
        }
    }
    #[inline(always)]
    fn recorded(recorded: &Recorded) -> Self {
        Self::Now {
            code: recorded.code,
            payload: [recorded.value, 0, 0, 0, 0, 0, 0, 0],
            len: recorded.len,
        }
    }
}

/// Result of a request that changes something: the IOVA, for those that map.
type Changed = Result<Option<u64>, Error>;

/// The words of a long message, each read once.
fn long_words(bytes: &[u8]) -> impl Iterator<Item = u64> + Clone + '_ {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|chunk| u64::from_le_bytes(*chunk))
}

fn header<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let mut words = long_words(bytes);
    let mut header = [0; N];
    for word in &mut header {
        *word = words.next()?;
    }
    Some(header)
}

impl<'p, H: Hardware, S: System> Server<'p, H, S> {
    /// Serves one message. Nothing it contains is trusted.
    #[inline]
    pub fn handle(&mut self, request: &Request<'_>) -> Reply {
        // The most frequent first.
        let done = match Operation::from_number(request.operation) {
            Some(Operation::Map) => self.map(request),
            Some(Operation::Unmap) => self.unmap(request),
            Some(other) => self.handle_other(other, request),
            None => Err(Error::Malformed),
        };
        match done {
            Ok(reply) => reply,
            Err(error) => Reply::error(error),
        }
    }

    #[inline(never)]
    fn handle_other(
        &mut self,
        operation: Operation,
        request: &Request<'_>,
    ) -> Result<Reply, Error> {
        match operation {
            Operation::Map => self.map(request),
            Operation::Unmap => self.unmap(request),
            Operation::MapList => self.map_list(request),
            Operation::UnmapList => self.unmap_list(request),
            Operation::MapLease => self.map_lease(request),
            Operation::Flush => self.flush(request),
            Operation::Claim => self.claim(request),
            Operation::Release => self.release(request),
            Operation::Describe => self.describe(request),
            Operation::NextFault => self.next_fault(request),
            Operation::Status => self.status(request),
        }
    }

    /// Exact length, room for the reply, no leases.
    #[inline(always)]
    fn shape(request: &Request<'_>, len: usize, reply: usize) -> Result<(), Error> {
        if request.len == len && request.reply_capacity >= reply && request.leases == 0 {
            Ok(())
        } else {
            Err(Error::Malformed)
        }
    }

    fn device_of(&self, request: &Request<'_>, reply: usize) -> Result<usize, Error> {
        Self::shape(request, DeviceRequest::LEN, reply)?;
        let DeviceRequest { device } =
            DeviceRequest::from_words(&request.payload).ok_or(Error::Malformed)?;
        let device = device as usize;
        if device < self.devices.len() {
            Ok(device)
        } else {
            Err(Error::NoSuchDevice)
        }
    }

    fn describe(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let index = self.device_of(request, Window::LEN)?;
        let device = self.devices.get(index).ok_or(Error::NoSuchDevice)?;
        device.may_look(request.sender)?;
        let window = self
            .spaces
            .get(device.entry.domain as usize)
            .map_or_else(Window::default, |space| space.window());
        Ok(Reply::words(window.to_words(), Window::LEN))
    }

    fn claim(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let index = self.device_of(request, Claim::LEN)?;
        let sender = request.sender;
        let device = self.devices.get_mut(index).ok_or(Error::NoSuchDevice)?;
        device.may_claim(sender)?;
        if let Some(error) = device.unusable {
            return Err(error);
        }
        match device.state {
            // The claim exists: its reply was lost, or it was made with an earlier life of this server.
            State::Claimed(owner) if owner == sender => {
                let claim = self.claim_of(index).ok_or(Error::NoSuchDevice)?;
                return Ok(Reply::words(claim.to_words(), Claim::LEN));
            }
            State::Claimed(_) | State::Quiescing(_) => return Err(Error::Busy),
            State::Stuck(_) => return Err(Error::NotQuiet),
            State::Free => {}
        }
        if let Some(error) = self.sharer_bars(index) {
            return Err(error);
        }
        let device = self.devices.get(index).ok_or(Error::NoSuchDevice)?;
        let quiet = match device.quiet {
            Quiet::Known => true,
            Quiet::ByWord(life) => life == sender,
            Quiet::Unknown => false,
        };
        // Held before anything can reach its memory.
        match self.system.hold(sender, index as u32) {
            abi::Code::OK => {}
            abi::Code::EXHAUSTED => return Err(Error::PinsExhausted),
            _ => return Err(Error::Busy),
        }
        if quiet {
            let claim = self.grant(index, sender)?;
            return Ok(Reply::words(claim.to_words(), Claim::LEN));
        }
        if let Some(device) = self.devices.get_mut(index) {
            device.state = State::Quiescing(Purpose::Claim(sender));
        }
        self.start_quiesce(index);
        Ok(Reply::Later)
    }

    fn claim_of(&self, index: usize) -> Option<Claim> {
        let device = self.devices.get(index)?;
        Some(Claim {
            handle: device.handle(),
            sequence: device.sequence,
            window: self.spaces.get(device.entry.domain as usize)?.window(),
        })
    }

    /// Opens a quiet, held device for `owner`: the stream first, then bus mastering. On failure everything is
    /// as before and the hold is lifted.
    pub(crate) fn grant(&mut self, index: usize, owner: TaskId) -> Result<Claim, Error> {
        let opened = self.open(index).map_err(|_| Error::HardwareFailure);
        let started = opened.and_then(|()| {
            self.system
                .bus_master(index as u32, true)
                .map_err(|_| Error::Unavailable)
        });
        if let Err(error) = started {
            let _ = self.system.bus_master(index as u32, false);
            if self.close(index, false).is_err() {
                self.note_broken(index);
            }
            if let Some(device) = self.devices.get_mut(index) {
                device.state = State::Free;
            }
            let _ = self.system.lift(owner.index(), index as u32);
            return Err(error);
        }
        let device = self.devices.get_mut(index).ok_or(Error::NoSuchDevice)?;
        device.begin_claim(owner);
        let name = device.entry.name;
        self.system.log(Line::Claimed {
            name: name.as_str(),
            owner,
        });
        self.claim_of(index).ok_or(Error::NoSuchDevice)
    }

    /// The claimed device of a request that changes something, its number in order.
    #[inline(always)]
    fn begin(&mut self, head: Sequenced, sender: TaskId) -> Result<(usize, Order), Error> {
        let index = head.handle.device();
        let device = self.devices.get_mut(index).ok_or(Error::StaleHandle)?;
        device.authorise(head.handle, sender)?;
        Ok((index, device.order(head.sequence)?))
    }

    fn release(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        Self::shape(request, Sequenced::LEN, 0)?;
        let head = Sequenced::from_words(&request.payload);
        let (index, order) = self.begin(head, request.sender)?;
        let owner = request.sender;
        let device = self.devices.get_mut(index).ok_or(Error::StaleHandle)?;
        if order == Order::Repeat {
            return repeat(&device.recorded, Operation::Release);
        }
        let nothing_mapped = device.mapped == 0 && !device.revoked;
        let name = device.entry.name;
        // Off is always granted; if the PCI task is down, its successor begins with it off.
        let _ = self.system.bus_master(index as u32, false);
        self.system.log(Line::Released {
            name: name.as_str(),
            owner,
        });
        // Closed before it is quiet: what is under way finds no translation, whoever dies meanwhile.
        if self.close(index, false).is_err() {
            self.note_broken(index);
            self.stick(index, owner.index());
            return Err(Error::HardwareFailure);
        }
        if !nothing_mapped {
            if let Some(device) = self.devices.get_mut(index) {
                device.state = State::Quiescing(Purpose::Release(owner));
            }
            self.start_quiesce(index);
            return Ok(Reply::Later);
        }
        if let Some(device) = self.devices.get_mut(index) {
            device.state = State::Free;
            device.quiet = Quiet::ByWord(owner);
        }
        let _ = self.system.lift(owner.index(), index as u32);
        Ok(Reply::words([0; 8], 0))
    }

    /// Does a sequenced request once: the recorded result if it is a repeat.
    #[inline(always)]
    fn sequenced(
        &mut self,
        operation: Operation,
        head: Sequenced,
        sender: TaskId,
        change: impl FnOnce(&mut Parts<'_, 'p, H, S>, &'p [PoolEntry]) -> Changed,
    ) -> Result<Reply, Error> {
        let (index, order) = self.begin(head, sender)?;
        let pools = self.plan.pools;
        let mut parts = self.parts(index).ok_or(Error::Unavailable)?;
        if order == Order::Repeat {
            return repeat(&parts.device.recorded, operation);
        }
        let result = if parts.device.revoked {
            Err(Error::StreamBlocked)
        } else {
            change(&mut parts, pools)
        };
        let recorded = Recorded {
            operation: operation as u16,
            code: result.err().map_or(0, |error| error as u32),
            value: result.ok().flatten().unwrap_or(0),
            len: if matches!(result, Ok(Some(_))) { 8 } else { 0 },
        };
        parts.device.recorded = recorded;
        if result == Err(Error::HardwareFailure) {
            self.revoke(index);
            self.note_broken(index);
        }
        Ok(Reply::recorded(&recorded))
    }

    #[inline(always)]
    fn map(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        Self::shape(request, Map::LEN, 8)?;
        let map = Map::from_words(&request.payload).ok_or(Error::Malformed)?;
        let sender = request.sender;
        self.sequenced(Operation::Map, map.head, sender, |parts, pools| {
            let pa = pool_address(parts, pools, sender, map.pool, map.extent)?;
            parts.map_run(map.flags, pa, u64::from(map.extent.pages), map.iova)
        })
    }

    fn map_lease(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        Self::shape(request, MapLease::LEN, 8)?;
        let map = MapLease::from_words(&request.payload).ok_or(Error::Malformed)?;
        let sender = request.sender;
        self.sequenced(Operation::MapLease, map.head, sender, |parts, _| {
            parts.map_lease(&map, sender)
        })
    }

    fn map_list(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let bytes = list_bytes(request, MapList::WORDS, 8)?;
        let header = header(bytes.as_slice()).ok_or(Error::Malformed)?;
        let map = MapList::from_words(&header).ok_or(Error::Malformed)?;
        let sender = request.sender;
        self.sequenced(Operation::MapList, map.head, sender, |parts, pools| {
            if map.flags.has(MapFlags::BLOCKS) {
                return Err(Error::Malformed);
            }
            let extents = long_words(bytes.as_slice())
                .skip(MapList::WORDS)
                .map(Extent::from_word);
            let pool = pool_of(parts, pools, sender, map.pool)?;
            parts.map_extents(&map, pool, extents)
        })
    }

    #[inline(always)]
    fn unmap(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        Self::shape(request, Unmap::LEN, 0)?;
        let unmap = Unmap::from_words(&request.payload);
        self.sequenced(Operation::Unmap, unmap.head, request.sender, |parts, _| {
            parts.unmap_run(unmap.iova, unmap.pages)
        })
    }

    fn unmap_list(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let bytes = list_bytes(request, UnmapList::WORDS, 0)?;
        let header = header(bytes.as_slice()).ok_or(Error::Malformed)?;
        let unmap = UnmapList::from_words(&header);
        self.sequenced(
            Operation::UnmapList,
            unmap.head,
            request.sender,
            |parts, _| {
                let extents = long_words(bytes.as_slice())
                    .skip(UnmapList::WORDS)
                    .map(Extent::from_word);
                parts.unmap_extents(extents)
            },
        )
    }

    /// Every unmap of a strict domain has completed before its reply, so there is nothing to wait for.
    fn flush(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        Self::shape(request, Sequenced::LEN, 0)?;
        let head = Sequenced::from_words(&request.payload);
        self.sequenced(
            Operation::Flush,
            head,
            request.sender,
            |parts, _| match parts.running.queue.sync(parts.hardware) {
                Ok(()) => Ok(None),
                Err(_) => Err(Error::HardwareFailure),
            },
        )
    }

    fn next_fault(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        Self::shape(request, HandleRequest::LEN, FaultRecord::LEN)?;
        let HandleRequest { handle } = HandleRequest::from_words(&request.payload);
        let device = self.claimed(handle, request.sender)?;
        let record = device.faults.take();
        Ok(Reply::words(
            FaultRecord::to_words(record),
            FaultRecord::LEN,
        ))
    }

    fn claimed(
        &mut self,
        handle: Handle,
        sender: TaskId,
    ) -> Result<&mut crate::ownership::Device<'p>, Error> {
        let device = self
            .devices
            .get_mut(handle.device())
            .ok_or(Error::StaleHandle)?;
        device.authorise(handle, sender)?;
        Ok(device)
    }

    /// State of a device. Its SMMU's event queue is looked at first, so that a fault whose effect the asker
    /// has already seen is counted, if it was recorded at all.
    fn status(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let index = self.device_of(request, Status::LEN)?;
        let device = self.devices.get(index).ok_or(Error::NoSuchDevice)?;
        device.may_look(request.sender)?;
        let smmu = self
            .plan
            .domain_of(device.entry)
            .map(|(_, domain)| domain.smmu as usize);
        if let Some(smmu) = smmu {
            self.drain(smmu);
        }
        let lost = smmu
            .and_then(|smmu| self.smmus.get(smmu))
            .map_or(0, |smmu| smmu.lost);
        let device = self.devices.get(index).ok_or(Error::NoSuchDevice)?;
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        let flags = flag(
            matches!(device.state, State::Claimed(_)),
            StatusFlags::CLAIMED,
        ) | flag(device.open, StatusFlags::OPEN)
            | flag(device.revoked, StatusFlags::STORM)
            | flag(
                matches!(device.state, State::Quiescing(_)),
                StatusFlags::QUIESCING,
            )
            | flag(matches!(device.state, State::Stuck(_)), StatusFlags::STUCK)
            | flag(device.unusable.is_some(), StatusFlags::BLOCKED);
        let last = device.faults.last;
        let status = Status {
            flags: StatusFlags(flags),
            last_event: last.map_or(0, |event| event.number),
            last_read: last.is_some_and(|event| event.read),
            last_iova: last.map_or(0, |event| event.address),
            faults: device.faults.total,
            lost,
            mapped_pages: device.mapped,
            claims: device.claims,
        };
        Ok(Reply::words(status.to_words(), Status::LEN))
    }
}

fn repeat(recorded: &Recorded, operation: Operation) -> Result<Reply, Error> {
    if recorded.operation == operation as u16 {
        Ok(Reply::recorded(recorded))
    } else {
        Err(Error::OutOfSequence)
    }
}

/// A list's bytes, in registers or in the buffer.
enum ListBytes<'a> {
    Short([u8; 64], usize),
    Long(&'a [u8]),
}

impl ListBytes<'_> {
    fn as_slice(&self) -> &[u8] {
        match self {
            Self::Short(bytes, len) => bytes.get(..*len).unwrap_or(bytes),
            Self::Long(bytes) => bytes,
        }
    }
}

/// The message of a list operation: a header of `words` and at least one extent.
fn list_bytes<'a>(
    request: &Request<'a>,
    words: usize,
    reply: usize,
) -> Result<ListBytes<'a>, Error> {
    let shaped = request.len.is_multiple_of(8)
        && request.len > words * 8
        && request.reply_capacity >= reply
        && request.leases == 0;
    if !shaped {
        return Err(Error::Malformed);
    }
    if request.len <= abi::REGISTER_BYTES {
        let mut bytes = [0; 64];
        for (to, from) in bytes
            .iter_mut()
            .zip(request.payload.iter().flat_map(|word| word.to_le_bytes()))
        {
            *to = from;
        }
        return Ok(ListBytes::Short(bytes, request.len));
    }
    request
        .long
        .get(..request.len)
        .map(ListBytes::Long)
        .ok_or(Error::Malformed)
}

/// Pool `number` of `sender`.
#[inline(always)]
fn pool_of<'p, H, S>(
    parts: &Parts<'_, 'p, H, S>,
    pools: &'p [PoolEntry],
    sender: TaskId,
    number: u16,
) -> Result<&'p PoolEntry, Error> {
    pools
        .get(parts.device.pools.wrapping_add(usize::from(number)))
        .filter(|pool| pool.task as usize == sender.index() && pool.pool == u32::from(number))
        .ok_or(Error::BadMemory)
}

/// Physical address of an extent of a pool.
#[inline(always)]
fn pool_address<H, S>(
    parts: &Parts<'_, '_, H, S>,
    pools: &[PoolEntry],
    sender: TaskId,
    number: u16,
    extent: Extent,
) -> Result<u64, Error> {
    let pool = pools
        .get(parts.device.pools.wrapping_add(usize::from(number)))
        .filter(|pool| pool.task as usize == sender.index() && pool.pool == u32::from(number))
        .ok_or(Error::BadMemory)?;
    extent_address(pool, extent).ok_or(Error::BadMemory)
}

/// Physical address of an extent, if the pool has it. Cannot overflow: both numbers have 32 bits.
#[inline(always)]
fn extent_address(pool: &PoolEntry, extent: Extent) -> Option<u64> {
    let (first, pages) = (u64::from(extent.first), u64::from(extent.pages));
    (pages > 0 && first + pages <= pool.len / PAGE).then(|| pool.pa + first * PAGE)
}

impl<H: Hardware, S: System> Parts<'_, '_, H, S> {
    /// Maps contiguous memory.
    #[inline(always)]
    fn map_run(&mut self, flags: MapFlags, pa: u64, pages: u64, iova: u64) -> Changed {
        let kind = if flags.has(MapFlags::BLOCKS) {
            Kind::Blocks
        } else {
            Kind::Pages
        };
        let run = self.place(kind, flags, pages, iova)?;
        let part = self.space.part(kind);
        if kind == Kind::Blocks && !pa.is_multiple_of(part.entry_pages() * PAGE) {
            return Err(Error::BadMemory);
        }
        let template = part.template(flags.writable(), self.device.member);
        part.write(self.hardware, run.first, pa, run.count, template);
        part.take(run);
        let iova = part.iova(run.first);
        self.device.mapped += pages;
        // Visible to the SMMU before the driver can tell the device. Entries that translate nothing are
        // never cached, so there is nothing to forget (Arm ARM D8.16).
        self.hardware.publish();
        Ok(Some(iova))
    }

    /// Finds the entries for a mapping.
    #[inline(always)]
    fn place(&mut self, kind: Kind, flags: MapFlags, pages: u64, iova: u64) -> Result<Run, Error> {
        if !flags.readable() {
            return Err(Error::BadPermissions);
        }
        let part = self.space.part(kind);
        if flags.has(MapFlags::FIXED) {
            let run = part.locate(iova, pages).ok_or(Error::BadRange)?;
            return if part.is_free(self.hardware, run) {
                Ok(run)
            } else {
                Err(Error::Overlap)
            };
        }
        let entry_pages = part.entry_pages();
        if pages == 0 || iova != 0 {
            return Err(Error::Malformed);
        }
        if !pages.is_multiple_of(entry_pages) {
            return Err(Error::BadMemory);
        }
        part.find(self.hardware, pages / entry_pages)
            .ok_or(Error::NoSpace)
    }

    fn map_extents(
        &mut self,
        map: &MapList,
        pool: &PoolEntry,
        extents: impl Iterator<Item = Extent> + Clone,
    ) -> Changed {
        let mut pages = 0u64;
        for extent in extents.clone() {
            if extent_address(pool, extent).is_none() {
                return Err(Error::BadMemory);
            }
            pages += u64::from(extent.pages);
        }
        let run = self.place(Kind::Pages, map.flags, pages, map.iova)?;
        let part = &mut self.space.pages;
        let template = part.template(map.flags.writable(), self.device.member);
        let mut entry = run.first;
        for extent in extents {
            let pa = pool.pa + u64::from(extent.first) * PAGE;
            let count = u64::from(extent.pages);
            part.write(self.hardware, entry, pa, count, template);
            entry += count;
        }
        part.take(run);
        let iova = part.iova(run.first);
        self.device.mapped += pages;
        self.hardware.publish();
        Ok(Some(iova))
    }

    fn map_lease(&mut self, map: &MapLease, driver: TaskId) -> Changed {
        if map.flags.has(MapFlags::BLOCKS) || map.extent.pages == 0 {
            return Err(Error::Malformed);
        }
        if self.device.pins >= self.device.entry.pins || self.pins.is_full() {
            return Err(Error::PinsExhausted);
        }
        let pages = u64::from(map.extent.pages);
        let run = self.place(Kind::Pages, map.flags, pages, map.iova)?;
        let number = map.head.handle.device();
        let pinned = self
            .system
            .pin(
                driver,
                TaskId(map.lender),
                u32::from(map.lease),
                number as u32,
                u64::from(map.extent.first) * PAGE,
                pages * PAGE,
            )
            .map_err(|code| match code {
                abi::Code::EXHAUSTED => Error::PinsExhausted,
                _ => Error::NoLease,
            })?;
        let granted = pinned.readable && (pinned.writable || !map.flags.writable());
        if !granted || !pinned.pa.is_multiple_of(PAGE) {
            let _ = self.system.unpin(pinned.slot);
            return Err(Error::BadPermissions);
        }
        let pin = Pin {
            device: number,
            run,
            slot: pinned.slot,
        };
        if self.pins.push(pin).is_err() {
            let _ = self.system.unpin(pinned.slot);
            return Err(Error::PinsExhausted);
        }
        self.device.pins += 1;
        let part = &mut self.space.pages;
        let template = part.template(map.flags.writable(), self.device.member);
        part.write(self.hardware, run.first, pinned.pa, pages, template);
        part.take(run);
        let iova = part.iova(run.first);
        self.device.mapped += pages;
        self.hardware.publish();
        Ok(Some(iova))
    }

    #[inline(always)]
    fn unmap_run(&mut self, iova: u64, pages: u64) -> Changed {
        let (kind, run) = self.removable(iova, pages)?;
        self.remove(kind, run)?;
        self.complete()?;
        self.give_back(kind, run);
        Ok(None)
    }

    /// The entries of a range that may be unmapped: all mapped by this device, no lease cut.
    #[inline(always)]
    fn removable(&mut self, iova: u64, pages: u64) -> Result<(Kind, Run), Error> {
        let (kind, run) = self.space.locate(iova, pages).ok_or(Error::BadRange)?;
        let member = self.device.member;
        if !self.space.part(kind).is_mapped(self.hardware, run, member) {
            return Err(Error::NotMapped);
        }
        if self.device.pins > 0 && kind == Kind::Pages && self.cuts_lease(run) {
            return Err(Error::PartOfLease);
        }
        Ok((kind, run))
    }

    /// Two devices of one alias set share the domain's entries, not their pins.
    fn is_own(&self, pin: &Pin) -> bool {
        pin.device == self.device.number
    }

    fn cuts_lease(&self, run: Run) -> bool {
        self.pins
            .iter()
            .any(|pin| self.is_own(pin) && run.overlaps(pin.run) && !run.contains(pin.run))
    }

    /// Stores invalid entries and queues their invalidation.
    #[inline(always)]
    fn remove(&mut self, kind: Kind, run: Run) -> Result<(), Error> {
        let asid = self.space.asid;
        let part = self.space.part(kind);
        part.clear(self.hardware, run);
        let running = &mut *self.running;
        stream::forget(
            self.hardware,
            &mut running.queue,
            &running.features,
            part,
            run,
            asid,
        )
        .map_err(|_| Error::HardwareFailure)
    }

    /// Waits until the SMMU has forgotten what [`Self::remove`] queued.
    #[inline(always)]
    fn complete(&mut self) -> Result<(), Error> {
        self.running
            .queue
            .sync(self.hardware)
            .map_err(|_| Error::HardwareFailure)
    }

    /// After completion: IOVAs, counts and pins of a run.
    #[inline(always)]
    fn give_back(&mut self, kind: Kind, run: Run) {
        let part = self.space.part(kind);
        part.give(run);
        let pages = run.count * part.entry_pages();
        self.device.mapped = self.device.mapped.saturating_sub(pages);
        if self.device.pins > 0 && kind == Kind::Pages {
            self.unpin(run);
        }
    }

    #[cold]
    fn unpin(&mut self, run: Run) {
        while let Some(at) = self
            .pins
            .iter()
            .position(|pin| self.is_own(pin) && run.contains(pin.run))
        {
            let pin = self.pins.swap_remove(at);
            let _ = self.system.unpin(pin.slot);
            self.device.pins = self.device.pins.saturating_sub(1);
        }
    }

    /// Unmaps several ranges: none if one of them is not mapped, those before it if one overlaps an
    /// earlier one.
    fn unmap_extents(&mut self, extents: impl Iterator<Item = Extent> + Clone) -> Changed {
        for extent in extents.clone() {
            self.removable(u64::from(extent.first) * PAGE, u64::from(extent.pages))?;
        }
        let mut done = 0;
        let mut refused = None;
        for extent in extents.clone() {
            let iova = u64::from(extent.first) * PAGE;
            // A range named twice is found unmapped the second time.
            match self.removable(iova, u64::from(extent.pages)) {
                Ok((kind, run)) => self.remove(kind, run)?,
                Err(error) => {
                    refused = Some(error);
                    break;
                }
            }
            done += 1;
        }
        self.complete()?;
        for extent in extents.take(done) {
            let iova = u64::from(extent.first) * PAGE;
            if let Some((kind, run)) = self.space.locate(iova, u64::from(extent.pages)) {
                self.give_back(kind, run);
            }
        }
        refused.map_or(Ok(None), Err)
    }
}
