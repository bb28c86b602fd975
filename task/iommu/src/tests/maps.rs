use iommu_api::*;
use smmu::Command;
use userlib::protocol::Wire;

use super::rig::*;
use crate::hardware::Pinned;
use crate::space::Part;

fn disk() -> (Rig, Driver) {
    let mut rig = Rig::booted();
    let driver = rig.claim(task(4), DISK);
    (rig, driver)
}

#[test]
fn a_mapped_page_is_reached_and_an_unmapped_one_not() {
    let (mut rig, mut disk) = disk();
    let iova = disk.map_any(&mut rig, 5, 2);
    assert_eq!(rig.reach(0x100, iova + 7), Some(POOL + 5 * 4096 + 7));
    assert_eq!(rig.reach(0x100, iova + 4096), Some(POOL + 6 * 4096));
    assert_eq!(rig.reach(0x100, iova + 8192), None);
    assert_eq!(rig.status(DISK).mapped_pages, 2);
    disk.unmap(&mut rig, iova, 2).unwrap();
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(rig.reach(0x100, iova + 4096), None);
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

/// A domain without a device that snoops has leaves that no cache on the way keeps anything of.
#[test]
fn leaves_follow_the_domains_devices() {
    use vmsa::{Attributes, Memory, Permissions, Regime};
    for (snoops, memory) in [
        (1, Memory::NormalWriteBack),
        (0, Memory::NormalNonCacheable),
    ] {
        let entry = plan::iommu::DomainEntry {
            snoops,
            ..domain(0)
        };
        for part in [Part::pages(&entry), Part::blocks(&entry)] {
            for (writable, permissions) in
                [(false, Permissions::Read), (true, Permissions::ReadWrite)]
            {
                let leaf = part.template(writable);
                let found = Attributes::of(leaf).decode(Regime::Device);
                assert_eq!(found, Some((memory, permissions)));
            }
        }
    }
}

#[test]
fn read_only_is_read_only() {
    let (mut rig, mut disk) = disk();
    let iova = disk.map(&mut rig, 0, 0, 1, MapFlags::READ, 0).unwrap();
    assert_eq!(rig.read(0x100, iova), Some(POOL));
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(rig.status(DISK).last_event, 0x13);
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags(2), 0),
        Err(Error::BadPermissions)
    );
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags(0), 0),
        Err(Error::BadPermissions)
    );
}

#[test]
fn part_of_a_run_can_be_unmapped() {
    let (mut rig, mut disk) = disk();
    let iova = disk.map_any(&mut rig, 0, 4);
    for page in 0..4 {
        assert!(rig.reach(0x100, iova + page * 4096).is_some());
    }
    disk.unmap(&mut rig, iova + 4096, 2).unwrap();
    let reached: std::vec::Vec<bool> = (0..4)
        .map(|page| rig.reach(0x100, iova + page * 4096).is_some())
        .collect();
    assert_eq!(reached, [true, false, false, true]);
    assert_eq!(
        disk.unmap(&mut rig, iova, 4),
        Err(Error::NotMapped),
        "all or nothing"
    );
    assert!(rig.reach(0x100, iova).is_some());
}

#[test]
fn pools_have_bounds() {
    let (mut rig, mut disk) = disk();
    let mut map = |pool, first, pages| disk.map(&mut rig, pool, first, pages, MapFlags::READ, 0);
    assert_eq!(map(0, 63, 2), Err(Error::BadMemory));
    assert_eq!(map(0, 64, 1), Err(Error::BadMemory));
    assert_eq!(map(0, u32::MAX, u32::MAX), Err(Error::BadMemory));
    assert_eq!(map(0, 0, 0), Err(Error::Malformed));
    // Pool 1 in the table's order is the next task's.
    assert_eq!(map(1, 0, 1), Err(Error::BadMemory));
    assert_eq!(map(u16::MAX, 0, 1), Err(Error::BadMemory));
    assert!(map(0, 63, 1).is_ok());
}

#[test]
fn fixed_addresses() {
    let (mut rig, mut disk) = disk();
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    let at = BASE + 100 * 4096;
    let mut map = |pages, iova| disk.map(&mut rig, 0, 0, pages, fixed, iova);
    assert_eq!(map(2, at), Ok(at));
    assert_eq!(map(1, at + 4096), Err(Error::Overlap));
    assert_eq!(map(2, at - 4096), Err(Error::Overlap));
    assert_eq!(map(1, at + 5), Err(Error::BadRange));
    assert_eq!(map(1, BASE - 4096), Err(Error::BadRange));
    assert_eq!(map(2, BASE + 1023 * 4096), Err(Error::BadRange));
    assert_eq!(map(1, 0), Err(Error::BadRange));
    assert_eq!(map(1, !0xfff), Err(Error::BadRange));
    assert_eq!(map(1, BASE + 1023 * 4096), Ok(BASE + 1023 * 4096));
    for _ in 0..16 {
        let iova = disk.map_any(&mut rig, 0, 64);
        assert!(iova + 64 * 4096 <= at || iova >= at + 8192);
        disk.unmap(&mut rig, iova, 64).unwrap();
        disk.map_any(&mut rig, 0, 6);
    }
}

