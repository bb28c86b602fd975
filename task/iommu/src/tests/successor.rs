//! What a life of the server that starts makes of what an earlier one left.

use iommu_api::*;
use pci_api::client::Failure;
use smmu::Command;
use userlib::protocol::Wire;

use super::rig::*;
#[test]
fn a_successor_adopts_what_is_open() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 3, 2);
    let mut edu = rig.claim(task(5), EDU);
    edu.map_any(&mut rig, 0, 1);
    edu.release(&mut rig);
    rig.server.on_quiesced();
    let before = rig.smmu.0.borrow().commands.len();

    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert!(next.logged("adopted: true"));
    assert_eq!(next.reach(0x100, iova), Some(POOL + 3 * 4096));
    assert_eq!(next.reach(0x008, BASE), None);
    assert!(next.smmu.0.borrow().commands.len() > before);
    // The old handle is not of the new server's claims; claiming again gives the claim that exists.
    assert_eq!(
        disk.map(&mut next, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StaleHandle)
    );
    let mut again = next.claim(task(4), DISK);
    assert_eq!(next.status(DISK).mapped_pages, 2);
    let other = again.map_any(&mut next, 0, 1);
    assert_ne!(other & !4096, iova & !4096, "not over what is mapped");
    assert_eq!(again.unmap(&mut next, iova, 2), Ok(0));
    assert_eq!(next.reach(0x100, iova), None);
}

#[test]
fn a_successor_contains_what_died_meanwhile() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    for hold in &mut rig.around.borrow_mut().holds {
        hold.2 = true;
    }
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert_eq!(next.reach(0x100, iova), None);
    assert!(next.is_held(DISK));
    next.server.on_quiesced();
    assert!(!next.is_held(DISK));
    assert_eq!(next.status(DISK).mapped_pages, 0);
}

/// Two leases of a lender, three pages and two.
fn two_leases(rig: &mut Rig) -> (Driver, u64, u64) {
    let mut disk = rig.claim(task(4), DISK);
    let mut lease = |pa, pages| {
        rig.around.borrow_mut().lease = Some(crate::hardware::Pinned {
            slot: 0,
            pa,
            readable: true,
            writable: true,
        });
        disk.map_lease(rig, pages, MapFlags::READ_WRITE).unwrap()
    };
    let one = lease(0x7000_0000, 3);
    let two = lease(0x7000_4000, 2);
    (disk, one, two)
}

fn successor(rig: &Rig) -> Rig {
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    next
}

/// A command that an earlier life had queued, and that completed while the task was not run, has completed in time.
#[test]
fn a_successor_looks_once_more_at_the_queue() {
    for clocks in 0..8 {
        let mut rig = Rig::booted();
        let _ = two_leases(&mut rig);
        rig.smmu.0.borrow_mut().behaviour.stuck = true;
        rig.queue_behind_its_back(&[Command::TlbAll, Command::Sync]);
        rig.smmu.0.borrow_mut().behaviour.preempted_in = Some(clocks);
        let mut next = successor(&rig);
        assert!(next.logged("adopted: true"), "{clocks}");
        next.claim(task(4), DISK);
    }
}

#[test]
fn a_successor_lifts_each_pin_when_its_lease_is_unmapped() {
    let mut rig = Rig::booted();
    let (_, one, two) = two_leases(&mut rig);
    let mut next = successor(&rig);
    let mut disk = next.claim(task(4), DISK);
    assert_eq!(next.around.borrow().pins.len(), 2);
    assert_eq!(disk.unmap(&mut next, one, 2), Err(Error::PartOfLease));
    disk.unmap(&mut next, one, 3).unwrap();
    assert_eq!(next.around.borrow().pins.len(), 1);
    disk.unmap(&mut next, two, 2).unwrap();
    assert!(next.around.borrow().pins.is_empty());
}

#[test]
fn a_pin_that_nothing_is_mapped_for_is_lifted_by_the_successor() {
    let mut rig = Rig::booted();
    let (_, one, two) = two_leases(&mut rig);
    // The server died between the entries and the pin.
    let first = rig.server.plan.domains[0].leaf + (one - BASE) / 4096 * 8;
    rig.smmu.0.borrow_mut().put(first, &[0, 0, 0]);
    let next = successor(&rig);
    let pins = next.around.borrow().pins.clone();
    assert_eq!(pins.len(), 1);
    assert_eq!(
        next.around.borrow().pinned[&pins[0].0],
        (0x7000_4000, 0x2000)
    );
    assert!(next.reach(0x100, two).is_some());
}

