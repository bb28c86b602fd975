//! A device loses its state while the PCI task is down: its claimant is told, in whatever state the device was.

use std::vec::Vec;

use iommu_api::*;
use pci_api::QuiesceState;
use pci_api::client::Failure;

use super::bypass::bypass_plan;
use super::identity::identity_plan;
use super::premapped::premapped_plan;
use super::rig::*;
use crate::Reply;
use crate::hardware::Pinned;
use crate::plan_view::PlanView;

fn booted(plan: PlanView<'static>) -> Rig {
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    rig
}

/// The PCI task is down, and up again; meanwhile `device` lost its state.
fn lose(rig: &mut Rig, device: u32) {
    rig.around.borrow_mut().lose(device);
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
}

/// Ends every quiesce.
fn quiet(rig: &mut Rig) {
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
}

/// The claimant is told once, can use nothing, and gives the device back; whether it was made quiet for that.
fn is_told_and_releases(rig: &mut Rig, driver: &mut Driver, device: u32) {
    let owner = driver.id.index();
    assert!(!rig.is_bus_master(device));
    assert_eq!(rig.around.borrow().posts, [owner]);
    assert!(rig.logged("StateLost"));
    let flags = rig.status(device).flags;
    assert!(flags.has(StatusFlags::STORM) && !flags.has(StatusFlags::OPEN));
    assert_eq!(
        driver.map(rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StreamBlocked)
    );
    // A further life of the PCI task has nothing more to say, and turns nothing on.
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
    assert_eq!(rig.around.borrow().posts, [owner]);
    assert!(!rig.is_bus_master(device) && rig.is_held(device));
    let started = rig.around.borrow().started.len();
    assert_eq!(driver.release(rig), Reply::Later);
    assert!(rig.is_held(device), "before it is quiet");
    assert!(rig.around.borrow().started[started..].contains(&device));
    quiet(rig);
    assert!(!rig.is_held(device));
    assert_eq!(rig.around.borrow_mut().replies.pop().map(|r| r.1), Some(0));
    rig.around.borrow_mut().posts.clear();
    *driver = rig.claim(driver.id, device);
    assert!(rig.is_bus_master(device));
}

#[test]
fn with_mappings_and_a_lease_it_gives_them_back_when_it_is_quiet() {
    let mut rig = booted(plan());
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let iova = disk.map_any(&mut rig, 0, 1);
    let lease = disk.map_lease(&mut rig, 2, MapFlags::READ_WRITE).unwrap();
    let mut edu = rig.claim(task(5), EDU);
    let other = edu.map_any(&mut rig, 0, 1);
    lose(&mut rig, DISK);
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(rig.reach(0x100, lease), None);
    assert_eq!(
        disk.unmap(&mut rig, lease, 2),
        Err(Error::StreamBlocked),
        "else the lender would have its page back before the device is quiet"
    );
    assert_eq!(rig.around.borrow().pins.len(), 1);
    is_told_and_releases(&mut rig, &mut disk, DISK);
    assert!(rig.around.borrow().pins.is_empty());
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    // Nobody else was disturbed.
    assert!(rig.reach(0x008, other).is_some());
    assert_eq!(edu.unmap(&mut rig, other, 1), Ok(0));
}

#[test]
fn whatever_its_domain_is() {
    for plan in [plan(), identity_plan(), premapped_plan(), bypass_plan()] {
        let mut rig = booted(plan);
        let mut disk = rig.claim(task(4), DISK);
        lose(&mut rig, DISK);
        is_told_and_releases(&mut rig, &mut disk, DISK);
    }
}

#[test]
fn what_is_not_on_pci_is_no_exception() {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    devices[DISK as usize].non_pci = 1;
    plan.devices = Vec::leak(devices);
    let mut rig = booted(plan);
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 1);
    lose(&mut rig, DISK);
    is_told_and_releases(&mut rig, &mut disk, DISK);
}

#[test]
fn with_direct_regions_it_is_open_again_when_it_is_quiet() {
    let region = |rig: &Rig| rig.reach(0x018, DIRECT).is_some();
    for mapped in [false, true] {
        let mut rig = booted(always_open_plan());
        let mut display = rig.claim(task(6), DISPLAY);
        if mapped {
            display.map_any(&mut rig, 0, 1);
        }
        lose(&mut rig, DISPLAY);
        assert!(!region(&rig));
        is_told_and_releases(&mut rig, &mut display, DISPLAY);
        assert!(region(&rig));
        // Nobody has it: it is open again at once, and there is nobody to be told.
        display.release(&mut rig);
        lose(&mut rig, DISPLAY);
        assert!(region(&rig) && rig.is_bus_master(DISPLAY));
        assert!(rig.around.borrow().posts.is_empty());
    }
}

#[test]
fn what_shares_its_streams_is_cut_off_and_told_too() {
    let mut rig = booted(plan());
    let mut left = rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    let iova = left.map_any(&mut rig, 0, 1);
    let other = right.map_any(&mut rig, 1, 1);
    lose(&mut rig, LEFT);
    assert_eq!(rig.reach(0x010, iova), None);
    assert_eq!(rig.reach(0x010, other), None);
    let mut posts = rig.around.borrow().posts.clone();
    posts.sort_unstable();
    assert_eq!(posts, [5, 6]);
    assert_eq!(right.unmap(&mut rig, other, 1), Err(Error::StreamBlocked));
    // What one could reach is not given back before the other is quiet too.
    rig.around
        .borrow_mut()
        .results
        .insert(RIGHT, QuiesceState::Running);
    assert_eq!(left.release(&mut rig), Reply::Later);
    quiet(&mut rig);
    assert!(rig.is_held(LEFT) && rig.is_held(RIGHT));
    rig.around.borrow_mut().results.clear();
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT));
    assert_eq!(right.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    assert!(!rig.is_held(RIGHT));
}

