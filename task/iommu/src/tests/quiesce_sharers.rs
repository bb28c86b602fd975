//! Nothing of an alias set is given back before all of its members are quiet.

use iommu_api::*;
use pci_api::client::Failure;
use pci_api::{QuiesceFailure, QuiesceState};
use userlib::protocol::Wire;

use super::rig::*;
use crate::Reply;
use crate::plan_view::PlanView;

/// `left` with something mapped, and `right`, which can reach it.
fn both() -> (Rig, Driver, Driver) {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    let right = rig.claim(task(6), RIGHT);
    left.map_any(&mut rig, 0, 1);
    (rig, left, right)
}

fn only(rig: &Rig, device: u32, state: QuiesceState) {
    rig.around.borrow_mut().results.insert(device, state);
}

#[test]
fn a_death_waits_for_what_shares_the_stream() {
    let (mut rig, _, _) = both();
    only(&rig, RIGHT, QuiesceState::Running);
    rig.die(5);
    rig.server.on_quiesced();
    assert!(
        rig.is_held(LEFT),
        "what is under way from right may land in its memory"
    );
    assert_eq!(rig.status(LEFT).mapped_pages, 1);
    only(&rig, RIGHT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT));
    assert_eq!(rig.status(LEFT).mapped_pages, 0);
    assert!(
        rig.is_held(RIGHT),
        "its owner is alive and has to release it"
    );
}

#[test]
fn a_death_beside_one_that_is_not_quiet_keeps_everything() {
    let (mut rig, _, _) = both();
    only(&rig, RIGHT, QuiesceState::Failed(QuiesceFailure::Deadline));
    rig.die(5);
    rig.server.on_quiesced();
    assert!(rig.is_held(LEFT));
    assert_eq!(rig.status(LEFT).mapped_pages, 1);
    let later = rig.ask(task(6), Operation::Claim, &[u64::from(RIGHT)]);
    assert!(
        matches!(later, Reply::Now { .. }),
        "it has its claim, cut off"
    );
    assert!(rig.status(LEFT).flags.has(StatusFlags::STUCK));
}

/// Without a PCI task it stays bus master, and goes on through the streams that the other has open: that nothing of it was
/// under way when it was released says nothing of what followed.
#[test]
fn a_release_without_the_pci_task_is_no_proof_of_quiet() {
    for outage in [None, Some(Failure::Down)] {
        let (mut rig, _, mut right) = both();
        rig.around.borrow_mut().no_pci = outage;
        assert!(matches!(
            right.release(&mut rig),
            Reply::Now { code: 0, .. }
        ));
        rig.around.borrow_mut().no_pci = None;
        rig.server.on_pci_up();
        let before = rig.around.borrow().started.len();
        only(&rig, RIGHT, QuiesceState::Running);
        rig.die(5);
        rig.server.on_quiesced();
        let started = rig.around.borrow().started[before..].contains(&RIGHT);
        assert_eq!(
            (started, rig.is_held(LEFT)),
            (outage.is_some(), outage.is_some())
        );
        only(&rig, RIGHT, QuiesceState::Quiet);
        rig.server.on_quiesced();
        assert!(!rig.is_held(LEFT));
    }
}

#[test]
fn both_owners_dead_end_together() {
    let (mut rig, _, _) = both();
    rig.die(5);
    rig.die(6);
    only(&rig, RIGHT, QuiesceState::Running);
    rig.server.on_quiesced();
    assert!(rig.is_held(LEFT) && rig.is_held(RIGHT));
    only(&rig, RIGHT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT) && !rig.is_held(RIGHT));
}

#[test]
fn a_release_after_a_revocation_waits_too() {
    let (mut rig, mut left, _) = both();
    rig.server.revoke(index(RIGHT));
    only(&rig, RIGHT, QuiesceState::Running);
    assert_eq!(left.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    assert!(rig.is_held(LEFT));
    only(&rig, RIGHT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT));
}