#[test]
fn pins_that_cannot_be_told_apart_stay_until_all_is_unmapped() {
    let mut rig = Rig::booted();
    let (mut disk, ..) = two_leases(&mut rig);
    // One page of the first lease is found where none of its pins can explain it.
    let stray = disk.map_any(&mut rig, 0, 1);
    let entry = rig.server.plan.domains[0].leaf + (stray - BASE) / 4096 * 8;
    let word = rig.smmu.0.borrow().word(entry);
    let copy = word & !0xffff_ffff_f000 | 0x7000_1000;
    rig.smmu.0.borrow_mut().put(entry, &[copy]);
    let mut next = successor(&rig);
    let mut disk = next.claim(task(4), DISK);
    disk.unmap(&mut next, BASE, 3).unwrap();
    assert_eq!(next.around.borrow().pins.len(), 2);
    disk.release(&mut next);
    next.server.on_quiesced();
    assert!(next.around.borrow().pins.is_empty());
}

#[test]
fn a_claim_in_the_making_is_forgone_and_a_release_has_to_be_repeated() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    let iova = edu.map_any(&mut rig, 0, 1);
    edu.release(&mut rig);
    rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    assert!(rig.is_held(DISK) && rig.is_held(EDU));
    let mut next = successor(&rig);
    assert!(!next.is_held(DISK));
    assert!(next.is_held(EDU));
    assert_eq!(next.reach(0x008, iova), None, "closed stays closed");
    let mut edu = next.claim(task(5), EDU);
    let mapped = edu.map(&mut next, 0, 1, 1, MapFlags::READ, 0);
    assert_eq!(mapped, Err(Error::StreamBlocked));
    edu.release(&mut next);
    next.server.on_quiesced();
    assert!(!next.is_held(EDU));
    next.claim(task(4), DISK);
}

#[test]
fn a_shared_stream_stays_open_for_the_member_that_uses_it() {
    let mut rig = Rig::booted();
    let mut right = rig.claim(task(6), RIGHT);
    let iova = right.map_any(&mut rig, 0, 1);
    let mut next = successor(&rig);
    assert!(next.reach(0x010, iova).is_some());
    assert!(!next.status(LEFT).flags.has(StatusFlags::OPEN));
    assert!(next.status(RIGHT).flags.has(StatusFlags::OPEN));
}

#[test]
fn a_device_without_a_recipe_is_not_claimed_first_again_after_a_restart() {
    let mut rig = Rig::booted();
    let no_recipe = Failure::Refused(pci_api::Error::NoRecipe);
    let claim = |rig: &mut Rig| {
        rig.around.borrow_mut().start_error = Some(no_recipe);
        rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
        let (_, code, payload, _) = rig.around.borrow_mut().replies.pop().unwrap();
        (code, payload)
    };
    let (code, payload) = claim(&mut rig);
    assert_eq!(code, 0);
    let handle = Claim::from_words(&payload).unwrap().handle;
    rig.now(task(4), Operation::Release, &[handle.0, 1]);
    let mut next = successor(&rig);
    assert_eq!(claim(&mut next).0, Error::NotQuiet as u32);
}

/// What each stream reaches of the first pages of its window.
fn reachable(rig: &mut Rig) -> std::vec::Vec<Option<u64>> {
    let places = |stream| (0..6).map(move |page| (stream, BASE + page * 4096));
    [0x100, 0x008, 0x010]
        .into_iter()
        .flat_map(places)
        .map(|(stream, iova)| rig.reach(stream, iova))
        .collect()
}

/// The server dies after each step of a history: its successor opens nothing, closes nothing of the living,
/// and goes on.
#[test]
fn the_death_of_the_server_opens_nothing() {
    let steps: [fn(&mut Rig); 7] = [
        |_| {},
        |rig| {
            let _ = rig.claim(task(4), DISK).map_any(rig, 3, 2);
        },
        |rig| {
            let _ = rig.claim(task(5), LEFT).map_any(rig, 0, 1);
        },
        |rig| {
            let _ = rig.claim(task(6), RIGHT).map_any(rig, 1, 1);
        },
        |rig| {
            let _ = rig.claim(task(5), EDU).map_any(rig, 1, 1);
        },
        |rig| {
            let _ = rig.claim(task(4), DISK).unmap(rig, BASE, 1);
        },
        |rig| {
            let mut edu = rig.claim(task(5), EDU);
            edu.unmap(rig, BASE, 1).unwrap();
            edu.release(rig);
        },
    ];
    let mut rig = Rig::booted();
    for (number, step) in steps.into_iter().enumerate() {
        step(&mut rig);
        let before = reachable(&mut rig);
        let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
        next.server.boot();
        assert_eq!(reachable(&mut next), before, "step {number}");
        rig = next;
    }
    assert!(reachable(&mut rig).iter().any(Option::is_some));
}
