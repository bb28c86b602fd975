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

    /// Lets the device see what was started; whether it must be notified.
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
mod tests {
    use super::*;
    use crate::layout::{AVAILABLE, DESCRIPTORS, POOL_LEN, USED};
    use crate::testing::HostMemory;
    use blk_api::{LEASE, Transfer};

    const GEOMETRY: Geometry = Geometry {
        sectors: 1000,
        sector_bytes: 512,
        transfer_max: 65536,
        depth: 32,
        read_only: false,
        flush: true,
    };

    fn transfer(kind: Kind, sector: u64, count: u32) -> Transfer {
        Transfer {
            kind,
            tag: 7,
            region: LEASE,
            page: 0,
            sector,
            count,
        }
    }

    fn lent(len: u32, attributes: LeaseAttributes) -> Option<Lent> {
        Some(Lent::of(Lease::new(len, attributes)))
    }

    #[test]
    fn admission_names_what_is_wrong() {
        let all = LeaseAttributes::all();
        let admitted = |transfer: &Transfer, geometry: &Geometry, lent| {
            admit(transfer.request(), geometry, lent)
        };
        let read =
            |sector, count, lent| admitted(&transfer(Kind::Read, sector, count), &GEOMETRY, lent);
        assert_eq!(read(0, 8, lent(4096, all)), Ok(Kind::Read));
        assert_eq!(read(999, 1, lent(4096, all)), Ok(Kind::Read));
        assert_eq!(read(999, 2, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(1000, 1, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(u64::MAX, 1, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(0, 0, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(0, 129, lent(1 << 20, all)), Err(Error::TooLarge));
        assert_eq!(read(0, 900, lent(1 << 20, all)), Err(Error::TooLarge));
        assert_eq!(read(0, 8, None), Err(Error::BadLease));
        assert_eq!(read(0, 1, lent(512, all)), Err(Error::BadLease));
        assert_eq!(read(0, 9, lent(4096, all)), Err(Error::BadLease));
        assert_eq!(
            read(0, 8, lent(4096, LeaseAttributes::READ)),
            Err(Error::BadLease)
        );
        let write = transfer(Kind::Write, 0, 8);
        assert_eq!(
            admitted(&write, &GEOMETRY, lent(4096, LeaseAttributes::READ)),
            Ok(Kind::Write)
        );
        assert_eq!(
            admitted(&write, &GEOMETRY, lent(4096, LeaseAttributes::WRITE)),
            Err(Error::BadLease)
        );
        let read_only = Geometry {
            read_only: true,
            flush: false,
            ..GEOMETRY
        };
        assert_eq!(
            admitted(&write, &read_only, lent(4096, all)),
            Err(Error::ReadOnly)
        );
        let flush = Transfer::flush(0);
        assert_eq!(admitted(&flush, &GEOMETRY, None), Ok(Kind::Flush));
        assert_eq!(admitted(&flush, &read_only, None), Err(Error::Unsupported));
    }

    #[test]
    fn a_request_stays_in_what_was_lent() {
        let fields = queue_api::Fields {
            length: 4096,
            ..queue_api::Fields::default()
        };
        let at = |page, offset| {
            let fields = queue_api::Fields {
                page,
                offset,
                ..fields
            };
            admit(
                queue_api::Request::new(&fields),
                &GEOMETRY,
                lent(3 * 4096, LeaseAttributes::all()),
            )
        };
        assert_eq!([at(0, 0), at(2, 0), at(1, 4095)], [Ok(Kind::Read); 3]);
        for (page, offset) in [(2, 1), (3, 0), (0xf_ffff, 0xfff)] {
            assert_eq!(at(page, offset), Err(Error::BadLease), "{page} {offset}");
        }
        for (operation, length) in [(3, 4096), (15, 4096), (0, 100), (2, 1)] {
            let odd = queue_api::Fields {
                operation,
                length,
                ..fields
            };
            assert_eq!(
                admit(
                    queue_api::Request::new(&odd),
                    &GEOMETRY,
                    lent(4096, LeaseAttributes::all())
                ),
                Err(Error::Malformed)
            );
        }
    }

    fn requests() -> (Requests<HostMemory>, HostMemory) {
        let memory = HostMemory::new(POOL_LEN);
        let queue = SplitQueue::new(memory.clone(), 256, LINKS).expect("a queue");
        (Requests::new(queue, 0x1_0000_0000, 0x1_0001_0000), memory)
    }

    fn request(kind: Kind, tag: u16) -> Request {
        Request {
            client: TaskId::new(6, 0),
            iova: 0x1_0010_0000,
            place: None,
            tag,
            kind,
            bytes: if kind == Kind::Flush { 0 } else { 4096 },
        }
    }

    /// Plays the device for the chain most recently offered.
    fn complete(memory: &HostMemory, index: u16, status: u8, written: u32) {
        let entry = usize::from(index % 256);
        let head = memory.read16(AVAILABLE + 4 + 2 * entry);
        let mut at = usize::from(head);
        while memory.read16(DESCRIPTORS + 16 * at + 12) & 1 != 0 {
            at = usize::from(memory.read16(DESCRIPTORS + 16 * at + 14));
        }
        let last = memory.read64(DESCRIPTORS + 16 * at);
        let status_at = WRITABLE + (last - 0x1_0001_0000) as usize;
        memory.write8(status_at, status);
        memory.write32(USED + 4 + 8 * entry, u32::from(head));
        memory.write32(USED + 8 + 8 * entry, written);
        memory.write16(USED + 2, index.wrapping_add(1));
    }

    #[test]
    fn results_follow_status_and_length() {
        let cases = [
            (Kind::Read, 0, 4097, Ok(())),
            (Kind::Read, 0, 4096, Err(Error::Device)),
            (Kind::Read, 0, 0, Err(Error::Device)),
            (Kind::Write, 0, 1, Ok(())),
            (Kind::Flush, 0, 1, Ok(())),
            (Kind::Read, 1, 1, Err(Error::Device)),
            (Kind::Write, 2, 1, Err(Error::Unsupported)),
            (Kind::Write, 3, 1, Err(Error::Device)),
            (Kind::Write, UNWRITTEN, 1, Err(Error::Device)),
        ];
        let (mut requests, memory) = requests();
        for (index, (kind, status, written, result)) in (0..).zip(cases) {
            let request = request(kind, index);
            assert_eq!(requests.start(request, 0x1234), Ok(()));
            assert!(requests.announce());
            complete(&memory, index, status, written);
            let finished = requests.finished().expect("honest").expect("done");
            assert_eq!(finished.result, result);
            assert_eq!(*requests.request(finished.slot), request);
            assert_eq!(requests.finished(), Ok(None));
        }
        assert!(requests.is_idle());
    }

    #[test]
    fn headers_name_type_and_sector() {
        let (mut requests, memory) = requests();
        for (kind, number) in [(Kind::Read, 0), (Kind::Write, 1), (Kind::Flush, 4)] {
            requests.start(request(kind, 0), 0x1234).expect("room");
            let slot = number.min(2) as usize;
            assert_eq!(memory.read32(HEADERS + 16 * slot), number);
            assert_eq!(memory.read64(HEADERS + 16 * slot + 8), 0x1234);
        }
        // A flush has no data descriptor.
        assert_eq!(memory.read64(DESCRIPTORS + 16 * 7), 0x1_0001_0000 + 0xc02);
    }

    #[test]
    fn a_full_queue_is_busy() {
        let (mut requests, _) = requests();
        for tag in 0..SLOTS_MAX as u16 {
            assert!(requests.has_room());
            assert_eq!(requests.start(request(Kind::Read, tag), 0), Ok(()));
        }
        assert!(!requests.has_room());
        assert_eq!(requests.start(request(Kind::Read, 99), 0), Err(Error::Busy));
    }
}
