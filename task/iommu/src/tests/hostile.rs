//! Messages that nobody should send.

use std::vec::Vec;

use iommu_api::*;
use proptest::prelude::*;

use super::rig::*;
use crate::{Reply, Request};

/// A message of a claimant that is served, by its words; its reply's bytes. Lists have two extents.
fn served(rig: &mut Rig, operation: u16) -> (Vec<u64>, usize) {
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(rig, 0, 2);
    rig.around.borrow_mut().lease = Some(crate::hardware::Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let device = [u64::from(DISK)].to_vec();
    let extent = |first: u64| first | 1 << 32;
    let head = |rest: &[u64]| [&[disk.handle.0, disk.sequence + 1], rest].concat();
    match Operation::from_number(operation).unwrap() {
        Operation::Describe => (device, 32),
        Operation::Claim => (device, 48),
        Operation::Status => (device, 48),
        Operation::NextFault => ([disk.handle.0].to_vec(), 32),
        Operation::Release | Operation::Flush => (head(&[]), 0),
        Operation::Map => (head(&[extent(0), 3 << 16, 0]), 8),
        Operation::MapLease => (head(&[extent(0), 3 << 16, 0, task(7).0]), 8),
        Operation::MapList => (head(&[3 << 16, 0, extent(0), extent(5)]), 8),
        Operation::Unmap => (head(&[iova, 2]), 0),
        Operation::Register => (head(&[4 << 32, 0, task(7).0]), 8),
        Operation::Unregister => {
            disk.register(rig, 4).unwrap();
            let pool = u64::from(iommu_api::REGISTERED) + 1;
            ([disk.handle.0, disk.sequence + 1, pool].to_vec(), 0)
        }
        Operation::UnmapList => {
            let page = iova >> 12;
            (head(&[extent(page), extent(page + 1)]), 0)
        }
        Operation::Exchange => (head(&[extent(5), 3 << 16, iova]), 0),
        Operation::ExchangeList => {
            let at = |number: u64| (iova >> 12) + number;
            (head(&[3 << 16, 5 | at(0) << 32, 6 | at(1) << 32]), 0)
        }
    }
}

const OPERATIONS: core::ops::RangeInclusive<u16> = 1..=15;

/// The reply's code and length to a message of so many bytes.
fn reply(
    rig: &mut Rig,
    operation: u16,
    words: &[u64],
    (len, reply_capacity, leases): (usize, usize, usize),
) -> (Option<Error>, usize) {
    let mut long = [0; 12];
    long[..words.len()].copy_from_slice(words);
    let mut payload = [0; 8];
    payload.copy_from_slice(&long[..8]);
    let request = Request {
        sender: task(4),
        operation,
        len,
        reply_capacity,
        payload,
        long: &long,
        leases,
    };
    match rig.server.handle(&request) {
        Reply::Now { code, len, .. } => (Error::from_code(code), len),
        Reply::Later => {
            rig.server.on_quiesced();
            let (_, code, _, len) = rig.around.borrow_mut().replies.pop().unwrap();
            (Error::from_code(code), len)
        }
    }
}

#[test]
fn each_message_has_one_length() {
    for operation in OPERATIONS {
        let mut rig = Rig::booted();
        let (words, bytes) = served(&mut rig, operation);
        let listed = matches!(
            Operation::from_number(operation),
            Some(Operation::MapList | Operation::UnmapList | Operation::ExchangeList)
        );
        let right = words.len() * 8;
        for len in (0..=96).filter(|len| *len != right) {
            // A list may be shorter or longer by whole extents; those behind this one are empty.
            let fits = listed && len % 8 == 0 && len >= right - 8;
            if !fits {
                let found = reply(&mut rig, operation, &words, (len, 64, 0));
                let wrong = (Some(Error::Malformed), 0);
                assert_eq!(found, wrong, "operation {operation}, {len} bytes");
            }
        }
        let found = reply(&mut rig, operation, &words, (right, 64, 0));
        assert_eq!(
            found,
            (None, bytes),
            "operation {operation}, as it should be"
        );
    }
    let mut rig = Rig::booted();
    let (words, _) = served(&mut rig, Operation::Map as u16);
    for operation in (0..=300u16).filter(|number| !OPERATIONS.contains(number)) {
        for len in 0..=96 {
            let found = reply(&mut rig, operation, &words, (len, 64, 0));
            assert_eq!(found, (Some(Error::Malformed), 0), "operation {operation}");
        }
    }
}

#[test]
fn no_message_has_a_lease() {
    for operation in OPERATIONS {
        let mut rig = Rig::booted();
        let (words, bytes) = served(&mut rig, operation);
        let len = words.len() * 8;
        for leases in [1, 2] {
            let found = reply(&mut rig, operation, &words, (len, 64, leases));
            assert_eq!(found, (Some(Error::Malformed), 0), "operation {operation}");
        }
        let found = reply(&mut rig, operation, &words, (len, 64, 0));
        assert_eq!(found, (None, bytes), "operation {operation}");
    }
}

#[test]
fn replies_fit_the_sender() {
    for operation in OPERATIONS {
        let mut rig = Rig::booted();
        let (words, bytes) = served(&mut rig, operation);
        let len = words.len() * 8;
        for capacity in 0..bytes {
            let found = reply(&mut rig, operation, &words, (len, capacity, 0));
            let wrong = (Some(Error::Malformed), 0);
            assert_eq!(found, wrong, "operation {operation}, {capacity} bytes");
        }
        // With room for exactly the reply.
        let found = reply(&mut rig, operation, &words, (len, bytes, 0));
        assert_eq!(found, (None, bytes), "operation {operation}");
    }
}

#[derive(Clone, Debug)]
struct Wild {
    sender: u8,
    operation: u16,
    len: usize,
    words: Vec<u64>,
}

/// Numbers near those that mean something.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        0..6u64,
        (0..2048u64).prop_map(|page| BASE + page * 4096),
        (0..70u64, 0..70u64).prop_map(|(first, pages)| first | pages << 32),
        any::<u64>(),
        Just(u64::MAX),
    ]
}

