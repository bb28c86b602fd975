//! Requests in flight: admission, header and status of each, and how it ended.

use abi::{Lease, LeaseAttributes, TaskId};
use blk_api::{Error, Geometry, Kind, SECTOR};
use queue_api::desk::Place;
use userlib::memory::Memory;

use crate::layout::{HEADERS, READABLE, SLOTS_MAX, STATUSES, WRITABLE};
use crate::queue::{Buffer, DeviceFault, SplitQueue};

/// Descriptors of a request: header, data, status.
pub const LINKS: u16 = 3;

const HEADER_LEN: u32 = 16;
/// The value of a status byte until the device writes it; it is no status of the specification.
const UNWRITTEN: u8 = 0xff;
const PAGE: u64 = abi::layout::PAGE;

/// Request types (virtio 5.2.6).
const fn header_type(kind: Kind) -> u32 {
    match kind {
        Kind::Read => 0,
        Kind::Write => 1,
        Kind::Flush => 4,
    }
}

/// Memory that a client lent: whole pages, from a page boundary on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lent {
    /// Its length.
    pub pages: u64,
    /// What may be done with it.
    pub attributes: LeaseAttributes,
}

impl Lent {
    /// The whole pages of a lease.
    pub const fn of(lease: Lease) -> Self {
        Self {
            pages: lease.len() / PAGE,
            attributes: lease.attributes(),
        }
    }
}

/// Checks a request against the disk and the memory that it names; its kind.
#[inline]
pub fn admit(
    request: queue_api::Request,
    geometry: &Geometry,
    lent: Option<Lent>,
) -> Result<Kind, Error> {
    let kind = Kind::from_number(request.operation()).ok_or(Error::Malformed)?;
    let length = request.length();
    if !u64::from(length).is_multiple_of(SECTOR) {
        return Err(Error::Malformed);
    }
    if kind == Kind::Flush {
        return if geometry.flush {
            Ok(kind)
        } else {
            Err(Error::Unsupported)
        };
    }
    // Neither sum overflows: a position has 52 bits.
    let end = request.position() + u64::from(length) / SECTOR;
    if length == 0 || end > geometry.sectors {
        return Err(Error::OutOfRange);
    }
    if kind == Kind::Write && geometry.read_only {
        return Err(Error::ReadOnly);
    }
    if length > geometry.transfer_max {
        return Err(Error::TooLarge);
    }
    // The device that fills the buffer can also read it: stage 1 has no write-only mapping.
    let access = if kind == Kind::Read {
        LeaseAttributes::all()
    } else {
        LeaseAttributes::READ
    };
    let end = u64::from(request.page()) + u64::from(request.pages());
    match lent {
        Some(lent) if end <= lent.pages && lent.attributes.contains(access) => Ok(kind),
        _ => Err(Error::BadLease),
    }
}

/// A request that the device has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The client that submitted the request.
    pub client: TaskId,
    /// The address at which the device sees the data.
    pub iova: u64,
    /// The client's place at the desk; none for the driver's own request.
    pub place: Option<Place>,
    /// The client's tag.
    pub tag: u16,
    /// The kind of request.
    pub kind: Kind,
    /// Bytes of data.
    pub bytes: u32,
    /// The data was mapped for this request, and is to be unmapped after it.
    pub mapped: bool,
}

impl Request {
    /// The pages that are mapped for it, from the first one's IOVA.
    #[inline(always)]
    pub const fn pages(&self) -> (u64, u32) {
        let offset = self.iova % PAGE;
        let pages = (offset as u32 + self.bytes).div_ceil(PAGE as u32);
        (self.iova - offset, pages)
    }
}

/// A request that the device is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Where the request was: [`Requests::request`] has it until another is started.
    pub slot: u32,
    /// How it ended.
    pub result: Result<(), Error>,
}

/// In a slot that had no chain yet.
const NONE: Request = Request {
    client: TaskId::KERNEL,
    iova: 0,
    place: None,
    tag: 0,
    kind: Kind::Flush,
    bytes: 0,
    mapped: false,
};

/// The queue and what is in it.
#[derive(Debug)]
pub struct Requests<M> {
    queue: SplitQueue<M>,
    /// By slot; of those without a chain, what was there last.
    slots: [Request; SLOTS_MAX],
    readable: u64,
    writable: u64,
}

impl<M: Memory> Requests<M> {
    /// `readable` and `writable` are the IOVAs of the two parts of [`crate::layout`].
    pub fn new(queue: SplitQueue<M>, readable: u64, writable: u64) -> Self {
        Self {
            queue,
            slots: [NONE; SLOTS_MAX],
            readable,
            writable,
        }
    }

    /// Whether another request fits.
    #[inline]
    pub fn has_room(&self) -> bool {
        self.queue.free_slot().is_some()
    }

    /// How many others fit.
    #[inline]
    pub fn room(&self) -> usize {
        self.queue.room()
    }

    /// Whether the device has a request of a client.
    pub fn any_of(&self, client: TaskId) -> bool {
        let mut slots = self.slots.iter().enumerate();
        slots.any(|(slot, request)| request.client == client && self.queue.is_in_flight(slot))
    }

    /// Whether the device has no request.
    pub fn is_idle(&self) -> bool {
        self.queue.is_idle()
    }

    /// Hands a request for `sector` to the device, which sees it when it is [announced](Self::announce). `Busy` without
    /// room.
    #[inline]
    pub fn start(&mut self, request: Request, sector: u64) -> Result<(), Error> {
        let slot = self.queue.free_slot().ok_or(Error::Busy)?;
        let place = self.slots.get_mut(slot).ok_or(Error::Busy)?;
        *place = request;
        let header = HEADERS + HEADER_LEN as usize * slot;
        let status = STATUSES + slot;
        let memory = self.queue.memory();
        memory.write64(header, u64::from(header_type(request.kind)));
        memory.write64(header + 8, sector);
        memory.write8(status, UNWRITTEN);
        let header = Buffer {
            address: self.readable + (header - READABLE) as u64,
            len: HEADER_LEN,
            writable: false,
        };
        let data = Buffer {
            address: request.iova,
            len: request.bytes,
            writable: request.kind == Kind::Read,
        };
        let status = Buffer {
            address: self.writable + (status - WRITABLE) as u64,
            len: 1,
            writable: true,
        };
        if request.kind == Kind::Flush {
            self.queue.offer(slot, &[header, status]);
        } else {
            self.queue.offer(slot, &[header, data, status]);
        }
        Ok(())
    }

    /// Lets the device see what was started, if anything was; whether it must be notified.
    #[inline]
    pub fn announce(&mut self) -> bool {
        self.queue.announce()
    }

    /// The next request that the device is done with.
    #[inline]
    pub fn finished(&mut self) -> Result<Option<Finished>, DeviceFault> {
        let Some(used) = self.queue.finished()? else {
            return Ok(None);
        };
        let request = self.request(used.slot as u32);
        let status = self.queue.memory().read8(STATUSES + used.slot);
        // A read that claims success must have written all of its data, or the client would take what
        // its buffer held before for the disk's content.
        let whole = request.kind != Kind::Read || used.written > request.bytes;
        let result = match status {
            0 if whole => Ok(()),
            2 => Err(Error::Unsupported),
            _ => Err(Error::Device),
        };
        Ok(Some(Finished {
            slot: used.slot as u32,
            result,
        }))
    }

    /// The request that is, or was last, in a slot.
    #[inline(always)]
    pub fn request(&self, slot: u32) -> &Request {
        self.slots.get(slot as usize).unwrap_or(&NONE)
    }
}

#[cfg(test)]
mod tests;