#[test]
fn a_release_beside_one_in_use_does_not_wait() {
    let (mut rig, mut left, _) = both();
    only(&rig, RIGHT, QuiesceState::Running);
    assert_eq!(left.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    assert!(
        !rig.is_held(LEFT),
        "by the word of its driver it is done with the memory"
    );
    assert!(rig.is_bus_master(RIGHT));
}

#[test]
fn a_new_life_of_the_pci_task_is_asked_again() {
    let (mut rig, _, _) = both();
    only(&rig, RIGHT, QuiesceState::Never);
    rig.die(5);
    let begun = |rig: &Rig| {
        let around = rig.around.borrow();
        around.started.iter().filter(|d| **d == RIGHT).count()
    };
    let before = begun(&rig);
    rig.server.on_pci_up();
    assert!(begun(&rig) > before);
    assert!(rig.is_held(LEFT));
}

/// `right` is not on PCI.
fn ungated_plan() -> PlanView<'static> {
    let mut plan = plan();
    let mut devices = plan.devices.to_vec();
    devices[RIGHT as usize].non_pci = 1;
    plan.devices = std::vec::Vec::leak(devices);
    plan
}

#[test]
fn without_bus_mastering_one_that_nobody_claimed_is_waited_for() {
    let mut rig = Rig::planned(ungated_plan());
    rig.server.boot();
    let mut left = rig.claim(task(5), LEFT);
    left.map_any(&mut rig, 0, 1);
    only(&rig, RIGHT, QuiesceState::Running);
    rig.die(5);
    rig.server.on_quiesced();
    assert!(rig.is_held(LEFT), "right could use the stream unclaimed");
    only(&rig, RIGHT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT));
}

#[test]
fn without_bus_mastering_quiet_lasts_until_the_stream_is_open() {
    let mut rig = Rig::planned(ungated_plan());
    rig.server.boot();
    let mut right = rig.claim(task(6), RIGHT);
    right.map_any(&mut rig, 0, 1);
    right.release(&mut rig);
    rig.server.on_quiesced();
    rig.claim(task(5), LEFT);
    let before = rig.around.borrow().started.len();
    let again = rig.ask(task(6), Operation::Claim, &[u64::from(RIGHT)]);
    assert_eq!(again, Reply::Later, "it may have begun something since");
    assert_eq!(rig.around.borrow().started[before..], [RIGHT]);
}

/// Beside an ungated `right` with something under way, `left` is being given back: over when `right` was made quiet anew.
fn waits_for_another_quiesce_of_right(rig: &mut Rig) {
    let before = rig.around.borrow().started.len();
    only(rig, RIGHT, QuiesceState::Running);
    rig.server.on_quiesced();
    assert!(rig.is_held(LEFT));
    assert_eq!(rig.around.borrow().started.len(), before);
    only(rig, RIGHT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(
        rig.is_held(LEFT),
        "right may have begun something after that reset"
    );
    assert_eq!(rig.around.borrow().started[before..], [RIGHT]);
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT));
    assert_eq!(rig.around.borrow().started.len(), before + 1);
}

/// A quiesce of `right` began before the next one is asked for.
fn runs(rig: &Rig) {
    let runs = Failure::Refused(pci_api::Error::Quiescing);
    rig.around.borrow_mut().start_error = Some(runs);
}

#[test]
fn without_bus_mastering_a_quiesce_that_ran_before_is_followed_by_another() {
    for dies in [false, true] {
        let mut rig = Rig::planned(ungated_plan());
        rig.server.boot();
        let mut left = rig.claim(task(5), LEFT);
        left.map_any(&mut rig, 0, 1);
        assert_eq!(
            rig.ask(task(6), Operation::Claim, &[u64::from(RIGHT)]),
            Reply::Later
        );
        // The claim ends with the server; what it had begun goes on.
        let mut next = Rig::with(ungated_plan(), rig.smmu.clone(), rig.around.clone());
        only(&next, RIGHT, QuiesceState::Running);
        next.server.boot();
        assert!(!next.is_held(RIGHT));
        let mut left = next.claim(task(5), LEFT);
        runs(&next);
        if dies {
            next.die(5);
        } else {
            assert_eq!(left.release(&mut next), Reply::Later);
        }
        waits_for_another_quiesce_of_right(&mut next);
    }
}

