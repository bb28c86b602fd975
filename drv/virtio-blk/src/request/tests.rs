//! Admission, headers, results.

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
    let admitted =
        |transfer: &Transfer, geometry: &Geometry, lent| admit(transfer.request(), geometry, lent);
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
        mapped: true,
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
