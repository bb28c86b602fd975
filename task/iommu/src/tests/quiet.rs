//! A device is known to be quiet for one life only: whoever had its registers since may have begun anything.

use std::vec::Vec;

use abi::TaskId;
use iommu_api::*;
use pci_api::QuiesceState;
use pci_api::client::Failure;
use plan::iommu::DeviceEntry;

use super::bypass::bypass_plan;
use super::identity::identity_plan;
use super::premapped::premapped_plan;
use super::rig::*;
use crate::Reply;
use crate::plan_view::PlanView;

/// The usual machine with a disk that is described differently.
fn with_disk(
    mut plan: PlanView<'static>,
    change: impl FnOnce(&mut DeviceEntry),
) -> PlanView<'static> {
    let mut devices = plan.devices.to_vec();
    change(&mut devices[DISK as usize]);
    plan.devices = Vec::leak(devices);
    plan
}

fn non_pci(plan: PlanView<'static>) -> PlanView<'static> {
    with_disk(plan, |disk| disk.non_pci = 1)
}

/// Every kind of device and domain that a claim can be of.
fn kinds() -> [PlanView<'static>; 8] {
    [
        plan(),
        non_pci(plan()),
        bypass_plan(),
        non_pci(bypass_plan()),
        identity_plan(),
        non_pci(identity_plan()),
        premapped_plan(),
        non_pci(premapped_plan()),
    ]
}

fn booted(plan: PlanView<'static>) -> Rig {
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    rig
}

/// Quiesces begun so far.
fn starts(rig: &Rig) -> usize {
    rig.around.borrow().started.len()
}

fn ask(rig: &mut Rig, id: TaskId) -> Reply {
    rig.ask(id, Operation::Claim, &[u64::from(DISK)])
}

/// Whether a life gets the disk without a quiesce. Afterwards nobody has it.
fn at_once(rig: &mut Rig, id: TaskId) -> bool {
    let before = starts(rig);
    let reply = ask(rig, id);
    let at_once = matches!(reply, Reply::Now { code: 0, .. });
    assert_eq!(at_once, starts(rig) == before, "{reply:?}");
    at_once
}

/// A release, to its end.
fn release(rig: &mut Rig, disk: &mut Driver) {
    if disk.release(rig) == Reply::Later {
        rig.server.on_quiesced();
        let reply = rig.around.borrow_mut().replies.pop().unwrap();
        assert_eq!((reply.0, reply.1), (disk.id, 0));
    }
    assert!(!rig.is_held(DISK));
}

/// How a device comes to be free, and which life nobody but can have touched it since.
type Past = (&'static str, fn(&mut Rig), Option<TaskId>);

fn released(rig: &mut Rig) {
    let mut disk = rig.claim(life(4, 1), DISK);
    release(rig, &mut disk);
}

fn released_with_mappings(rig: &mut Rig) {
    let mut disk = rig.claim(life(4, 1), DISK);
    // Where there is a window to map in.
    let _ = disk.map(rig, 0, 0, 1, MapFlags::READ_WRITE, 0);
    release(rig, &mut disk);
}

fn died(rig: &mut Rig) {
    rig.claim(life(4, 1), DISK);
    rig.die(4);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
}

fn died_before_its_claim_was_granted(rig: &mut Rig) {
    assert_eq!(ask(rig, life(4, 1)), Reply::Later);
    rig.die(4);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
}

const PASTS: [Past; 5] = [
    ("released", released, Some(TaskId::new(4, 1))),
    (
        "released with mappings",
        released_with_mappings,
        Some(TaskId::new(4, 1)),
    ),
    ("died", died, Some(TaskId::new(4, 2))),
    (
        "died before its claim",
        died_before_its_claim_was_granted,
        Some(TaskId::new(4, 2)),
    ),
    ("never claimed", |_| {}, None),
];

#[test]
fn a_quiet_device_is_given_at_once_to_the_only_life_that_had_it_since() {
    for (kind, plan) in kinds().into_iter().enumerate() {
        for (name, past, only) in PASTS {
            for number in 1..=3 {
                let mut rig = booted(plan);
                past(&mut rig);
                let id = life(4, number);
                let expected = only == Some(id);
                assert_eq!(
                    at_once(&mut rig, id),
                    expected,
                    "{name}, kind {kind}, life {number}"
                );
                if !expected {
                    rig.server.on_quiesced();
                    let reply = rig.around.borrow_mut().replies.pop().unwrap();
                    assert_eq!((reply.0, reply.1), (id, 0));
                }
            }
        }
    }
}

#[test]
fn a_device_that_others_watch_is_never_known_to_be_quiet() {
    for (name, past, _) in PASTS {
        for number in 1..=3 {
            let mut rig = booted(with_disk(plan(), |disk| disk.watched = 1));
            past(&mut rig);
            assert!(!at_once(&mut rig, life(4, number)), "{name}, life {number}");
            rig.server.on_quiesced();
            assert_eq!(rig.around.borrow_mut().replies.pop().unwrap().1, 0);
        }
    }
}

#[test]
fn a_release_that_its_task_does_not_survive_is_quiet_for_the_next_life() {
    let mut rig = booted(plan());
    let mut disk = rig.claim(life(4, 1), DISK);
    disk.map_any(&mut rig, 0, 1);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    let before = starts(&rig);
    rig.die(4);
    rig.server.on_quiesced();
    assert_eq!(starts(&rig), before, "it waited since the quiesce began");
    assert!(at_once(&mut rig, life(4, 2)));
    let mut rig = booted(plan());
    released_with_mappings(&mut rig);
    // It was not held any more.
    rig.die(4);
    assert!(!at_once(&mut rig, life(4, 2)));
}

#[test]
fn what_became_quiet_before_a_death_is_made_quiet_after_it_too() {
    let mut rig = Rig::booted();
    rig.claim(task(5), LEFT);
    rig.claim(task(6), RIGHT);
    rig.die(5);
    rig.server.on_quiesced();
    // Its claimant lived on, and so had its registers.
    let before = starts(&rig);
    rig.die(6);
    assert_eq!(rig.around.borrow().started[before..], [RIGHT]);
    assert!(rig.is_held(RIGHT));
    rig.server.on_quiesced();
    assert!(!rig.is_held(RIGHT));
    for (id, device) in [(life(5, 1), LEFT), (life(6, 1), RIGHT)] {
        let reply = rig.ask(id, Operation::Claim, &[u64::from(device)]);
        assert!(matches!(reply, Reply::Now { code: 0, .. }), "{device}");
    }
}

#[test]
fn who_joins_a_quiesce_that_runs_asks_for_one_of_his_own() {
    let runs = Failure::Refused(pci_api::Error::Quiescing);
    let mut rig = Rig::booted();
    rig.around.borrow_mut().start_error = Some(runs);
    assert_eq!(ask(&mut rig, task(4)), Reply::Later);
    assert_eq!(starts(&rig), 0);
    rig.server.on_quiesced();
    assert_eq!(rig.around.borrow().started, [DISK]);
    assert!(rig.around.borrow().replies.is_empty());
    rig.server.on_quiesced();
    assert_eq!(rig.around.borrow_mut().replies.pop().unwrap().1, 0);
    // A death is not over with that of another either.
    rig.around.borrow_mut().start_error = Some(runs);
    rig.die(4);
    rig.server.on_quiesced();
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert!(at_once(&mut rig, life(4, 1)));
    assert_eq!(rig.around.borrow().started, [DISK, DISK]);
    // A release is: what its task begins lands nowhere.
    let mut disk = rig.claim(life(4, 1), DISK);
    disk.map_any(&mut rig, 0, 1);
    rig.around.borrow_mut().start_error = Some(runs);
    release(&mut rig, &mut disk);
    assert_eq!(starts(&rig), 2);
    assert!(!at_once(&mut rig, life(4, 1)));
}

#[test]
fn without_a_recipe_only_the_first_life_claims() {
    for (number, granted) in [(0, true), (1, false)] {
        let mut rig = Rig::booted();
        let no_recipe = Failure::Refused(pci_api::Error::NoRecipe);
        rig.around.borrow_mut().start_error = Some(no_recipe);
        assert_eq!(ask(&mut rig, life(4, number)), Reply::Later);
        let (_, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
        let refused = Some(Error::NotQuiet);
        assert_eq!(Error::from_code(code), refused.filter(|_| !granted));
        assert_eq!(rig.is_held(DISK), granted);
    }
}

/// A claim fails although the device was quiet, as bus mastering cannot be turned on: the reply.
fn fail_a_grant(rig: &mut Rig, id: TaskId) -> Reply {
    rig.around.borrow_mut().bus_master_error = Some(Failure::Dead);
    let reply = ask(rig, id);
    rig.around.borrow_mut().bus_master_error = None;
    reply
}

fn refusal(error: Error) -> Reply {
    Reply::Now {
        code: error as u32,
        payload: [0; 8],
        len: 0,
    }
}

#[test]
fn a_failed_grant_leaves_nothing_known() {
    for plan in [plan(), non_pci(plan())] {
        let mut rig = booted(plan);
        released(&mut rig);
        let reply = fail_a_grant(&mut rig, life(4, 1));
        assert_eq!(reply, refusal(Error::Unavailable));
        assert!(!rig.is_held(DISK));
        assert_eq!(rig.status(DISK).flags.0, 0);
        assert!(!at_once(&mut rig, life(4, 1)));
        rig.server.on_quiesced();
        assert_eq!(rig.around.borrow_mut().replies.pop().unwrap().1, 0);
    }
}

#[test]
fn a_failed_grant_that_could_reach_pools_is_made_quiet_before_the_hold_is_lifted() {
    for plan in kinds().into_iter().skip(2) {
        for quiet in [true, false] {
            let mut rig = booted(plan);
            released(&mut rig);
            let before = starts(&rig);
            assert_eq!(fail_a_grant(&mut rig, life(4, 1)), Reply::Later);
            assert_eq!(starts(&rig), before + 1);
            assert!(rig.is_held(DISK));
            assert_eq!(rig.status(DISK).flags.0, StatusFlags::QUIESCING);
            rig.around.borrow_mut().result = Some(QuiesceState::Running);
            rig.server.on_quiesced();
            assert!(rig.is_held(DISK));
            if !quiet {
                rig.fail_quiesce();
            } else {
                rig.around.borrow_mut().result = None;
            }
            rig.server.on_quiesced();
            let (to, code, _, len) = rig.around.borrow_mut().replies.pop().unwrap();
            assert_eq!((to, len), (life(4, 1), 0));
            let error = if quiet {
                Error::Unavailable
            } else {
                Error::NotQuiet
            };
            assert_eq!(Error::from_code(code), Some(error));
            assert_eq!(rig.is_held(DISK), !quiet);
            let left = if quiet { 0 } else { StatusFlags::STUCK };
            assert_eq!(rig.status(DISK).flags.0, left);
            if quiet {
                assert!(at_once(&mut rig, life(4, 1)));
            }
        }
    }
}

#[test]
fn a_death_in_a_failed_grant_is_contained() {
    let mut rig = booted(bypass_plan());
    released(&mut rig);
    assert_eq!(fail_a_grant(&mut rig, life(4, 1)), Reply::Later);
    rig.die(4);
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert!(rig.around.borrow().replies.is_empty());
    assert!(at_once(&mut rig, life(4, 2)));
}

#[test]
fn a_device_that_is_not_confirmed_to_be_closed_sticks() {
    for plan in kinds() {
        let mut rig = booted(plan);
        released(&mut rig);
        rig.smmu.0.borrow_mut().behaviour.stuck = true;
        assert_eq!(ask(&mut rig, life(4, 1)), refusal(Error::HardwareFailure));
        assert!(rig.is_held(DISK));
        assert!(!rig.is_bus_master(DISK));
        assert_eq!(rig.status(DISK).flags.0, StatusFlags::STUCK);
        assert_eq!(ask(&mut rig, life(4, 1)), refusal(Error::NotQuiet));
    }
}

#[test]
fn what_a_failed_grant_may_have_begun_is_waited_for_by_what_shares_its_stream() {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    left.map_any(&mut rig, 0, 1);
    rig.ask(task(6), Operation::Claim, &[u64::from(RIGHT)]);
    rig.around.borrow_mut().bus_master_error = Some(Failure::Dead);
    rig.server.on_quiesced();
    let reply = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((reply.0, reply.1), (task(6), Error::Unavailable as u32));
    rig.around.borrow_mut().bus_master_error = None;
    rig.around
        .borrow_mut()
        .results
        .insert(RIGHT, QuiesceState::Running);
    rig.die(5);
    rig.server.on_quiesced();
    assert!(rig.is_held(LEFT));
    rig.around
        .borrow_mut()
        .results
        .insert(RIGHT, QuiesceState::Quiet);
    rig.server.on_quiesced();
    assert!(!rig.is_held(LEFT));
}

/// Without one that shares its streams nothing can go on through them, whether or not it stays bus master.
#[test]
fn the_word_of_an_owner_holds_without_a_pci_task_where_nothing_is_shared() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    release(&mut rig, &mut disk);
    rig.around.borrow_mut().no_pci = None;
    rig.server.on_pci_up();
    assert!(at_once(&mut rig, task(4)));
}
