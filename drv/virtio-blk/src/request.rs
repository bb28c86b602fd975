//! Requests in flight: admission, header and status of each, and how it ended.

use abi::{Lease, LeaseAttributes, TaskId};
use blk_api::{Completion, Error, Geometry, Kind, SECTOR, Submit};
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

/// Checks a request against the disk and what was lent. Returns the bytes of data; 0 for a flush.
pub fn admit(submit: &Submit, geometry: &Geometry, lease: Option<Lease>) -> Result<u32, Error> {
    if submit.kind == Kind::Flush {
        return if geometry.flush {
            Ok(0)
        } else {
            Err(Error::Unsupported)
        };
    }
    let end = submit.sector.checked_add(u64::from(submit.count));
    if submit.count == 0 || end.is_none_or(|end| end > geometry.sectors) {
        return Err(Error::OutOfRange);
    }
    if submit.kind == Kind::Write && geometry.read_only {
        return Err(Error::ReadOnly);
    }
    let bytes = u64::from(submit.count) * SECTOR;
    if bytes > u64::from(geometry.transfer_max) {
        return Err(Error::TooLarge);
    }
    // The device that fills the buffer can also read it: stage 1 has no write-only mapping.
    let access = if submit.kind == Kind::Read {
        LeaseAttributes::all()
    } else {
        LeaseAttributes::READ
    };
    match lease {
        Some(lease) if lease.len() >= pages(bytes) && lease.attributes().contains(access) => {
            Ok(bytes as u32)
        }
        _ => Err(Error::BadLease),
    }
}

/// Bytes of the whole pages that `bytes` of data need.
pub const fn pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE)
}

/// A request that the device has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request {
    /// The client that submitted the request.
    pub client: TaskId,
    /// The client's tag.
    pub tag: u32,
    /// The kind of request.
    pub kind: Kind,
    /// First sector.
    pub sector: u64,
    /// Bytes of data.
    pub bytes: u32,
    /// The address at which the device sees the buffer.
    pub iova: u64,
}

/// A request that the device is done with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// The request as submitted; its buffer is still mapped.
    pub request: Request,
    /// How it ended.
    pub completion: Completion,
}

/// The queue and what is in it.
#[derive(Debug)]
pub struct Requests<M> {
    queue: SplitQueue<M>,
    slots: [Option<Request>; SLOTS_MAX],
    readable: u64,
    writable: u64,
}

