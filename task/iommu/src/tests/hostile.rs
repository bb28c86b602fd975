//! Messages that nobody should send.

use std::vec::Vec;

use iommu_api::*;
use proptest::prelude::*;

use super::rig::*;
use crate::{Reply, Request};

#[test]
fn wrong_shapes_are_malformed() {
    let mut rig = Rig::booted();
    let disk = rig.claim(task(4), DISK);
    for operation in 0..20u16 {
        for len in 0..=80usize {
            let request = Request {
                sender: task(4),
                operation,
                len,
                reply_capacity: 0,
                payload: [disk.handle.0, 1, 0, 0, 0, 0, 0, 0],
                long: &[],
                leases: 1,
            };
            let Reply::Now { code, len, .. } = rig.server.handle(&request) else {
                panic!("late");
            };
            assert_eq!(Error::from_code(code), Some(Error::Malformed));
            assert_eq!(len, 0);
        }
    }
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

#[test]
fn replies_fit_the_sender() {
    let mut rig = Rig::booted();
    for operation in 1..=11u16 {
        for capacity in 0..64usize {
            let request = Request {
                sender: task(4),
                operation,
                len: 8,
                reply_capacity: capacity,
                payload: [1, 0, 0, 0, 0, 0, 0, 0],
                long: &[],
                leases: 0,
            };
            if let Reply::Now { len, .. } = rig.server.handle(&request) {
                assert!(len <= capacity);
            }
        }
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
