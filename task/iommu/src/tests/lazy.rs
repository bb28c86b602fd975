//! Domains in which unmapped pages wait for a flush.

use iommu_api::*;
use plan::iommu::Invalidation;
use smmu::Command;
use std::vec::Vec;
use userlib::protocol::Wire;

use super::journal::Did;
use super::rig::*;
use crate::hardware::Pinned;
use crate::plan_view::PlanView;

const STREAM: u32 = 0x100;
/// Pages that may wait, and for how long.
const MOST: u16 = 8;
const MILLISECONDS: u16 = 10;
const SYNC: Did = Did::Command(Command::Sync);

/// The usual machine, the disk's domain lazy.
fn lazy_plan() -> PlanView<'static> {
    let mut plan = plan();
    let mut domains = plan.domains.to_vec();
    let domain = &mut domains[plan.devices[DISK as usize].domain as usize];
    domain.invalidation = Invalidation::Lazy as u32;
    domain.lazy_pages = MOST;
    domain.lazy_ms = MILLISECONDS;
    plan.domains = Vec::leak(domains);
    plan
}

fn claimed() -> (Rig, Driver) {
    let mut rig = Rig::planned(lazy_plan());
    rig.server.boot();
    let disk = rig.claim(task(4), DISK);
    rig.journal().clear();
    (rig, disk)
}

/// Pages that the device has used, and that are unmapped now.
fn unmapped(rig: &mut Rig, disk: &mut Driver, pages: u32) -> u64 {
    let iova = disk.map_any(rig, 0, pages);
    for page in 0..u64::from(pages) {
        assert!(rig.reach(STREAM, iova + page * PAGE).is_some());
    }
    disk.unmap(rig, iova, pages.into()).unwrap();
    iova
}

fn flush(rig: &mut Rig, disk: &mut Driver) -> u32 {
    let head = disk.head();
    rig.now(disk.id, Operation::Flush, &head.to_words()[..2]).0
}

#[test]
fn an_unmap_waits_for_nothing_and_a_flush_completes_it() {
    let (mut rig, mut disk) = claimed();
    let iova = unmapped(&mut rig, &mut disk, 2);
    assert_eq!(rig.journal().deeds(), []);
    // What the SMMU has cached it may still use; what is gone from the tables is not mapped.
    assert!(rig.reach(STREAM, iova).is_some());
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::NotMapped));
    assert_eq!(rig.status(DISK).mapped_pages, 2);
    assert_eq!(flush(&mut rig, &mut disk), 0);
    assert_eq!(rig.reach(STREAM, iova), None);
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    assert_eq!(disk.map_any(&mut rig, 3, 1), iova);
}

