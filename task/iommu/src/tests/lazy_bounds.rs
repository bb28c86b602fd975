//! How much may wait for a flush, and for how long, at the edges: nothing of it is lost there.

use iommu_api::*;
use plan::iommu::Invalidation;
use smmu::Command;
use std::vec::Vec;
use userlib::protocol::Wire;

use super::journal::Did;
use super::rig::*;
use crate::hardware::Pinned;
use crate::limits::{PARTED_MAX, SINGLE_INVALIDATIONS_MAX};

const MILLISECONDS: u16 = 10;

/// The usual machine, the domain of a device lazy.
fn lazy(device: u32, most: u16) -> Rig {
    let mut plan = plan();
    let mut domains = plan.domains.to_vec();
    let domain = &mut domains[plan.devices[device as usize].domain as usize];
    domain.invalidation = Invalidation::Lazy as u32;
    domain.lazy_pages = most;
    domain.lazy_ms = MILLISECONDS;
    plan.domains = Vec::leak(domains);
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    rig
}

fn flush(rig: &mut Rig, driver: &mut Driver) {
    let head = driver.head();
    let (code, _) = rig.now(driver.id, Operation::Flush, &head.to_words()[..2]);
    assert_eq!(code, 0);
}

/// So many pages, mapped and unmapped one by one.
fn singles(rig: &mut Rig, disk: &mut Driver, count: usize) -> Vec<u64> {
    let iovas: Vec<u64> = (0..count).map(|_| disk.map_any(rig, 0, 1)).collect();
    for &iova in &iovas {
        assert!(rig.reach(0x100, iova).is_some());
        disk.unmap(rig, iova, 1).unwrap();
    }
    iovas
}

#[test]
fn more_runs_than_are_remembered_do_not_wait() {
    for beyond in [0, 1, 9] {
        let mut rig = lazy(DISK, 1000);
        let mut disk = rig.claim(task(4), DISK);
        let iovas = singles(&mut rig, &mut disk, PARTED_MAX + beyond);
        flush(&mut rig, &mut disk);
        assert_eq!(rig.status(DISK).mapped_pages, 0);
        assert!(iovas.iter().all(|&iova| rig.reach(0x100, iova).is_none()));
    }
}

#[test]
fn a_list_of_more_runs_than_are_remembered_does_not_wait() {
    for runs in [2, 3, 8] {
        let mut rig = lazy(DISK, 1000);
        let mut disk = rig.claim(task(4), DISK);
        let list: Vec<(u32, u32)> = (0..runs).map(|_| (5, 1)).collect();
        let iova = disk.map_list(&mut rig, &list).unwrap();
        singles(&mut rig, &mut disk, PARTED_MAX - 2);
        let first = (iova >> 12) as u32;
        let pages: Vec<(u32, u32)> = (0..runs).map(|number| (first + number, 1)).collect();
        disk.unmap_list(&mut rig, &pages).unwrap();
        flush(&mut rig, &mut disk);
        assert_eq!(rig.status(DISK).mapped_pages, 0, "{runs}");
        let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
        let again = disk.map(&mut rig, 0, 0, runs, fixed, iova);
        assert_eq!(again, Ok(iova));
    }
}

#[test]
fn the_first_that_waits_sets_the_time() {
    let mut rig = lazy(DISK, 8);
    let mut disk = rig.claim(task(4), DISK);
    let first = singles(&mut rig, &mut disk, 1)[0];
    let due = rig.around.borrow_mut().timer.take().unwrap();
    rig.smmu.0.borrow_mut().time = due - 1;
    let second = singles(&mut rig, &mut disk, 2)[1];
    rig.smmu.0.borrow_mut().time = due;
    rig.server.on_timer();
    assert_eq!(rig.reach(0x100, first), None);
    assert_eq!(rig.reach(0x100, second), None);
}

#[test]
fn blocks_wait_and_are_given_back() {
    let mut rig = lazy(EDU, 2048);
    let mut edu = rig.claim(task(5), EDU);
    let flags = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
    let iova = edu.map(&mut rig, 1, 0, 512, flags, 0).unwrap();
    assert!(rig.reach(0x008, iova).is_some());
    rig.journal().clear();
    edu.unmap(&mut rig, iova, 512).unwrap();
    assert_eq!(rig.journal().deeds(), []);
    assert_eq!(rig.status(EDU).mapped_pages, 512);
    flush(&mut rig, &mut edu);
    assert_eq!(rig.reach(0x008, iova), None);
    assert_eq!(rig.status(EDU).mapped_pages, 0);
    let fixed = flags.with(MapFlags::FIXED);
    assert_eq!(edu.map(&mut rig, 1, 512, 512, fixed, iova), Ok(iova));
}

#[test]
fn leases_of_another_domain_keep_their_pins() {
    let mut rig = lazy(DISK, 8);
    let mut disk = rig.claim(task(4), DISK);
    let mut edu = rig.claim(task(5), EDU);
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let lent = edu.map_lease(&mut rig, 2, MapFlags::READ_WRITE).unwrap();
    // The same entries of the lazy domain are free after the flush.
    singles(&mut rig, &mut disk, 2);
    flush(&mut rig, &mut disk);
    assert_eq!(rig.around.borrow().pins.len(), 1);
    assert!(rig.reach(0x008, lent).is_some());
    assert_eq!(edu.unmap(&mut rig, lent, 2), Ok(0));
    assert!(rig.around.borrow().pins.is_empty());
}

#[test]
fn many_are_forgotten_by_one_command() {
    const EDGE: usize = SINGLE_INVALIDATIONS_MAX as usize;
    for (count, whole) in [(1, false), (EDGE, false), (EDGE + 1, true)] {
        let mut rig = lazy(DISK, 200);
        let mut disk = rig.claim(task(4), DISK);
        singles(&mut rig, &mut disk, count);
        rig.journal().clear();
        flush(&mut rig, &mut disk);
        let deeds = rig.journal().deeds();
        let all = |did: &Did| matches!(did, Did::Command(Command::TlbAsid { .. }));
        let one = |did: &Did| matches!(did, Did::Command(Command::TlbAddress { .. }));
        assert_eq!(deeds.iter().any(all), whole, "{count}");
        let singly = deeds.iter().filter(|did| one(did)).count();
        assert_eq!(singly, if whole { 0 } else { count });
    }
}