#[test]
fn without_bus_mastering_a_release_does_not_end_with_a_quiesce_that_ran_before() {
    let mut rig = Rig::planned(ungated_plan());
    rig.server.boot();
    rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    right.map_any(&mut rig, 0, 1);
    runs(&rig);
    assert_eq!(right.release(&mut rig), Reply::Later);
    let before = rig.around.borrow().started.len();
    rig.server.on_quiesced();
    assert!(rig.is_held(RIGHT), "it had the stream of left meanwhile");
    assert_eq!(rig.around.borrow().started[before..], [RIGHT]);
    rig.server.on_quiesced();
    assert!(!rig.is_held(RIGHT));
}

#[test]
fn what_is_watched_and_has_no_bus_mastering_is_made_quiet_behind_closed_streams() {
    let mut plan = ungated_plan();
    let mut devices = plan.devices.to_vec();
    devices[RIGHT as usize].watched = 1;
    plan.devices = std::vec::Vec::leak(devices);
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    let mut left = rig.claim(task(5), LEFT);
    left.map_any(&mut rig, 0, 1);
    let later = rig.ask(task(6), Operation::Claim, &[u64::from(RIGHT)]);
    assert_eq!(later, Reply::Later);
    // Who watches it does not wait for the server.
    assert_eq!(left.release(&mut rig), Reply::Later);
    waits_for_another_quiesce_of_right(&mut rig);
}

/// A third member of the set, of the owner of `left`.
fn three_with_one_ungated() -> PlanView<'static> {
    let mut plan = ungated_plan();
    let mut devices = plan.devices.to_vec();
    let left = devices[LEFT as usize];
    let third = &mut devices[EDU as usize];
    (third.domain, third.owner) = (left.domain, left.owner);
    (third.streams, third.stream_count) = (left.streams, left.stream_count);
    plan.devices = std::vec::Vec::leak(devices);
    plan
}

#[test]
fn without_bus_mastering_what_was_made_quiet_beside_an_open_stream_is_made_quiet_again() {
    let mut rig = Rig::planned(three_with_one_ungated());
    rig.server.boot();
    let mut third = rig.claim(task(5), EDU);
    third.map_any(&mut rig, 0, 1);
    let mut left = rig.claim(task(5), LEFT);
    left.map_any(&mut rig, 0, 1);
    only(&rig, RIGHT, QuiesceState::Running);
    assert_eq!(third.release(&mut rig), Reply::Later);
    assert_eq!(left.release(&mut rig), Reply::Later);
    waits_for_another_quiesce_of_right(&mut rig);
}

/// `left` is being released beside `third`, which goes on. Whether `right` is on PCI decides on the rest.
fn released_beside_one_that_goes_on(plan: PlanView<'static>) -> (Rig, [u64; 2]) {
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    let mut third = rig.claim(task(5), EDU);
    let kept = third.map_any(&mut rig, 0, 1);
    let mut left = rig.claim(task(5), LEFT);
    let released = left.map_any(&mut rig, 1, 2);
    only(&rig, RIGHT, QuiesceState::Running);
    only(&rig, LEFT, QuiesceState::Running);
    assert_eq!(left.release(&mut rig), Reply::Later);
    (rig, [kept, released])
}