#[test]
fn so_many_pages_wait_at_most() {
    let (mut rig, mut disk) = claimed();
    let mut iovas = Vec::new();
    for _ in 1..MOST {
        iovas.push(unmapped(&mut rig, &mut disk, 1));
    }
    assert_eq!(rig.journal().deeds(), []);
    iovas.push(unmapped(&mut rig, &mut disk, 1));
    assert!(rig.journal().deeds().contains(&SYNC));
    assert!(iovas.iter().all(|&iova| rig.reach(STREAM, iova).is_none()));
    // More than may wait at all.
    unmapped(&mut rig, &mut disk, 1);
    let iova = unmapped(&mut rig, &mut disk, u32::from(MOST) + 1);
    assert_eq!(rig.reach(STREAM, iova), None);
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

#[test]
fn they_wait_so_long_at_most() {
    let (mut rig, mut disk) = claimed();
    let iova = unmapped(&mut rig, &mut disk, 1);
    let due = rig.around.borrow_mut().timer.take().unwrap();
    let now = rig.smmu.0.borrow().time;
    assert!(due <= now + u64::from(MILLISECONDS) * 1_000_000);
    // Woken for something else: not yet.
    rig.server.on_timer();
    assert!(rig.reach(STREAM, iova).is_some());
    assert_eq!(rig.server.take_new_deadline(), Some(due));
    rig.smmu.0.borrow_mut().time = due;
    rig.server.on_timer();
    assert_eq!(rig.reach(STREAM, iova), None);
    assert_eq!(rig.server.take_new_deadline(), None);
}

#[test]
fn what_waits_is_in_nobodys_way() {
    let (mut rig, mut disk) = claimed();
    let iova = unmapped(&mut rig, &mut disk, 2);
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    assert_eq!(disk.map(&mut rig, 0, 5, 1, fixed, iova), Ok(iova));
    assert_eq!(rig.reach(STREAM, iova), Some(POOL + 5 * PAGE));
    assert_eq!(rig.reach(STREAM, iova + PAGE), None);
    disk.unmap(&mut rig, iova, 1).unwrap();
    // The whole window, of which one page waits.
    let all: Vec<(u32, u32)> = (0..1024 / 64).map(|_| (0, 64)).collect();
    assert_eq!(disk.map_list(&mut rig, &all), Ok(BASE));
    assert_eq!(rig.status(DISK).mapped_pages, 1024);
}

#[test]
fn a_pin_is_lifted_after_the_flush() {
    let (mut rig, mut disk) = claimed();
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let lent = disk.map_lease(&mut rig, 2, MapFlags::READ_WRITE).unwrap();
    assert!(rig.reach(STREAM, lent).is_some());
    rig.journal().clear();
    disk.unmap(&mut rig, lent, 2).unwrap();
    assert_eq!(rig.journal().deeds(), []);
    assert_eq!(rig.around.borrow().pins.len(), 1);
    assert_eq!(flush(&mut rig, &mut disk), 0);
    let deeds = rig.journal().deeds();
    let place = |deed: &Did| deeds.iter().position(|did| did == deed);
    let unpinned = deeds.iter().position(|did| matches!(did, Did::Unpin(_)));
    assert!(place(&SYNC).unwrap() < unpinned.unwrap(), "{deeds:?}");
    assert!(rig.around.borrow().pins.is_empty());
}

#[test]
fn a_claim_that_ends_is_flushed_first() {
    let (mut rig, mut disk) = claimed();
    let iova = unmapped(&mut rig, &mut disk, 3);
    assert!(matches!(
        disk.release(&mut rig),
        crate::Reply::Now { code: 0, .. }
    ));
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    let mut disk = rig.claim(task(4), DISK);
    assert_eq!(rig.reach(STREAM, iova), None);
    unmapped(&mut rig, &mut disk, 3);
    rig.die(4);
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

#[test]
fn a_flush_that_is_not_confirmed_gives_nothing_back() {
    let (mut rig, mut disk) = claimed();
    unmapped(&mut rig, &mut disk, 3);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    let code = flush(&mut rig, &mut disk);
    assert_eq!(Error::from_code(code), Some(Error::HardwareFailure));
    assert!(!rig.is_bus_master(DISK));
    assert_eq!(rig.status(DISK).mapped_pages, 3);
    // The same when nobody asks, but time is up.
    let (mut rig, mut disk) = claimed();
    unmapped(&mut rig, &mut disk, 3);
    let due = rig.around.borrow_mut().timer.take().unwrap();
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    rig.smmu.0.borrow_mut().time = due;
    rig.server.on_timer();
    assert!(!rig.is_bus_master(DISK));
    assert_eq!(rig.status(DISK).mapped_pages, 3);
}

#[test]
fn a_successor_finds_what_waited_free() {
    let (mut rig, mut disk) = claimed();
    let kept = disk.map_any(&mut rig, 0, 1);
    let iova = unmapped(&mut rig, &mut disk, 4);
    let mut rig = Rig::with(lazy_plan(), rig.smmu.clone(), rig.around.clone());
    rig.server.boot();
    assert_eq!(rig.reach(STREAM, iova), None);
    assert!(rig.reach(STREAM, kept).is_some());
    assert_eq!(rig.status(DISK).mapped_pages, 1);
    let mut disk = rig.claim(task(4), DISK);
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    rig.journal().clear();
    assert_eq!(disk.map(&mut rig, 0, 5, 4, fixed, iova), Ok(iova));
    assert_eq!(rig.journal().deeds(), []);
}

/// The pool of task 7, which is lent as a whole, registered for the disk; and how many pins there are.
fn registered(rig: &mut Rig, disk: &mut Driver) -> u16 {
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: LENT,
        readable: true,
        writable: true,
    });
    let number = disk.register(rig, 8).unwrap() as u16;
    rig.around.borrow_mut().lease = None;
    number
}

fn pins(rig: &Rig) -> usize {
    rig.around.borrow().pins.len()
}

/// A page of it that the device has used, and that waits for a flush.
fn parted_of_pool(rig: &mut Rig, disk: &mut Driver, pool: u16) -> u64 {
    let iova = disk.map(rig, pool, 3, 1, MapFlags::READ_WRITE, 0).unwrap();
    assert!(rig.reach(STREAM, iova).is_some());
    rig.journal().clear();
    disk.unmap(rig, iova, 1).unwrap();
    assert_eq!(rig.journal().deeds(), []);
    iova
}

