//! Entries of a window: each that is in use is in use, whoever made it and however it was found.

use iommu_api::*;
use std::vec::Vec;

use super::rig::*;
use crate::hardware::Pinned;

const PAGES: u64 = 1024;

fn disk() -> (Rig, Driver) {
    let mut rig = Rig::booted();
    let disk = rig.claim(task(4), DISK);
    (rig, disk)
}

/// Eight extents of one page are judged at once: each of them counts, and each of what is left over.
#[test]
fn one_page_of_a_long_list_is_beyond() {
    let (mut rig, mut disk) = disk();
    for len in [8, 9, 16, 17] {
        for wrong in 0..len {
            for (extent, error) in [
                ((64, 1), Error::BadMemory),
                ((63, 2), Error::BadMemory),
                ((u32::MAX, 1), Error::BadMemory),
                ((3, 0), Error::Malformed),
            ] {
                let mut list = std::vec![(63, 1); len];
                list[wrong] = extent;
                assert_eq!(disk.map_list(&mut rig, &list), Err(error), "{len} {wrong}");
                assert_eq!(rig.status(DISK).mapped_pages, 0);
            }
        }
        let iova = disk.map_list(&mut rig, &std::vec![(63, 1); len]).unwrap();
        disk.unmap(&mut rig, iova, len as u64).unwrap();
    }
}

/// Two entries that are the same are two entries.
#[test]
fn a_page_that_is_mapped_twice_is_in_the_way_twice() {
    let (mut rig, mut disk) = disk();
    let iova = disk.map_list(&mut rig, &[(5, 1), (5, 1)]).unwrap();
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    let over = disk.map(&mut rig, 0, 9, 2, fixed, iova);
    assert_eq!(over, Err(Error::Overlap));
    assert_eq!(rig.reach(0x100, iova), Some(POOL + 5 * 4096));
}

/// Devices of one alias set see each other's blocks, and unmap only their own.
#[test]
fn blocks_have_the_mark_of_who_mapped_them() {
    let mut plan = plan();
    let mut pools = plan.pools.to_vec();
    pools[2].task = 6;
    // By task and number.
    pools.swap(2, 3);
    plan.pools = pools.leak();
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    let mut left = rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    let flags = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
    let iova = right.map(&mut rig, 1, 0, 512, flags, 0).unwrap();
    assert_eq!(left.unmap(&mut rig, iova, 512), Err(Error::NotMapped));
    assert_eq!(rig.reach(0x010, iova), Some(BIG_POOL));
    assert_eq!(right.unmap(&mut rig, iova, 512), Ok(0));
    assert_eq!(rig.reach(0x010, iova), None);
}

/// Of the entries behind the last ones it is known that they are free, until one of them is taken by its address.
#[test]
fn what_was_taken_by_its_address_is_given_to_nobody_else() {
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    // In the midst, at the beginning, before and across the end, and at the end of what is known.
    for (entry, pages) in [
        (100, 2),
        (1, 1),
        (1, 40),
        (256, 1),
        (256, 2),
        (257, 3),
        (300, 1),
    ] {
        let (mut rig, mut disk) = disk();
        assert_eq!(disk.map_any(&mut rig, 0, 1), BASE);
        let at = BASE + entry * PAGE;
        assert_eq!(disk.map(&mut rig, 0, 7, pages, fixed, at), Ok(at));
        let mut used = std::vec![false; PAGES as usize];
        used[0] = true;
        let mut take = |iova: u64, count: u64| {
            for page in (iova - BASE) / PAGE..(iova - BASE) / PAGE + count {
                assert!(
                    !core::mem::replace(&mut used[page as usize], true),
                    "{entry}: {page}"
                );
            }
        };
        take(at, u64::from(pages));
        for count in [16, 1] {
            let any = MapFlags::READ_WRITE;
            while let Ok(iova) = disk.map(&mut rig, 0, 0, count, any, 0) {
                take(iova, u64::from(count));
            }
        }
        assert!(used.iter().all(|used| *used), "{entry}");
        assert_eq!(rig.reach(0x100, at), Some(POOL + 7 * PAGE), "{entry}");
    }
}

/// Blocks and pages are numbered apart: what is unmapped of one is none of the other.
#[test]
fn a_block_is_no_part_of_a_lease() {
    for pages in [1, 2] {
        let mut rig = Rig::booted();
        let mut edu = rig.claim(task(5), EDU);
        rig.around.borrow_mut().lease = Some(Pinned {
            slot: 0,
            pa: 0x7000_0000,
            readable: true,
            writable: true,
        });
        let lent = edu.map_lease(&mut rig, pages, MapFlags::READ_WRITE);
        assert_eq!(lent, Ok(BASE), "the first page");
        rig.around.borrow_mut().lease = None;
        let flags = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
        let iova = edu.map(&mut rig, 1, 0, 512, flags, 0);
        assert_eq!(iova, Ok(BLOCKS), "the first block");
        assert_eq!(edu.unmap(&mut rig, BLOCKS, 512), Ok(0));
        let pins: Vec<_> = rig.around.borrow().pins.clone();
        assert_eq!(pins.len(), 1);
        assert_eq!(rig.status(EDU).mapped_pages, u64::from(pages));
        assert_eq!(edu.unmap(&mut rig, BASE, u64::from(pages)), Ok(0));
        assert!(rig.around.borrow().pins.is_empty());
    }
}
