//! Headers, results.

use super::*;
use crate::layout::{AVAILABLE, DESCRIPTORS, POOL_LEN, USED};
use blk_server::SLOTS_MAX;
use blk_server::testing::HostMemory;

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
