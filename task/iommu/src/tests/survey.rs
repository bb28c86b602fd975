//! What a life of the server that starts reads out of the tables: whose entries are whose, and which were never its own.

use iommu_api::*;

use super::edges::starts;
use super::premapped::premapped_plan;
use super::rig::*;
use crate::boot_refusal::Refusal;
use crate::hardware::Pinned;

/// The memory behind the pool of the disk's driver.
const BEHIND_POOL: u64 = POOL + 64 * PAGE;

fn lease(rig: &mut Rig, disk: &mut Driver, pa: u64, pages: u32) -> u64 {
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa,
        readable: true,
        writable: true,
    });
    disk.map_lease(rig, pages, MapFlags::READ_WRITE).unwrap()
}

fn successor(rig: &Rig) -> Rig {
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    next
}

fn pins(rig: &Rig) -> usize {
    rig.around.borrow().pins.len()
}

/// Each lease is unmapped by itself, as a whole, and then its pin is lifted.
fn each_is_lifted(rig: &Rig, leases: &[(u64, u64)]) {
    let mut next = successor(rig);
    let mut disk = next.claim(task(4), DISK);
    for (number, &(iova, pages)) in leases.iter().enumerate() {
        assert_eq!(pins(&next), leases.len() - number);
        let cut = disk.unmap(&mut next, iova, pages - 1);
        assert_eq!(cut, Err(Error::PartOfLease), "{iova:x}");
        assert_eq!(disk.unmap(&mut next, iova, pages), Ok(0));
    }
    assert_eq!(pins(&next), 0);
}

#[test]
fn leases_side_by_side_have_a_pin_each() {
    for order in [[0, 1], [1, 0]] {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let one = lease(&mut rig, &mut disk, 0x7000_0000, 3);
        let two = lease(&mut rig, &mut disk, 0x7000_3000, 2);
        assert_eq!(two, one + 3 * PAGE, "one row");
        let leases = [(one, 3), (two, 2)];
        each_is_lifted(&rig, &order.map(|number| leases[number]));
    }
}

#[test]
fn a_pin_that_is_longer_than_a_row_is_not_its() {
    for lens in [[2, 5], [5, 2]] {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let leases = lens.map(|pages| {
            let iova = lease(&mut rig, &mut disk, 0x7000_0000, pages);
            (iova, u64::from(pages))
        });
        each_is_lifted(&rig, &leases);
    }
}

#[test]
fn a_lease_behind_a_pool_has_its_pin() {
    for pages in 1..4 {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let own = disk.map_any(&mut rig, 64 - pages, pages);
        let lent = lease(&mut rig, &mut disk, BEHIND_POOL, 2);
        assert_eq!(lent, own + u64::from(pages) * PAGE, "one row");
        let next = successor(&rig);
        assert_eq!(
            next.reach(0x100, own),
            Some(BEHIND_POOL - u64::from(pages) * PAGE)
        );
        each_is_lifted(&rig, &[(lent, 2)]);
    }
}

#[test]
fn pages_behind_a_pool_are_nobodys() {
    for pages in 1..4 {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let own = disk.map_any(&mut rig, 64 - pages, pages);
        let first = rig.server.plan.domains[0].leaf;
        let word = rig.smmu.0.borrow().word(first) + u64::from(pages) * PAGE;
        let at = first + u64::from(pages) * 8;
        rig.smmu.0.borrow_mut().put(at, &[word]);
        assert_eq!(
            rig.reach(0x100, own + u64::from(pages) * PAGE),
            Some(BEHIND_POOL)
        );
        let next = successor(&rig);
        assert_eq!(
            next.reach(0x100, own),
            None,
            "nothing of the window is trusted"
        );
    }
}

#[test]
fn blocks_lie_in_pools_to_their_ends() {
    for beyond in [false, true] {
        let mut rig = Rig::booted();
        let mut edu = rig.claim(task(5), EDU);
        let flags = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
        let iova = edu.map(&mut rig, 1, 512, 512, flags, 0).unwrap();
        assert_eq!(iova, BLOCKS);
        if beyond {
            let first = rig.server.plan.domains[1].block_entries;
            let word = rig.smmu.0.borrow().word(first) + (2 << 20);
            rig.smmu.0.borrow_mut().put(first + 8, &[word]);
        }
        let next = successor(&rig);
        let last = (!beyond).then_some(BIG_POOL + (2 << 20));
        assert_eq!(next.reach(0x008, iova), last);
    }
}

#[test]
fn what_the_build_step_mapped_is_counted_to_the_page() {
    for (wrong, reach) in [(None, true), (Some(0), false), (Some(15), false)] {
        let mut rig = Rig::planned(premapped_plan());
        rig.server.boot();
        rig.claim(task(4), DISK);
        if let Some(page) = wrong {
            let first = rig.server.plan.domains[0].leaf;
            rig.smmu.0.borrow_mut().put(first + page * 8, &[0]);
        }
        let mut next = Rig::with(premapped_plan(), rig.smmu.clone(), rig.around.clone());
        next.server.boot();
        let reached = next.reach(0x100, BASE + 3 * PAGE).is_some();
        assert_eq!(reached, reach, "{wrong:?}");
    }
}

#[test]
fn a_pin_that_does_not_fit_behind_others_is_not_its() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let own = disk.map_any(&mut rig, 61, 3);
    let lent = lease(&mut rig, &mut disk, BEHIND_POOL, 2);
    assert_eq!(lent, own + 3 * PAGE, "one row");
    let long = lease(&mut rig, &mut disk, BEHIND_POOL, 5);
    each_is_lifted(&rig, &[(lent, 2), (long, 5)]);
}

/// A device that is no bus master any more was being released, or it lost its state, which its claimant has to hear.
#[test]
fn what_was_being_made_quiet_has_lost_nothing() {
    for (state, lost) in [
        (pci_api::QuiesceState::Never, true),
        (pci_api::QuiesceState::Quiet, false),
    ] {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let iova = disk.map_any(&mut rig, 0, 1);
        rig.around.borrow_mut().bus_master.push((DISK, false));
        rig.around.borrow_mut().results.insert(DISK, state);
        let mut next = successor(&rig);
        assert_eq!(next.logged("StateLost"), lost, "{state:?}");
        assert_eq!(next.reach(0x100, iova), None);
        assert!(next.is_held(DISK));
        assert_eq!(next.status(DISK).mapped_pages, 1);
    }
}

/// What an earlier life had closed and set for a stream is set again where somebody changed it.
#[test]
fn the_attributes_of_a_stream_are_mended() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 1);
    let at = rig.server.plan.streams[0].entry;
    let before = rig.smmu.0.borrow().word(at + 8);
    for wrong in [0, !0, before ^ 1] {
        rig.smmu.0.borrow_mut().put(at + 8, &[wrong]);
        let next = successor(&rig);
        let fake = next.smmu.0.borrow();
        assert_eq!(fake.word(at + 8), before, "{wrong:x}");
        assert_eq!(fake.word(at), smmu::stream::abort_word());
    }
}

/// An SMMU that is off has no tables of an earlier life: they are compared with the image's, and it is refused.
#[test]
fn tables_of_an_smmu_that_is_off_are_not_surveyed() {
    let leaf = domain(0).leaf;
    let word = premapped_leaf(POOL, vmsa::Memory::NormalWriteBack, vmsa::Permissions::Read);
    let rig = starts(plan(), Some(Refusal::PageTables), |rig| {
        rig.smmu.0.borrow_mut().put(leaf, &[word]);
    });
    assert!(!rig.logged("Altered"));
}
