//! Holds.

use abi::privileged::{Privileged, TaskState};
use abi::{Code, FaultKind, TaskId, notification};

use super::world::*;

/// AUTHORITY runs; the supervisor waits for faults.
fn authority() -> World {
    let mut world = World::new();
    world.receive(SUPERVISOR, notification::FAULT, TaskId::ANY, 0, 0);
    world
}

fn task_state(world: &mut World, task: usize) -> u64 {
    world.privileged(SUPERVISOR, Privileged::Status, &[task as u64]);
    world.x(SUPERVISOR, 2)
}

/// DRIVER is held for device 3 and dies while AUTHORITY waits.
fn held_death() -> World {
    let mut world = authority();
    let driver = world.id(DRIVER).0;
    assert_eq!(
        world.privileged(AUTHORITY, Privileged::Hold, &[driver, 3]),
        Code::OK
    );
    world.receive(AUTHORITY, notification::HELD_DEATH, TaskId::ANY, 0, 0);
    world.only(DRIVER);
    world.crash(DRIVER);
    world
}

#[test]
fn the_authority_hears_first_and_the_supervisor_when_it_lifts() {
    let mut world = held_death();
    assert_eq!(world.runs(), AUTHORITY);
    assert_eq!(world.x(AUTHORITY, 9), u64::from(notification::HELD_DEATH));
    let code = world.privileged(AUTHORITY, Privileged::Lift, &[DRIVER as u64, 3]);
    assert_eq!(code, Code::OK);
    assert_eq!(world.runs(), SUPERVISOR);
    assert_eq!(world.x(SUPERVISOR, 9), u64::from(notification::FAULT));
    assert_eq!(task_state(&mut world, DRIVER), TaskState::Dead as u64);
    let code = world.privileged(SUPERVISOR, Privileged::Restart, &[DRIVER as u64]);
    assert_eq!(code, Code::OK);
}

#[test]
fn a_held_task_cannot_be_restarted() {
    let mut world = held_death();
    world
        .kernel
        .notify(index(SUPERVISOR), u64::from(notification::FAULT));
    world.resume();
    assert_eq!(task_state(&mut world, DRIVER), TaskState::DeadHeld as u64);
    let code = world.privileged(SUPERVISOR, Privileged::Restart, &[DRIVER as u64]);
    assert_eq!(code, Code::REFUSED);
}

#[test]
fn every_hold_counts_and_a_repeat_does_not() {
    let mut world = authority();
    let driver = world.id(DRIVER).0;
    for device in [3, 4, 3, 4, 3] {
        let code = world.privileged(AUTHORITY, Privileged::Hold, &[driver, device]);
        assert_eq!(code, Code::OK);
    }
    world.kill(DRIVER);
    for (device, code, running) in [
        (3, Code::OK, AUTHORITY),
        (3, Code::REFUSED, AUTHORITY),
        (5, Code::REFUSED, AUTHORITY),
        (4, Code::OK, SUPERVISOR),
    ] {
        let lifted = world.privileged(AUTHORITY, Privileged::Lift, &[DRIVER as u64, device]);
        assert_eq!((lifted, world.runs()), (code, running), "{device}");
    }
}

#[test]
fn lifting_a_living_tasks_hold_tells_nobody() {
    let mut world = authority();
    let driver = world.id(DRIVER).0;
    world.privileged(AUTHORITY, Privileged::Hold, &[driver, 3]);
    world.privileged(AUTHORITY, Privileged::Lift, &[DRIVER as u64, 3]);
    assert_eq!(world.runs(), AUTHORITY);
    world.receive(AUTHORITY, notification::HELD_DEATH, TaskId::ANY, 0, 0);
    world.only(DRIVER);
    world.crash(DRIVER);
    assert_eq!(world.runs(), SUPERVISOR);
}

#[test]
fn a_stale_id_cannot_be_held() {
    let mut world = authority();
    let old = world.id(DRIVER).0;
    world.kill(DRIVER);
    assert_eq!(world.runs(), SUPERVISOR);
    world.receive(SUPERVISOR, notification::FAULT, TaskId::ANY, 0, 0);
    assert_eq!(
        world.privileged(AUTHORITY, Privileged::Hold, &[old, 3]),
        Code::DEAD
    );
    let next = world.id(DRIVER).0;
    assert_eq!(
        world.privileged(AUTHORITY, Privileged::Hold, &[next, 3]),
        Code::DOWN
    );
}

#[test]
fn slots_run_out_with_a_code() {
    let mut world = authority();
    let driver = world.id(DRIVER).0;
    for device in 0..128 {
        let code = world.privileged(AUTHORITY, Privileged::Hold, &[driver, device]);
        assert_eq!(code, Code::OK);
    }
    let code = world.privileged(AUTHORITY, Privileged::Hold, &[driver, 128]);
    assert_eq!(code, Code::EXHAUSTED);
    world.privileged(AUTHORITY, Privileged::Lift, &[DRIVER as u64, 77]);
    let code = world.privileged(AUTHORITY, Privileged::Hold, &[driver, 128]);
    assert_eq!(code, Code::OK);
}

#[test]
fn a_successor_finds_the_holds() {
    let mut world = held_death();
    let left = world.id(LEFT).0;
    world.privileged(AUTHORITY, Privileged::Hold, &[left, 9]);
    let (mut cursor, mut found) = (0, std::vec::Vec::new());
    loop {
        let code = world.privileged(AUTHORITY, Privileged::Enumerate, &[cursor]);
        assert_eq!(code, Code::OK);
        cursor = world.x(AUTHORITY, 1);
        if cursor == 0 {
            assert_eq!(world.x(AUTHORITY, 2), 0);
            break;
        }
        found.push([2, 3, 4, 5].map(|register| world.x(AUTHORITY, register)));
    }
    let driver = TaskId::new(DRIVER as u8, 1).0;
    assert_eq!(found, [[1, driver, 3, 1], [1, left, 9, 0]]);
}

#[test]
fn only_the_authority_holds() {
    for call in [
        Privileged::Hold,
        Privileged::Lift,
        Privileged::Pin,
        Privileged::Unpin,
        Privileged::Enumerate,
    ] {
        let mut world = World::waiting_down_to(LEFT);
        world.privileged(LEFT, call, &[world.id(DRIVER).0, 0]);
        assert_eq!(world.fault(LEFT), FaultKind::NoRight);
    }
}

#[test]
fn wrong_arguments_fault_the_authority() {
    for (call, arguments) in [
        (Privileged::Hold, [DRIVER as u64, 1 << 32]),
        (Privileged::Hold, [COUNT as u64, 0]),
        (Privileged::Lift, [COUNT as u64, 0]),
        (Privileged::Lift, [DRIVER as u64, 1 << 40]),
        (Privileged::Unpin, [256, 0]),
    ] {
        let mut world = authority();
        world.privileged(AUTHORITY, call, &arguments);
        assert_eq!(world.fault(AUTHORITY), FaultKind::SyscallUsage);
    }
}
