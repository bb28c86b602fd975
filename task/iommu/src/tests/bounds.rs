//! Bounds and refusals that a single answer of the kernel shows, or a single message: each has its code, and no effect.

use std::vec::Vec;

use abi::Code;
use iommu_api::*;

use super::rig::*;
use crate::Reply;
use crate::hardware::Pinned;
use crate::limits::MAPPED_LEASES_MAX;

const STREAM: u32 = 0x100;

fn claimed() -> (Rig, Driver) {
    let mut rig = Rig::booted();
    let disk = rig.claim(task(4), DISK);
    (rig, disk)
}

const LEASE: Pinned = Pinned {
    slot: 0,
    pa: 0x7000_0000,
    readable: true,
    writable: true,
};

/// Nothing may be opened for a life that the kernel does not hold, for whatever reason; and what was always open before still is.
#[test]
fn whatever_the_kernel_says_instead_of_a_hold_refuses_the_claim() {
    for code in [
        Code::EXHAUSTED,
        Code::REFUSED,
        Code::DEAD,
        Code::DOWN,
        Code::RETIRED,
    ] {
        for device in [DISK, DISPLAY] {
            let mut rig = Rig::planned(always_open_plan());
            rig.server.boot();
            rig.around.borrow_mut().hold_code = Some(code);
            let owner = if device == DISK { 4 } else { 6 };
            let (found, _) = rig.now(task(owner), Operation::Claim, &[u64::from(device)]);
            let expected = match code {
                Code::EXHAUSTED => Error::PinsExhausted,
                _ => Error::Busy,
            };
            assert_eq!(Error::from_code(found), Some(expected), "{code:?}");
            assert!(!rig.is_held(device) && rig.around.borrow().started.is_empty());
            let flags = rig.status(device).flags;
            assert!(!flags.has(StatusFlags::CLAIMED) && !flags.has(StatusFlags::QUIESCING));
            let always_open = device == DISPLAY;
            assert_eq!(rig.is_bus_master(device), always_open, "{code:?}");
            assert_eq!(rig.read(0x018, DIRECT), Some(DIRECT), "{code:?}");
            rig.claim(task(owner), device);
        }
    }
}

/// A page of a lease that no pin explains leaves it open which pins are needed, until the device is quiet: also when the
/// driver has unmapped everything by then.
#[test]
fn a_release_lifts_pins_that_lead_nowhere_when_it_is_quiet() {
    let (mut rig, mut disk) = claimed();
    rig.around.borrow_mut().lease = Some(LEASE);
    disk.map_lease(&mut rig, 3, MapFlags::READ_WRITE).unwrap();
    let stray = disk.map_any(&mut rig, 0, 1);
    let entry = rig.server.plan.domains[0].leaf + (stray - BASE) / PAGE * 8;
    let word = rig.smmu.0.borrow().word(entry);
    let copy = word & !0xffff_ffff_f000 | 0x7000_1000;
    rig.smmu.0.borrow_mut().put(entry, &[copy]);
    let mut rig = Rig::over(rig.smmu.clone(), rig.around.clone());
    rig.server.boot();
    let mut disk = rig.claim(task(4), DISK);
    disk.unmap(&mut rig, BASE, 4).unwrap();
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    assert_eq!(rig.around.borrow().pins.len(), 1);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert!(rig.is_held(DISK) && rig.around.borrow().pins.len() == 1);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK) && rig.around.borrow().pins.is_empty());
}

/// Up to 64 bytes are in registers, the rest in memory; where a list is not, there is something else.
#[test]
fn a_list_of_every_length_is_served() {
    let (mut rig, mut disk) = claimed();
    for extents in 1..16 {
        let pages: Vec<(u32, u32)> = (0..extents).map(|page| (page * 3, 1)).collect();
        let iova = disk.map_list(&mut rig, &pages).unwrap();
        for (place, (page, _)) in (0..).zip(&pages) {
            let expected = POOL + u64::from(*page) * PAGE;
            assert_eq!(rig.reach(STREAM, iova + place * PAGE), Some(expected));
        }
        let first = (iova / PAGE) as u32;
        let mapped: Vec<(u32, u32)> = (0..extents).map(|page| (first + page, 1)).collect();
        assert_eq!(disk.unmap_list(&mut rig, &mapped), Ok(0));
        assert_eq!(rig.status(DISK).mapped_pages, 0);
    }
}