fn is_unpinned_after_sync(rig: &Rig) -> bool {
    let deeds = rig.journal().deeds();
    let sync = deeds.iter().position(|did| *did == SYNC);
    let unpinned = deeds.iter().position(|did| matches!(did, Did::Unpin(_)));
    sync.zip(unpinned)
        .is_some_and(|(sync, unpinned)| sync < unpinned)
}

#[test]
fn what_waits_is_not_in_the_way_of_a_lent_pool() {
    let (mut rig, mut disk) = claimed();
    let pool = registered(&mut rig, &mut disk);
    let iova = unmapped(&mut rig, &mut disk, 2);
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    assert_eq!(disk.map(&mut rig, pool, 0, 1, fixed, iova), Ok(iova));
    // Where something is, while something else waits: refused once, and the next request is the next.
    let waits = iova + PAGE;
    disk.map(&mut rig, 0, 3, 1, fixed, waits).unwrap();
    disk.unmap(&mut rig, waits, 1).unwrap();
    let taken = disk.map(&mut rig, pool, 1, 1, fixed, iova);
    assert_eq!(taken, Err(Error::Overlap));
    assert!(disk.unmap(&mut rig, iova, 1).is_ok());
}

#[test]
fn a_pool_that_is_given_back_is_flushed_first() {
    let (mut rig, mut disk) = claimed();
    let pool = registered(&mut rig, &mut disk);
    let iova = parted_of_pool(&mut rig, &mut disk, pool);
    assert!(rig.reach(STREAM, iova).is_some());
    assert_eq!(disk.unregister(&mut rig, pool), Ok(0));
    assert_eq!(rig.reach(STREAM, iova), None);
    assert!(is_unpinned_after_sync(&rig));
    assert_eq!(pins(&rig), 0);
}

#[test]
fn a_pool_with_a_page_mapped_is_flushed_and_kept() {
    let (mut rig, mut disk) = claimed();
    let pool = registered(&mut rig, &mut disk);
    let iova = parted_of_pool(&mut rig, &mut disk, pool);
    let read = MapFlags::READ_WRITE;
    let kept = disk.map(&mut rig, pool, 0, 1, read, 0).unwrap();
    assert_eq!(disk.unregister(&mut rig, pool), Err(Error::Overlap));
    assert_eq!(rig.reach(STREAM, iova), None);
    assert!(rig.reach(STREAM, kept).is_some());
    assert_eq!(pins(&rig), 1);
}

#[test]
fn a_lenders_death_is_flushed_first() {
    let (mut rig, mut disk) = claimed();
    let pool = registered(&mut rig, &mut disk);
    let iova = parted_of_pool(&mut rig, &mut disk, pool);
    rig.around.borrow_mut().dead.push(7);
    rig.server.on_held_death();
    assert_eq!(rig.reach(STREAM, iova), None);
    assert!(is_unpinned_after_sync(&rig));
    assert_eq!(pins(&rig), 0);
}

#[test]
fn a_dead_lenders_last_page_waits_for_nothing() {
    let (mut rig, mut disk) = claimed();
    let pool = registered(&mut rig, &mut disk);
    let read = MapFlags::READ_WRITE;
    let last = disk.map(&mut rig, pool, 0, 1, read, 0).unwrap();
    assert!(rig.reach(STREAM, last).is_some());
    rig.around.borrow_mut().dead.push(7);
    rig.server.on_held_death();
    assert_eq!(pins(&rig), 1);
    rig.journal().clear();
    disk.unmap(&mut rig, last, 1).unwrap();
    assert_eq!(rig.reach(STREAM, last), None);
    assert!(is_unpinned_after_sync(&rig));
    assert_eq!(pins(&rig), 0);
}

#[test]
fn a_pool_of_a_lender_whose_death_cannot_be_flushed_stays_pinned() {
    let (mut rig, mut disk) = claimed();
    let pool = registered(&mut rig, &mut disk);
    parted_of_pool(&mut rig, &mut disk, pool);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    rig.around.borrow_mut().dead.push(7);
    rig.server.on_held_death();
    assert_eq!(pins(&rig), 1);
    assert!(!rig.is_bus_master(DISK));
}

#[test]
fn a_strict_domain_beside_a_lazy_one_stays_strict() {
    let (mut rig, mut disk) = claimed();
    let mut edu = rig.claim(task(5), EDU);
    let parted = unmapped(&mut rig, &mut disk, 2);
    let iova = edu.map_any(&mut rig, 0, 1);
    rig.journal().clear();
    edu.unmap(&mut rig, iova, 1).unwrap();
    assert!(rig.journal().deeds().contains(&SYNC));
    // Its SYNC says nothing of what the other one parted.
    assert!(rig.reach(STREAM, parted).is_some());
    assert_eq!(rig.status(DISK).mapped_pages, 2);
}
