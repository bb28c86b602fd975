//! Pages in the places of others: the old ones are out of reach before the new ones are within.

use iommu_api::*;
use smmu::Command;

use super::journal::Did;
use super::rig::*;
use crate::hardware::Pinned;

const BOTH: MapFlags = MapFlags::READ_WRITE;

fn disk_with(pages: u32) -> (Rig, Driver, u64) {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, pages);
    (rig, disk, iova)
}

/// What each page of a range leads to, as a page of the pool.
fn leads_to(rig: &Rig, iova: u64, pages: u64) -> std::vec::Vec<Option<u64>> {
    let page = |number| rig.reach(0x100, iova + number * PAGE);
    (0..pages)
        .map(|number| page(number).map(|pa| (pa - POOL) / PAGE))
        .collect()
}

#[test]
fn another_page_is_reached_and_the_old_one_not() {
    let (mut rig, mut disk, iova) = disk_with(4);
    // The SMMU has cached all of them.
    assert_eq!(
        leads_to(&rig, iova, 4),
        [Some(0), Some(1), Some(2), Some(3)]
    );
    rig.journal().clear();
    assert_eq!(disk.exchange(&mut rig, (9, 2), BOTH, iova + PAGE), Ok(0));
    let waits = rig.journal().deeds();
    let waits = waits
        .iter()
        .filter(|did| **did == Did::Command(Command::Sync));
    assert_eq!(waits.count(), 1);
    assert_eq!(
        leads_to(&rig, iova, 4),
        [Some(0), Some(9), Some(10), Some(3)]
    );
    assert_eq!(rig.status(DISK).mapped_pages, 4);
    disk.unmap(&mut rig, iova, 4).unwrap();
    assert_eq!(leads_to(&rig, iova, 4), [None; 4]);
}

#[test]
fn rights_are_those_of_the_exchange() {
    let (mut rig, mut disk, iova) = disk_with(1);
    disk.exchange(&mut rig, (3, 1), MapFlags::READ, iova)
        .unwrap();
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(rig.read(0x100, iova), Some(POOL + 3 * PAGE));
    disk.exchange(&mut rig, (3, 1), BOTH, iova).unwrap();
    assert_eq!(rig.reach(0x100, iova), Some(POOL + 3 * PAGE));
}

#[test]
fn a_list_exchanges_all_of_its_pages_in_any_order() {
    let (mut rig, mut disk, iova) = disk_with(6);
    leads_to(&rig, iova, 6);
    let at = |number: u64| iova + number * PAGE;
    let list = [(20, at(4)), (21, at(1)), (22, at(2)), (20, at(0))];
    rig.journal().clear();
    assert_eq!(disk.exchange_list(&mut rig, &list), Ok(0));
    let deeds = rig.journal().deeds();
    // Neighbours in a row have one command.
    assert_eq!(deeds.len(), 4, "{deeds:?}");
    assert_eq!(deeds.last(), Some(&Did::Command(Command::Sync)));
    let expected = [20, 21, 22, 3, 20, 5].map(Some);
    assert_eq!(leads_to(&rig, iova, 6), expected);
    assert_eq!(rig.status(DISK).mapped_pages, 6);
}

#[test]
fn a_list_that_is_refused_exchanges_nothing() {
    let (mut rig, mut disk, iova) = disk_with(4);
    let at = |number: u64| iova + number * PAGE;
    let before = leads_to(&rig, iova, 4);
    let refused: [(&[(u32, u64)], Error); 5] = [
        (&[(20, at(0)), (64, at(1))], Error::BadMemory),
        (&[(20, at(0)), (21, BASE - PAGE)], Error::BadRange),
        (&[(20, at(0)), (21, at(4))], Error::NotMapped),
        (&[(20, at(3)), (21, at(0)), (22, at(3))], Error::NotMapped),
        (&[(20, at(0)), (21, at(0))], Error::NotMapped),
    ];
    for (list, error) in refused {
        rig.journal().clear();
        assert_eq!(disk.exchange_list(&mut rig, list), Err(error));
        assert_eq!(rig.journal().deeds(), []);
        assert_eq!(leads_to(&rig, iova, 4), before);
    }
}

#[test]
fn a_lease_in_whose_place_pages_come_is_unpinned_after_its_invalidation() {
    let (mut rig, mut disk, _) = disk_with(1);
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let lent = disk.map_lease(&mut rig, 2, BOTH).unwrap();
    assert_eq!(
        disk.exchange(&mut rig, (5, 1), BOTH, lent),
        Err(Error::PartOfLease)
    );
    rig.journal().clear();
    disk.exchange(&mut rig, (5, 2), BOTH, lent).unwrap();
    let deeds = rig.journal().deeds();
    let [Did::Command(_), Did::Command(Command::Sync), unpin] = deeds.as_slice() else {
        panic!("{deeds:?}");
    };
    assert!(matches!(unpin, Did::Unpin(_)), "{unpin:?}");
    assert_eq!(leads_to(&rig, lent, 2), [Some(5), Some(6)]);
    assert_eq!(rig.status(DISK).mapped_pages, 3);
}

#[test]
fn nothing_is_mapped_in_the_place_of_what_may_still_be_cached() {
    let (mut rig, mut disk, iova) = disk_with(2);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    let failed = disk.exchange(&mut rig, (7, 1), BOTH, iova);
    assert_eq!(failed, Err(Error::HardwareFailure));
    assert!(!rig.is_bus_master(DISK));
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(rig.status(DISK).mapped_pages, 2);
}

#[test]
fn the_last_page_of_a_pool_is_the_last() {
    let (mut rig, mut disk, iova) = disk_with(4);
    assert_eq!(disk.exchange(&mut rig, (62, 2), BOTH, iova), Ok(0));
    assert_eq!(leads_to(&rig, iova, 2), [Some(62), Some(63)]);
    for extent in [(63, 2), (64, 1), (u32::MAX, 2)] {
        let found = disk.exchange(&mut rig, extent, BOTH, iova);
        assert_eq!(found, Err(Error::BadMemory), "{extent:?}");
    }
    assert_eq!(disk.exchange_list(&mut rig, &[(63, iova)]), Ok(0));
    assert_eq!(leads_to(&rig, iova, 2), [Some(63), Some(63)]);
}