/// The first extent that is wrong decides, also where there is no such pool: then every extent is beyond its end.
#[test]
fn a_list_of_no_pool_is_judged_by_its_first_extent() {
    let (mut rig, mut disk) = claimed();
    for (extents, expected) in [
        ([(0, 1), (3, 0)], Error::BadMemory),
        ([(3, 0), (0, 1)], Error::Malformed),
        ([(0, 1), (3, 1)], Error::BadMemory),
    ] {
        let header = MapList {
            head: disk.head(),
            pool: 9,
            flags: MapFlags::READ_WRITE,
            iova: 0,
        };
        let extents = extents.map(|(first, pages)| Extent { first, pages }.to_word());
        let words = [header.to_words().as_slice(), &extents].concat();
        let (code, _) = rig.now(disk.id, Operation::MapList, &words);
        assert_eq!(Error::from_code(code), Some(expected));
    }
}

/// What the kernel answers for a pin, and what the pinned memory is.
#[test]
fn a_lease_that_cannot_be_mapped_is_not_pinned() {
    let lease = |readable, writable, pa| Pinned {
        readable,
        writable,
        pa,
        ..LEASE
    };
    let page = LEASE.pa;
    for (code, lease, flags, expected) in [
        (
            Some(Code::EXHAUSTED),
            LEASE,
            MapFlags::READ,
            Error::PinsExhausted,
        ),
        (Some(Code::NO_LEASE), LEASE, MapFlags::READ, Error::NoLease),
        (Some(Code::REFUSED), LEASE, MapFlags::READ, Error::NoLease),
        (
            None,
            lease(false, true, page),
            MapFlags::READ,
            Error::BadPermissions,
        ),
        (
            None,
            lease(false, true, page),
            MapFlags::READ_WRITE,
            Error::BadPermissions,
        ),
        (
            None,
            lease(true, false, page),
            MapFlags::READ_WRITE,
            Error::BadPermissions,
        ),
        (
            None,
            lease(true, true, page + 8),
            MapFlags::READ,
            Error::BadPermissions,
        ),
    ] {
        let (mut rig, mut disk) = claimed();
        rig.around.borrow_mut().lease = Some(lease);
        rig.around.borrow_mut().pin_code = code;
        let found = disk.map_lease(&mut rig, 1, flags);
        assert_eq!(found, Err(expected), "{code:?} {lease:?} {flags:?}");
        assert!(rig.around.borrow().pins.is_empty());
        assert_eq!(rig.status(DISK).mapped_pages, 0);
        assert_eq!(rig.read(STREAM, BASE), None);
    }
}

/// Of a lease the pages that are asked for are pinned and mapped, and no others.
#[test]
fn a_part_of_a_lease_is_mapped() {
    let (mut rig, mut disk) = claimed();
    rig.around.borrow_mut().lease = Some(LEASE);
    for (first, pages) in [(3, 2), (0, 1)] {
        let part = Extent { first, pages };
        let iova = disk.map_lease_part(&mut rig, part, MapFlags::READ_WRITE);
        let pa = LEASE.pa + u64::from(first) * PAGE;
        for page in 0..u64::from(pages) {
            let reached = rig.reach(STREAM, iova.unwrap() + page * PAGE);
            assert_eq!(reached, Some(pa + page * PAGE));
        }
        let slot = rig.around.borrow().next_slot;
        let pinned = rig.around.borrow().pinned[&slot];
        assert_eq!(pinned, (pa, u64::from(pages) * PAGE));
    }
}