#[test]
fn without_bus_mastering_nothing_is_begun_in_what_is_released_beside_an_open_stream() {
    let (mut rig, [kept, released]) = released_beside_one_that_goes_on(three_with_one_ungated());
    let at = |rig: &Rig, iova| rig.reach(0x010, iova);
    assert!(at(&rig, kept).is_some(), "third goes on");
    assert_eq!(
        (at(&rig, released), at(&rig, released + 4096)),
        (None, None),
        "right could begin something there after its reset"
    );
    assert_eq!(rig.status(LEFT).mapped_pages, 2, "it may be under way");
    only(&rig, LEFT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(rig.is_held(LEFT));
    only(&rig, RIGHT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT));
    assert_eq!(rig.status(LEFT).mapped_pages, 0);
    assert!(at(&rig, kept).is_some());
    // All of it is free again.
    let mut left = rig.claim(task(5), LEFT);
    let again = left.map(
        &mut rig,
        0,
        1,
        2,
        MapFlags::READ_WRITE.with(MapFlags::FIXED),
        released,
    );
    assert_eq!(again, Ok(released));
}

#[test]
fn a_successor_knows_what_was_retracted() {
    for pci in [None, Some(Failure::Down)] {
        is_known_to_a_successor(pci);
    }
}

/// Also to one that cannot ask the PCI task which of them is on.
fn is_known_to_a_successor(pci: Option<Failure>) {
    let (rig, [kept, released]) = released_beside_one_that_goes_on(three_with_one_ungated());
    rig.around.borrow_mut().no_pci = pci;
    let mut next = Rig::with(
        three_with_one_ungated(),
        rig.smmu.clone(),
        rig.around.clone(),
    );
    next.server.boot();
    assert!(next.reach(0x010, kept).is_some());
    assert_eq!(next.reach(0x010, released), None);
    assert_eq!(next.status(LEFT).mapped_pages, 2, "left has to release it");
    let flags = next.status(LEFT).flags;
    assert!(flags.has(StatusFlags::STORM) && !flags.has(StatusFlags::OPEN));
    next.around.borrow_mut().no_pci = None;
    next.server.on_pci_up();
    let claim = next.now(task(5), Operation::Claim, &[u64::from(LEFT)]);
    let claim = Claim::from_words(&claim.1).unwrap();
    let mut left = Driver {
        id: task(5),
        handle: claim.handle,
        sequence: claim.sequence,
    };
    assert_eq!(left.release(&mut next), Reply::Later);
    next.server.on_quiesced();
    assert!(next.is_held(LEFT));
    only(&next, LEFT, QuiesceState::Quiet);
    only(&next, RIGHT, QuiesceState::Quiet);
    while next.is_held(LEFT) {
        next.server.on_quiesced();
    }
    assert_eq!(next.status(LEFT).mapped_pages, 0);
    assert!(next.reach(0x010, kept).is_some());
}

#[test]
fn between_devices_with_bus_mastering_a_release_retracts_nothing() {
    let mut plan = three_with_one_ungated();
    let mut devices = plan.devices.to_vec();
    devices[RIGHT as usize].non_pci = 0;
    plan.devices = std::vec::Vec::leak(devices);
    let (rig, [_, released]) = released_beside_one_that_goes_on(plan);
    assert!(
        rig.reach(0x010, released).is_some(),
        "what reaches it has a claimant"
    );
}

#[test]
fn one_that_nobody_owns_is_not_waited_for_after_a_restart() {
    let mut unowned = plan();
    let mut devices = unowned.devices.to_vec();
    devices[RIGHT as usize].owner = plan::NONE;
    unowned.devices = std::vec::Vec::leak(devices);
    let mut rig = Rig::planned(unowned);
    rig.server.boot();
    rig.claim(task(5), LEFT).map_any(&mut rig, 0, 1);
    let mut next = Rig::with(unowned, rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    let before = next.around.borrow().started.len();
    next.die(5);
    assert_eq!(next.around.borrow().started[before..], [LEFT]);
    next.server.on_quiesced();
    assert!(!next.is_held(LEFT));
}