#[test]
fn what_is_reset_with_it_goes_on_until_it_has_to_be_reset() {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    devices[DISK as usize].reset_unit = 77;
    devices[EDU as usize].reset_unit = 77;
    plan.devices = Vec::leak(devices);
    let mut rig = booted(plan);
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(&mut rig, 0, 1);
    let mut edu = rig.claim(task(5), EDU);
    let iova = edu.map_any(&mut rig, 0, 1);
    lose(&mut rig, DISK);
    assert!(rig.reach(0x008, iova).is_some());
    let active = Failure::Refused(pci_api::Error::UnitActive);
    rig.around.borrow_mut().start_error = Some(active);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert_eq!(rig.reach(0x008, iova), None);
    assert_eq!(rig.around.borrow().posts, [4, 5]);
    assert_eq!(edu.unmap(&mut rig, iova, 1), Err(Error::StreamBlocked));
    quiet(&mut rig);
    assert!(!rig.is_held(DISK));
}

/// While it is claimed or released its task waits for the server, which asks for the quiesce anew.
#[test]
fn while_it_is_claimed_or_released_that_takes_longer() {
    let mut rig = booted(plan());
    let claim = [u64::from(DISK)];
    assert_eq!(rig.ask(task(4), Operation::Claim, &claim), Reply::Later);
    let before = rig.around.borrow().started.len();
    lose(&mut rig, DISK);
    assert_eq!(rig.around.borrow().started[before..], [DISK]);
    assert!(rig.around.borrow().replies.is_empty());
    quiet(&mut rig);
    assert_eq!(rig.around.borrow_mut().replies.pop().map(|r| r.1), Some(0));
    let mut disk = rig.claim(task(4), DISK);
    assert!(rig.is_bus_master(DISK));
    disk.map_any(&mut rig, 0, 1);
    rig.around.borrow_mut().replies.clear();
    assert_eq!(disk.release(&mut rig), Reply::Later);
    let before = rig.around.borrow().started.len();
    lose(&mut rig, DISK);
    assert_eq!(rig.around.borrow().started[before..], [DISK]);
    assert!(rig.is_held(DISK) && rig.around.borrow().replies.is_empty());
    quiet(&mut rig);
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.around.borrow_mut().replies.pop().map(|r| r.1), Some(0));
    assert!(rig.around.borrow().posts.is_empty());
}

/// The PCI task is gone again after each number of answers; what it said or did not say is never taken for leave to
/// go on.
#[test]
fn whenever_the_pci_task_dies_again() {
    for answers in 0..24 {
        let mut rig = booted(plan());
        let mut disk = rig.claim(task(4), DISK);
        let iova = disk.map_any(&mut rig, 0, 1);
        rig.around.borrow_mut().restart_pci();
        rig.around.borrow_mut().lose(DISK);
        rig.around.borrow_mut().pci_answers = Some(answers);
        rig.server.on_pci_up();
        assert!(!rig.is_bus_master(DISK), "{answers}");
        rig.around.borrow_mut().restart_pci();
        rig.server.on_pci_up();
        assert_eq!(rig.reach(0x100, iova), None, "{answers}");
        is_told_and_releases(&mut rig, &mut disk, DISK);
    }
}

#[test]
fn whether_or_not_the_server_dies_as_well() {
    for pci in [Some(Failure::Down), None] {
        let mut rig = booted(plan());
        let iova = rig.claim(task(4), DISK).map_any(&mut rig, 0, 1);
        rig.around.borrow_mut().restart_pci();
        rig.around.borrow_mut().lose(DISK);
        rig.around.borrow_mut().no_pci = pci;
        let mut rig = Rig::over(rig.smmu.clone(), rig.around.clone());
        rig.server.boot();
        let mut disk = rig.claim(task(4), DISK);
        rig.around.borrow_mut().restart_pci();
        rig.server.on_pci_up();
        assert_eq!(rig.reach(0x100, iova), None);
        is_told_and_releases(&mut rig, &mut disk, DISK);
    }
}

/// A claimant that dies of it is contained like any other.
#[test]
fn a_claimant_that_dies_of_it_is_contained() {
    let mut rig = booted(plan());
    rig.claim(task(4), DISK).map_any(&mut rig, 0, 1);
    lose(&mut rig, DISK);
    rig.die(4);
    assert!(rig.is_held(DISK), "not quiet yet");
    quiet(&mut rig);
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    rig.claim(life(4, 1), DISK);
}

/// A PCI task that is not started again, or refuses to speak of a device, says nothing for it.
#[test]
fn what_a_new_pci_task_refuses_is_revoked() {
    let mut rig = booted(plan());
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().restart_pci();
    rig.around.borrow_mut().describe_error = Some(Failure::Refused(pci_api::Error::Blocked));
    rig.server.on_pci_up();
    rig.around.borrow_mut().describe_error = None;
    rig.server.on_pci_up();
    is_told_and_releases(&mut rig, &mut disk, DISK);
}