/// The server's own table is full before the devices' shares are used up: the kernel is not asked.
#[test]
fn more_leases_than_the_table_holds_are_refused() {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    let share = MAPPED_LEASES_MAX as u32;
    devices.iter_mut().for_each(|device| device.pins = share);
    plan.devices = devices.leak();
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    let mut disk = rig.claim(task(4), DISK);
    let mut edu = rig.claim(task(5), EDU);
    rig.around.borrow_mut().lease = Some(LEASE);
    for _ in 1..MAPPED_LEASES_MAX {
        disk.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
    }
    let last = edu.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
    let asked = rig.around.borrow().next_slot;
    for driver in [&mut disk, &mut edu] {
        let more = driver.map_lease(&mut rig, 1, MapFlags::READ);
        assert_eq!(more, Err(Error::PinsExhausted));
    }
    assert_eq!(rig.around.borrow().next_slot, asked);
    assert_eq!(rig.around.borrow().pins.len(), MAPPED_LEASES_MAX);
    edu.unmap(&mut rig, last, 1).unwrap();
    disk.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
}

/// In the windows of two domains the same place is not the same lease.
#[test]
fn a_lease_of_another_device_is_not_in_the_way() {
    let (mut rig, mut disk) = claimed();
    let mut edu = rig.claim(task(5), EDU);
    rig.around.borrow_mut().lease = Some(LEASE);
    let pages = disk.map_any(&mut rig, 0, 2);
    let lease = disk.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
    let other = edu.map_lease(&mut rig, 2, MapFlags::READ).unwrap();
    assert_eq!((pages, other), (BASE, BASE));
    assert_eq!(disk.unmap(&mut rig, pages + PAGE, 1), Ok(0));
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    let again = disk.map(&mut rig, 0, 0, 1, fixed, pages + PAGE);
    assert_eq!(again, Ok(pages + PAGE));
    assert_eq!(disk.unmap(&mut rig, pages, 3), Ok(0));
    assert_eq!(lease, pages + 2 * PAGE);
    assert_eq!(rig.around.borrow().pins, [(2, task(7), EDU)]);
    assert_eq!(rig.read(0x008, other + PAGE), Some(LEASE.pa + PAGE));
}

/// Bits that no table defines are refused before anything else is looked at, whoever sets them; a number is not used up.
#[test]
fn undefined_bits_are_refused() {
    let (mut rig, mut disk) = claimed();
    let extent = Extent { first: 0, pages: 1 }.to_word();
    let rights = u64::from(MapFlags::READ_WRITE.0) << 16;
    let number = disk.sequence + 1;
    for (operation, rest, place) in [
        (Operation::Map, [extent, rights, 0, 0], 3),
        (Operation::MapLease, [extent, rights, 0, task(7).0], 3),
        (Operation::MapList, [rights, 0, extent, extent], 2),
    ] {
        let words = [&[disk.handle.0, number], rest.as_slice()].concat();
        let words = &words[..if operation == Operation::Map { 5 } else { 6 }];
        for bit in 20..64 {
            let mut words = words.to_vec();
            words[place] |= 1 << bit;
            for sender in [task(4), task(5), life(4, 1)] {
                let (code, _) = rig.now(sender, operation, &words);
                assert_eq!(Error::from_code(code), Some(Error::Malformed), "bit {bit}");
            }
        }
    }
    for operation in [Operation::Describe, Operation::Claim, Operation::Status] {
        for bit in 32..64 {
            for sender in [task(4), task(5)] {
                let (code, _) = rig.now(sender, operation, &[u64::from(DISK) | 1 << bit]);
                assert_eq!(Error::from_code(code), Some(Error::Malformed), "bit {bit}");
            }
        }
    }
    assert_eq!(rig.server.devices.slot(index(DISK)).sequence(), number - 1);
    disk.map_any(&mut rig, 0, 1);
}