#[test]
fn iovas_run_out_and_come_back() {
    let (mut rig, mut disk) = disk();
    let runs: std::vec::Vec<u64> = (0..16).map(|_| disk.map_any(&mut rig, 0, 64)).collect();
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::NoSpace)
    );
    disk.unmap(&mut rig, runs[3], 64).unwrap();
    disk.unmap(&mut rig, runs[9], 64).unwrap();
    assert_eq!(disk.map_any(&mut rig, 0, 60), runs[3]);
    assert_eq!(disk.map_any(&mut rig, 0, 64), runs[9]);
    assert_eq!(disk.map_any(&mut rig, 0, 4), runs[3] + 60 * 4096);
}

#[test]
fn blocks() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    let flags = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
    let iova = edu.map(&mut rig, 1, 512, 512, flags, 0).unwrap();
    assert_eq!(iova, BLOCKS);
    assert_eq!(
        rig.reach(0x008, iova + 0x12_3456),
        Some(BIG_POOL + 0x20_0000 + 0x12_3456)
    );
    assert_eq!(rig.status(EDU).mapped_pages, 512);
    assert_eq!(
        edu.map(&mut rig, 1, 1, 512, flags, 0),
        Err(Error::BadMemory)
    );
    assert_eq!(
        edu.map(&mut rig, 1, 0, 100, flags, 0),
        Err(Error::BadMemory)
    );
    assert_eq!(edu.unmap(&mut rig, iova, 1), Err(Error::BadRange));
    assert_eq!(edu.unmap(&mut rig, iova, 512), Ok(0));
    assert_eq!(rig.reach(0x008, iova), None);
    assert_eq!(rig.status(EDU).mapped_pages, 0);
    let two = edu.map(&mut rig, 1, 0, 1024, flags, 0).unwrap();
    assert!(rig.reach(0x008, two + 0x20_0000).is_some());
    assert_eq!(edu.unmap(&mut rig, two, 1024), Ok(0));
    assert_eq!(rig.reach(0x008, two + 0x20_0000), None);
}

