//! Containment units: `disk` (task 4) and `edu` (task 5) cannot be reset apart; nor can `left` (task 5), which shares
//! its stream with `right` (task 6).

use std::vec::Vec;

use iommu_api::*;
use pci_api::QuiesceState;
use pci_api::client::Failure;

use super::rig::*;
use crate::Reply;
use crate::plan_view::PlanView;

/// The usual machine, these devices in one reset unit.
fn with_unit(unit: &[u32]) -> PlanView<'static> {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    for device in unit {
        devices[*device as usize].reset_unit = 77;
    }
    plan.devices = Vec::leak(devices);
    plan
}

fn booted(unit: &[u32]) -> Rig {
    let mut rig = Rig::planned(with_unit(unit));
    rig.server.boot();
    rig
}

fn mapped(rig: &mut Rig, index: u8, device: u32) -> (Driver, u64) {
    let mut driver = rig.claim(task(index), device);
    let iova = driver.map_any(rig, 0, 1);
    (driver, iova)
}

fn is_cut_off(rig: &mut Rig, device: u32) -> bool {
    let flags = rig.status(device).flags;
    !flags.has(StatusFlags::OPEN) && !rig.is_bus_master(device)
}

#[test]
fn a_death_cuts_off_the_whole_containment_unit_and_nothing_else() {
    // Directly, and through what shares a stream with what shares a reset.
    for (unit, dies, others, spared) in [
        (
            [DISK, EDU],
            4,
            [EDU, EDU].as_slice(),
            [LEFT, RIGHT].as_slice(),
        ),
        ([DISK, LEFT], 4, [LEFT, RIGHT].as_slice(), [EDU].as_slice()),
        ([EDU, DISK], 6, [].as_slice(), [DISK, EDU].as_slice()),
    ] {
        let mut rig = booted(&unit);
        for (owner, device) in [(4, DISK), (5, EDU), (5, LEFT), (6, RIGHT)] {
            mapped(&mut rig, owner, device);
        }
        rig.around.borrow_mut().posts.clear();
        rig.die(dies);
        for device in others {
            assert!(is_cut_off(&mut rig, *device), "{device}");
            assert!(rig.status(*device).flags.has(StatusFlags::STORM));
            let owner = usize::from(if *device == RIGHT { 6u8 } else { 5 });
            assert!(rig.around.borrow().posts.contains(&owner));
        }
        for device in spared.iter().filter(|device| dies != 6 || **device != LEFT) {
            assert!(!is_cut_off(&mut rig, *device), "{device}");
            assert!(!rig.status(*device).flags.has(StatusFlags::STORM));
        }
    }
}

/// The next quiesce cannot begin before the unit is stopped.
fn unit_is_active(rig: &Rig) {
    let active = Failure::Refused(pci_api::Error::UnitActive);
    rig.around.borrow_mut().start_error = Some(active);
}

/// A neighbour that was given back while nobody could turn it off is in the way of the reset too.
#[test]
fn what_was_left_on_is_turned_off_for_a_reset() {
    let mut rig = booted(&[DISK, EDU]);
    let mut edu = rig.claim(task(5), EDU);
    mapped(&mut rig, 4, DISK);
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    assert!(matches!(edu.release(&mut rig), Reply::Now { code: 0, .. }));
    assert!(rig.is_bus_master(EDU) && !rig.is_held(EDU));
    rig.around.borrow_mut().no_pci = None;
    unit_is_active(&rig);
    rig.die(4);
    assert!(!rig.is_bus_master(EDU));
    assert!(rig.around.borrow().started.contains(&DISK));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
}

#[test]
fn a_reset_unit_is_stopped_for_a_reset() {
    let mut rig = booted(&[DISK, EDU]);
    let (mut disk, _) = mapped(&mut rig, 4, DISK);
    let (mut edu, iova) = mapped(&mut rig, 5, EDU);
    mapped(&mut rig, 6, RIGHT);
    unit_is_active(&rig);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert_eq!(rig.around.borrow().started.last(), Some(&DISK));
    assert!(is_cut_off(&mut rig, EDU));
    assert_eq!(rig.reach(0x008, iova), None);
    assert!(!is_cut_off(&mut rig, RIGHT));
    let refused = edu.map(&mut rig, 0, 0, 1, MapFlags::READ, 0);
    assert_eq!(refused, Err(Error::StreamBlocked));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK) && rig.is_held(EDU));
}

