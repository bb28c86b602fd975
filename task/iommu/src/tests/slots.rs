//! What a claim's slot counts, from claim to claim.

use iommu_api::*;

use super::rig::*;
use crate::hardware::Pinned;

fn leases(rig: &Rig) {
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
}

fn released(rig: &mut Rig, driver: &mut Driver) {
    driver.release(rig);
    rig.server.on_quiesced();
}

#[test]
fn each_claim_has_a_handle_that_none_had_before() {
    let mut rig = Rig::booted();
    let mut last = 0;
    for _ in 0..4 {
        let mut disk = rig.claim(task(4), DISK);
        let generation = disk.handle.generation();
        assert!(generation > last, "{generation} after {last}");
        last = generation;
        released(&mut rig, &mut disk);
    }
}

#[test]
fn leases_that_were_unmapped_do_not_count() {
    let mut rig = Rig::booted();
    leases(&rig);
    let mut disk = rig.claim(task(4), DISK);
    for _ in 0..4 {
        let one = disk.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
        let two = disk.map_lease(&mut rig, 2, MapFlags::READ).unwrap();
        let three = disk.map_lease(&mut rig, 1, MapFlags::READ);
        assert_eq!(three, Err(Error::PinsExhausted));
        disk.unmap(&mut rig, two, 2).unwrap();
        disk.unmap(&mut rig, one, 1).unwrap();
    }
}

#[test]
fn leases_of_the_last_claim_do_not_count() {
    let mut rig = Rig::booted();
    for _ in 0..3 {
        leases(&rig);
        let mut disk = rig.claim(task(4), DISK);
        for _ in 0..2 {
            disk.map_lease(&mut rig, 1, MapFlags::READ).unwrap();
        }
        released(&mut rig, &mut disk);
        assert!(rig.around.borrow().pins.is_empty());
        rig.around.borrow_mut().lease = None;
        // Pages beside no lease are unmapped by themselves.
        let mut disk = rig.claim(task(4), DISK);
        let iova = disk.map_any(&mut rig, 0, 2);
        assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
        released(&mut rig, &mut disk);
    }
}

/// Lines that say so.
fn said(rig: &Rig, text: &str) -> usize {
    let around = rig.around.borrow();
    around
        .lines
        .iter()
        .filter(|line| line.contains(text))
        .count()
}

#[test]
fn a_life_that_claims_over_and_over_is_told_of_once() {
    let mut rig = Rig::booted();
    for (life_number, told) in [(0, 1), (0, 1), (0, 1), (1, 2), (1, 2), (0, 3)] {
        let mut disk = rig.claim(life(4, life_number), DISK);
        released(&mut rig, &mut disk);
        assert_eq!(said(&rig, "Claimed"), told, "{life_number}");
        assert_eq!(said(&rig, "Released"), told, "{life_number}");
    }
}

#[test]
fn what_may_only_be_read_is_read_after_a_restart() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let read = disk.map(&mut rig, 0, 3, 1, MapFlags::READ, 0).unwrap();
    let both = disk.map_any(&mut rig, 4, 1);
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert_eq!(next.read(0x100, read), Some(POOL + 3 * PAGE));
    assert_eq!(next.reach(0x100, read), None);
    assert_eq!(next.reach(0x100, both), Some(POOL + 4 * PAGE));
    let mut disk = next.claim(task(4), DISK);
    assert_eq!(disk.unmap(&mut next, read, 1), Ok(0));
}

#[test]
fn one_retracted_entry_of_a_row_is_enough() {
    for page in [None, Some(0), Some(1), Some(2)] {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let iova = disk.map_any(&mut rig, 3, 3);
        if let Some(page) = page {
            let entry = rig.server.plan.domains[0].leaf + page * 8;
            let word = rig.smmu.0.borrow().word(entry) & !1;
            rig.smmu.0.borrow_mut().put(entry, &[word]);
        }
        let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
        next.server.boot();
        let other = if page == Some(0) { iova + PAGE } else { iova };
        assert_eq!(
            next.reach(0x100, other).is_some(),
            page.is_none(),
            "{page:?}"
        );
        assert_eq!(next.status(DISK).mapped_pages, 3);
    }
}