#[test]
fn lists() {
    let (mut rig, mut disk) = disk();
    let iova = disk.map_list(&mut rig, &[(9, 1), (3, 2), (60, 4)]).unwrap();
    let expected = [9, 3, 4, 60, 61, 62, 63];
    for (page, pool_page) in (0u64..).zip(expected) {
        let pa = POOL + pool_page * 4096;
        assert_eq!(rig.reach(0x100, iova + page * 4096), Some(pa));
    }
    let first = (iova >> 12) as u32;
    assert_eq!(
        disk.unmap_list(&mut rig, &[(first, 2), (first + 7, 1)]),
        Err(Error::NotMapped)
    );
    assert!(rig.reach(0x100, iova).is_some(), "none of them");
    assert_eq!(
        disk.unmap_list(&mut rig, &[(first + 5, 2), (first, 2), (first + 2, 3)]),
        Ok(0)
    );
    for page in 0..7 {
        assert_eq!(rig.reach(0x100, iova + page * 4096), None);
    }
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    assert_eq!(
        disk.map_list(&mut rig, &[(0, 1), (63, 2)]),
        Err(Error::BadMemory)
    );
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

#[test]
fn a_list_that_names_a_page_twice_unmaps_nothing() {
    let (mut rig, mut disk) = disk();
    let iova = disk.map_any(&mut rig, 0, 6);
    let first = (iova >> 12) as u32;
    let lists: [&[(u32, u32)]; 5] = [
        &[(first, 1), (first, 1), (first + 1, 1)],
        &[(first + 4, 1), (first, 2), (first + 1, 1)],
        &[(first, 6), (first + 5, 1)],
        &[(first + 5, 1), (first, 6)],
        &[(first + 3, 2), (first, 4)],
    ];
    for list in lists {
        assert_eq!(disk.unmap_list(&mut rig, list), Err(Error::NotMapped));
        for page in 0..6 {
            assert!(rig.reach(0x100, iova + page * 4096).is_some());
        }
    }
    assert_eq!(rig.status(DISK).mapped_pages, 6);
    // Neighbours in any order are not the same page.
    disk.unmap_list(&mut rig, &[(first + 4, 2), (first, 2), (first + 2, 2)])
        .unwrap();
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

#[test]
fn what_is_wrong_with_a_list_is_told_in_order() {
    let (mut rig, mut disk) = disk();
    let mut map = |list: &[(u32, u32)]| disk.map_list(&mut rig, list);
    assert_eq!(map(&[(0, 1), (3, 0), (64, 1)]), Err(Error::Malformed));
    assert_eq!(map(&[(0, 1), (64, 1), (3, 0)]), Err(Error::BadMemory));
    assert_eq!(map(&[(60, 4), (3, 0)]), Err(Error::Malformed));
    let iova = map(&[(5, 1), (9, 2), (0, 1)]).unwrap();
    let first = (iova >> 12) as u32;
    let mut unmap = |list: &[(u32, u32)]| disk.unmap_list(&mut rig, list);
    assert_eq!(unmap(&[(first, 1), (first, 0)]), Err(Error::Malformed));
    assert_eq!(
        unmap(&[(first, 1), (0, 1), (first, 0)]),
        Err(Error::BadRange)
    );
    assert_eq!(rig.reach(0x100, iova), Some(POOL + 5 * 4096));
    assert_eq!(rig.reach(0x100, iova + 2 * 4096), Some(POOL + 10 * 4096));
    assert_eq!(rig.reach(0x100, iova + 3 * 4096), Some(POOL));
}

#[test]
fn long_lists_use_range_invalidation() {
    let (mut rig, mut disk) = disk();
    let extents: std::vec::Vec<(u32, u32)> = (0..256).map(|i| (i * 7 % 64, 1)).collect();
    let iova = disk.map_list(&mut rig, &extents).unwrap();
    for page in 0..256 {
        assert!(rig.reach(0x100, iova + page * 4096).is_some());
    }
    let before = rig.smmu.0.borrow().commands.len();
    disk.unmap(&mut rig, iova, 256).unwrap();
    let commands = rig.smmu.0.borrow().commands[before..].to_vec();
    assert_eq!(commands.len(), 2, "{commands:?}");
    assert!(matches!(commands[0], Command::TlbRange { level: 3, .. }));
    for page in 0..256 {
        assert_eq!(rig.reach(0x100, iova + page * 4096), None);
    }
}

#[test]
fn odd_counts_with_and_without_range_invalidation() {
    for idr3 in [0x1404, 0x1004] {
        let mut rig = Rig::cold();
        rig.smmu.0.borrow_mut().behaviour.idr[2] = idr3;
        rig.server.boot();
        let mut disk = rig.claim(task(4), DISK);
        for pages in [1, 2, 3, 31, 33, 63, 64] {
            let iova = disk.map_any(&mut rig, 0, pages);
            for page in 0..u64::from(pages) {
                assert!(rig.reach(0x100, iova + page * 4096).is_some());
            }
            disk.unmap(&mut rig, iova, u64::from(pages)).unwrap();
            for page in 0..u64::from(pages) {
                assert_eq!(rig.reach(0x100, iova + page * 4096), None);
            }
        }
        let extents: std::vec::Vec<(u32, u32)> = (0..200).map(|_| (0, 1)).collect();
        let iova = disk.map_list(&mut rig, &extents).unwrap();
        for page in 0..200 {
            assert!(rig.reach(0x100, iova + page * 4096).is_some());
        }
        disk.unmap(&mut rig, iova, 200).unwrap();
        for page in 0..200 {
            assert_eq!(rig.reach(0x100, iova + page * 4096), None);
        }
    }
}

#[test]
fn sequence_numbers() {
    let (mut rig, mut disk) = disk();
    let iova = disk.map_any(&mut rig, 0, 1);
    // The same again: the same answer, and nothing more is mapped.
    disk.sequence -= 1;
    assert_eq!(disk.map_any(&mut rig, 0, 1), iova);
    assert_eq!(rig.status(DISK).mapped_pages, 1);
    // The same number for something else.
    disk.sequence -= 1;
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::OutOfSequence));
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
    disk.sequence -= 1;
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0), "already done");
    // A gap.
    disk.sequence += 1;
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::OutOfSequence)
    );
    disk.sequence -= 2;
    // A refusal has a number too, and is repeated as such.
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::NotMapped));
    disk.sequence -= 1;
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::NotMapped));
}

#[test]
fn leases_are_pinned_while_mapped() {
    let (mut rig, mut disk) = disk();
    assert_eq!(
        disk.map_lease(&mut rig, 2, MapFlags::READ),
        Err(Error::NoLease)
    );
    let lease = Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: false,
    };
    rig.around.borrow_mut().lease = Some(lease);
    assert_eq!(
        disk.map_lease(&mut rig, 2, MapFlags::READ_WRITE),
        Err(Error::BadPermissions)
    );
    assert!(rig.around.borrow().pins.is_empty());
    let iova = disk.map_lease(&mut rig, 2, MapFlags::READ).unwrap();
    assert_eq!(rig.read(0x100, iova + 4096), Some(0x7000_1000));
    assert_eq!(rig.around.borrow().pins, [(2, task(7), DISK)]);
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::PartOfLease));
    let other = disk.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
    assert_eq!(
        disk.map_lease(&mut rig, 1, MapFlags::READ),
        Err(Error::PinsExhausted)
    );
    // One unmap over both leases.
    assert_eq!(other, iova + 8192);
    assert_eq!(disk.unmap(&mut rig, iova, 3), Ok(0));
    assert!(rig.around.borrow().pins.is_empty());
    assert_eq!(rig.read(0x100, iova), None);
}

#[test]
fn flush_waits_for_the_smmu() {
    let (mut rig, mut disk) = disk();
    let before = rig.smmu.0.borrow().commands.len();
    let head = disk.head();
    let (code, _) = rig.now(disk.id, Operation::Flush, &head.to_words()[..2]);
    assert_eq!(code, 0);
    assert_eq!(rig.smmu.0.borrow().commands[before..], [Command::Sync]);
}