/// The disk is reset for its release, and `edu` with it.
fn reset_together() -> (Rig, Driver) {
    let mut rig = booted(&[DISK, EDU]);
    let (mut disk, _) = mapped(&mut rig, 4, DISK);
    let (edu, _) = mapped(&mut rig, 5, EDU);
    unit_is_active(&rig);
    let running = QuiesceState::Running;
    rig.around.borrow_mut().results.insert(EDU, running);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert_eq!(disk.id, task(4));
    (rig, edu)
}

fn reset_is_over(rig: &mut Rig) {
    rig.around.borrow_mut().results.clear();
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    rig.around.borrow_mut().replies.clear();
}

#[test]
fn what_a_reset_took_along_is_quiet_and_not_reset_once_more() {
    let (mut rig, mut edu) = reset_together();
    reset_is_over(&mut rig);
    // The disk is in use again when the other is released.
    mapped(&mut rig, 4, DISK);
    let before = rig.around.borrow().started.len();
    assert_eq!(edu.release(&mut rig), Reply::Later);
    let reply = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((reply.0, reply.1), (task(5), 0));
    // By the same life it can be claimed as it is, by the next one it cannot.
    let same = rig.ask(task(5), Operation::Claim, &[u64::from(EDU)]);
    assert!(matches!(same, Reply::Now { code: 0, .. }));
    assert_eq!(rig.around.borrow().started.len(), before);
    assert!(!is_cut_off(&mut rig, DISK));
    let (mut rig, mut edu) = reset_together();
    reset_is_over(&mut rig);
    edu.release(&mut rig);
    let next = rig.ask(life(5, 1), Operation::Claim, &[u64::from(EDU)]);
    assert_eq!(next, Reply::Later);
}

#[test]
fn what_a_reset_is_taking_along_is_not_quiet_yet() {
    let (mut rig, mut edu) = reset_together();
    let start = Failure::Refused(pci_api::Error::Quiescing);
    rig.around.borrow_mut().start_error = Some(start);
    rig.around.borrow_mut().replies.clear();
    assert_eq!(edu.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    let to_edu = |rig: &Rig| rig.around.borrow().replies.iter().any(|r| r.0 == task(5));
    assert!(!to_edu(&rig) && rig.is_held(EDU));
    rig.around.borrow_mut().results.clear();
    rig.server.on_quiesced();
    assert!(to_edu(&rig) && !rig.is_held(EDU));
}

#[test]
fn what_a_reset_did_not_take_along_is_made_quiet_by_its_own() {
    let mut rig = booted(&[DISK, EDU]);
    let (mut disk, _) = mapped(&mut rig, 4, DISK);
    let (mut edu, _) = mapped(&mut rig, 5, EDU);
    unit_is_active(&rig);
    // The PCI task says of `edu` what it said before: it is the recipe of another bus.
    assert_eq!(disk.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert_eq!(edu.release(&mut rig), Reply::Later);
    assert_eq!(rig.around.borrow().started.last(), Some(&EDU));
    assert!(rig.is_held(EDU));
}

#[test]
fn a_free_device_stays_known_when_a_reset_takes_it_along() {
    let mut rig = booted(&[DISK, EDU]);
    let (mut edu, _) = mapped(&mut rig, 5, EDU);
    edu.release(&mut rig);
    rig.server.on_quiesced();
    let (mut disk, _) = mapped(&mut rig, 4, DISK);
    let running = QuiesceState::Running;
    rig.around.borrow_mut().results.insert(EDU, running);
    disk.release(&mut rig);
    reset_is_over(&mut rig);
    let same = rig.ask(task(5), Operation::Claim, &[u64::from(EDU)]);
    assert!(matches!(same, Reply::Now { code: 0, .. }));
}

#[test]
fn a_unit_that_died_together_starts_without_another_reset() {
    let mut rig = booted(&[DISK, EDU]);
    mapped(&mut rig, 4, DISK);
    mapped(&mut rig, 5, EDU);
    rig.die(4);
    assert!(is_cut_off(&mut rig, EDU));
    rig.server.on_quiesced();
    // The supervisor hears of it, and stops the other.
    rig.die(5);
    rig.server.on_quiesced();
    let before = rig.around.borrow().started.len();
    for (index, device) in [(4, DISK), (5, EDU)] {
        let claim = rig.ask(life(index, 1), Operation::Claim, &[u64::from(device)]);
        assert!(matches!(claim, Reply::Now { code: 0, .. }), "{device}");
    }
    assert_eq!(rig.around.borrow().started.len(), before);
    assert!(!is_cut_off(&mut rig, DISK) && !is_cut_off(&mut rig, EDU));
}