impl<M: Memory> Requests<M> {
    /// `readable` and `writable` are the IOVAs of the two parts of [`crate::layout`].
    pub fn new(queue: SplitQueue<M>, readable: u64, writable: u64) -> Self {
        Self {
            queue,
            slots: [None; SLOTS_MAX],
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
        self.slots.iter().all(Option::is_none)
    }

    /// Hands a request to the device. `Ok(true)` if the device must be notified; `Busy` without room.
    #[inline]
    pub fn start(&mut self, request: Request) -> Result<bool, Error> {
        let slot = self.queue.free_slot().ok_or(Error::Busy)?;
        let place = self.slots.get_mut(slot).ok_or(Error::Busy)?;
        *place = Some(request);
        let header = HEADERS + HEADER_LEN as usize * slot;
        let status = STATUSES + slot;
        let memory = self.queue.memory();
        memory.write64(header, u64::from(header_type(request.kind)));
        memory.write64(header + 8, request.sector);
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
        Ok(self.queue.wants_notification())
    }

    /// The next request that the device is done with.
    #[inline]
    pub fn finished(&mut self) -> Result<Option<Finished>, DeviceFault> {
        let Some(used) = self.queue.finished()? else {
            return Ok(None);
        };
        let request = self.slots.get_mut(used.slot).and_then(Option::take);
        let request = request.ok_or(DeviceFault::UsedElement)?;
        let status = self.queue.memory().read8(STATUSES + used.slot);
        // A read that claims success must have written all of its data, or the client would take what
        // its buffer held before for the disk's content.
        let whole = request.kind != Kind::Read || used.written > request.bytes;
        let result = match status {
            0 if whole => Ok(()),
            2 => Err(Error::Unsupported),
            _ => Err(Error::Device),
        };
        let completion = Completion {
            tag: request.tag,
            result,
        };
        Ok(Some(Finished {
            request,
            completion,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::{AVAILABLE, DESCRIPTORS, POOL_LEN, USED};
    use crate::testing::HostMemory;

    const GEOMETRY: Geometry = Geometry {
        sectors: 1000,
        sector_bytes: 512,
        transfer_max: 65536,
        depth: 32,
        read_only: false,
        flush: true,
    };

    fn submit(kind: Kind, sector: u64, count: u32) -> Submit {
        Submit {
            kind,
            tag: 7,
            sector,
            count,
        }
    }

    fn lent(len: u32, attributes: LeaseAttributes) -> Option<Lease> {
        Some(Lease::new(len, attributes))
    }

    #[test]
    fn admission_names_what_is_wrong() {
        let all = LeaseAttributes::all();
        let read =
            |sector, count, lease| admit(&submit(Kind::Read, sector, count), &GEOMETRY, lease);
        assert_eq!(read(0, 8, lent(4096, all)), Ok(4096));
        assert_eq!(read(999, 1, lent(4096, all)), Ok(512));
        assert_eq!(read(999, 2, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(1000, 1, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(u64::MAX, 1, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(0, 0, lent(4096, all)), Err(Error::OutOfRange));
        assert_eq!(read(0, 129, lent(1 << 20, all)), Err(Error::TooLarge));
        assert_eq!(read(0, 8, None), Err(Error::BadLease));
        assert_eq!(read(0, 1, lent(512, all)), Err(Error::BadLease));
        assert_eq!(read(0, 9, lent(4096, all)), Err(Error::BadLease));
        assert_eq!(
            read(0, 8, lent(4096, LeaseAttributes::READ)),
            Err(Error::BadLease)
        );
        let write = submit(Kind::Write, 0, 8);
        assert_eq!(
            admit(&write, &GEOMETRY, lent(4096, LeaseAttributes::READ)),
            Ok(4096)
        );
        assert_eq!(
            admit(&write, &GEOMETRY, lent(4096, LeaseAttributes::WRITE)),
            Err(Error::BadLease)
        );
        let read_only = Geometry {
            read_only: true,
            flush: false,
            ..GEOMETRY
        };
        assert_eq!(
            admit(&write, &read_only, lent(4096, all)),
            Err(Error::ReadOnly)
        );
        let flush = submit(Kind::Flush, 0, 0);
        assert_eq!(admit(&flush, &GEOMETRY, None), Ok(0));
        assert_eq!(admit(&flush, &read_only, None), Err(Error::Unsupported));
    }

    fn requests() -> (Requests<HostMemory>, HostMemory) {
        let memory = HostMemory::new(POOL_LEN);
        let queue = SplitQueue::new(memory.clone(), 256, LINKS).expect("a queue");
        (Requests::new(queue, 0x1_0000_0000, 0x1_0001_0000), memory)
    }

    fn request(kind: Kind, tag: u32) -> Request {
        Request {
            client: TaskId::new(6, 0),
            tag,
            kind,
            sector: 0x1234,
            bytes: if kind == Kind::Flush { 0 } else { 4096 },
            iova: 0x1_0010_0000,
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
            let request = request(kind, u32::from(index));
            assert_eq!(requests.start(request), Ok(true));
            complete(&memory, index, status, written);
            let completion = Completion {
                tag: u32::from(index),
                result,
            };
            assert_eq!(
                requests.finished(),
                Ok(Some(Finished {
                    request,
                    completion
                }))
            );
            assert_eq!(requests.finished(), Ok(None));
        }
    }

    #[test]
    fn headers_name_type_and_sector() {
        let (mut requests, memory) = requests();
        for (kind, number) in [(Kind::Read, 0), (Kind::Write, 1), (Kind::Flush, 4)] {
            requests.start(request(kind, 0)).expect("room");
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
        for tag in 0..SLOTS_MAX as u32 {
            assert!(requests.has_room());
            assert_eq!(requests.start(request(Kind::Read, tag)), Ok(true));
        }
        assert!(!requests.has_room());
        assert_eq!(requests.start(request(Kind::Read, 99)), Err(Error::Busy));
    }
}