fn wild() -> impl Strategy<Value = Wild> {
    (
        3..8u8,
        0..13u16,
        prop_oneof![0..90usize, Just(16), Just(32), Just(40), Just(48)],
        proptest::collection::vec(word(), 12),
    )
        .prop_map(|(sender, operation, len, words)| Wild {
            sender,
            operation,
            len,
            words,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever tasks 3 to 7 send, a device reaches only its owner's pools, and the count of mapped
    /// pages is what the tables say.
    #[test]
    fn nothing_is_reached_but_the_owners_pools(messages in proptest::collection::vec(wild(), 1..60)) {
        let mut rig = Rig::booted();
        let mut drivers = [rig.claim(task(4), DISK), rig.claim(task(5), EDU)];
        for wild in messages {
            let mut words = wild.words.clone();
            // Often a valid head, so that the rest is looked at.
            if wild.operation % 3 != 0 {
                let driver = &mut drivers[usize::from(wild.sender & 1)];
                words[0] = driver.handle.0;
                words[1] = driver.sequence + 1;
            }
            let mut payload = [0; 8];
            payload.copy_from_slice(&words[..8]);
            let request = Request {
                sender: task(wild.sender),
                operation: wild.operation,
                len: wild.len,
                reply_capacity: 64,
                payload,
                long: &words,
                leases: 0,
            };
            let before = drivers.map(|driver| driver.sequence);
            let _ = rig.server.handle(&request);
            rig.server.on_quiesced();
            for (driver, device) in drivers.iter_mut().zip([DISK, EDU]) {
                let claimed = rig.status(device).flags.has(StatusFlags::CLAIMED);
                *driver = if claimed {
                    rig.claim(driver.id, device)
                } else {
                    Driver { sequence: before[0], ..*driver }
                };
            }
        }
        for (stream, pool, len, device) in [
            (0x100, POOL, 64 * 4096, DISK),
            (0x008, POOL + 0x10_0000, 16 * 4096, EDU),
        ] {
            let mut reached = 0;
            for page in 0..1024 {
                if let Some(pa) = rig.read(stream, BASE + page * 4096) {
                    prop_assert!(pa >= pool && pa < pool + len || pa >= BIG_POOL && device == EDU);
                    reached += 1;
                }
                let _ = rig.status(device);
            }
            for block in 0..4 {
                if let Some(pa) = rig.read(stream, BLOCKS + block * 0x20_0000) {
                    prop_assert!(device == EDU && (BIG_POOL..BIG_POOL + (4 << 20)).contains(&pa));
                    reached += 512;
                }
            }
            if rig.status(device).flags.has(StatusFlags::OPEN) {
                prop_assert_eq!(reached, rig.status(device).mapped_pages);
            } else {
                prop_assert_eq!(reached, 0);
            }
        }
    }
}
