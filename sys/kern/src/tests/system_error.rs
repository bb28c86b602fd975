//! Asynchronous errors: who is charged, and what is done before.

use abi::privileged::Privileged;
use abi::{Code, FaultKind, TaskId, notification};

use super::world::*;
use crate::State;
use crate::fast::{is_call_of_core, is_receive_of_core};
use crate::task::Slow;

/// ESR_EL1 of an SError: uncategorized, corrected, uncontained, restartable, unrecoverable, recoverable.
const ERROR: u64 = 0x2f << 26 | 1 << 25;
const CORRECTED: u64 = ERROR | 6 << 10 | 0x11;
const UNCONTAINED: u64 = ERROR | 0x11;
const RESTARTABLE: u64 = ERROR | 2 << 10 | 0x11;
const UNRECOVERABLE: u64 = ERROR | 1 << 10 | 0x11;
const RECOVERABLE: u64 = ERROR | 3 << 10 | 0x11;

/// The standard system, in which `without` have no device registers.
fn system(without: &[usize]) -> World {
    let mut tables = Tables::new();
    for task in without {
        // The last of its regions.
        tables.tasks[*task].region_count -= 1;
    }
    tables.boot().unwrap()
}

fn error(world: &mut World, syndrome: u64) {
    world.running = world.kernel.system_error(world.running, syndrome);
}

fn unclaimed(world: &mut World) -> (u64, u64) {
    let code = world.privileged(SUPERVISOR, Privileged::SystemErrors, &[]);
    assert_eq!(code, Code::OK);
    (world.x(SUPERVISOR, 1), world.x(SUPERVISOR, 2))
}

#[test]
fn a_driver_is_charged_with_the_error_of_its_access() {
    let mut world = World::waiting_down_to(DRIVER);
    assert!(world.kernel.task(index(DRIVER)).has_devices());
    world.kernel.task_mut(index(DRIVER)).frame_mut().pc = 0x40_1234;
    error(&mut world, ERROR);
    assert_eq!(world.fault(DRIVER), FaultKind::BusError);
    let fault = world.kernel.task(index(DRIVER)).fault();
    assert_eq!((fault.address, fault.detail), (0, ERROR));
    assert_eq!((fault.pc, fault.syscall), (0x40_1234, 0xffff));
    // The supervisor hears of the death, and of nothing else.
    let supervisor = world.kernel.task(index(SUPERVISOR));
    assert_eq!(supervisor.pending(), u64::from(notification::FAULT));
    assert_eq!(world.kernel.unclaimed.count, 0);
}

#[test]
fn an_error_that_is_nobodys_kills_nobody_and_is_told() {
    let mut world = system(&[SUPERVISOR, SERVER]);
    world.receive(SUPERVISOR, notification::FAULT, TaskId::ANY, 0, 0);
    world.receive(AUTHORITY, 0, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), SERVER);
    for count in 1..=2 {
        error(&mut world, ERROR | count);
        assert_eq!(world.state(SERVER), State::Runnable);
        assert_eq!(world.runs(), SUPERVISOR);
        let bits = u64::from(notification::FAULT);
        assert_eq!(world.x(SUPERVISOR, 9), bits);
        assert_eq!(unclaimed(&mut world), (count, ERROR | count));
        world.receive(SUPERVISOR, notification::FAULT, TaskId::ANY, 0, 0);
        assert_eq!(world.runs(), SERVER);
    }
    // The supervisor itself is not killed either.
    let mut world = system(&[SUPERVISOR]);
    error(&mut world, ERROR);
    assert_eq!(world.runs(), SUPERVISOR);
    assert_eq!(world.kernel.arch().fatal, None);
    assert_eq!(unclaimed(&mut world), (1, ERROR));
}

#[test]
fn an_error_while_all_wait_is_told() {
    let mut world = World::waiting_down_to(COUNT - 1);
    world.receive(LOW, 0, TaskId::ANY, 0, 0);
    assert_eq!(world.running, None);
    error(&mut world, ERROR);
    // Nobody waits for the bit.
    assert_eq!(world.running, None);
    let supervisor = world.kernel.task(index(SUPERVISOR));
    assert_eq!(supervisor.pending(), u64::from(notification::FAULT));
    assert!((0..COUNT).all(|task| world.fault(task) == FaultKind::None));
}

#[test]
fn what_was_corrected_is_no_error_and_what_is_not_contained_is_the_end() {
    let mut world = World::waiting_down_to(DRIVER);
    error(&mut world, CORRECTED);
    assert_eq!(
        (world.runs(), world.fault(DRIVER)),
        (DRIVER, FaultKind::None)
    );
    assert_eq!(world.kernel.arch().fatal, None);
    error(&mut world, UNCONTAINED);
    assert!(world.kernel.arch().fatal.is_some());
}

#[test]
fn what_cannot_go_on_after_an_error_does_not() {
    for syndrome in [UNRECOVERABLE, RECOVERABLE] {
        let mut world = system(&[SERVER]);
        world.receive(SUPERVISOR, notification::FAULT, TaskId::ANY, 0, 0);
        world.receive(AUTHORITY, 0, TaskId::ANY, 0, 0);
        assert_eq!(world.runs(), SERVER);
        error(&mut world, syndrome);
        assert_eq!(world.fault(SERVER), FaultKind::BusError);
        assert_eq!(world.kernel.task(index(SERVER)).fault().detail, syndrome);
        assert_eq!(world.runs(), SUPERVISOR);
        assert_eq!(unclaimed(&mut world), (0, 0));
        assert_eq!(world.kernel.arch().fatal, None);
        // The kernel itself waited.
        let mut world = World::waiting_down_to(COUNT - 1);
        world.receive(LOW, 0, TaskId::ANY, 0, 0);
        assert_eq!(world.running, None);
        error(&mut world, syndrome);
        assert!(world.kernel.arch().fatal.is_some());
    }
    let mut world = system(&[SUPERVISOR]);
    error(&mut world, RESTARTABLE);
    assert_eq!(world.fault(SUPERVISOR), FaultKind::None);
    assert_eq!(unclaimed(&mut world), (1, RESTARTABLE));
}

#[test]
fn an_error_before_the_first_task_is_told() {
    let fault = u64::from(notification::FAULT);
    for (errors, bits) in [(&[][..], 0), (&[CORRECTED], 0), (&[ERROR, ERROR], fault)] {
        let world = Tables::new()
            .boot_with(|kernel| {
                for syndrome in errors {
                    assert_eq!(kernel.system_error(None, *syndrome), None);
                }
            })
            .unwrap();
        for task in 0..COUNT {
            let expected = if task == SUPERVISOR { bits } else { 0 };
            assert_eq!(world.kernel.task(index(task)).pending(), expected);
        }
    }
}

#[test]
fn a_held_driver_is_the_authoritys_first() {
    let mut world = World::waiting_down_to(DRIVER);
    world.kernel.add_hold(index(DRIVER));
    error(&mut world, ERROR);
    let supervisor = world.kernel.task(index(SUPERVISOR));
    assert_eq!(supervisor.pending(), 0);
    let authority = world.kernel.task(index(AUTHORITY));
    assert_eq!(authority.pending(), u64::from(notification::HELD_DEATH));
}

#[test]
fn a_task_with_devices_never_leaves_by_the_fast_path_unseen() {
    let mut tables = Tables::new();
    tables.tasks[LEFT].region_count -= 1;
    for defers in [false, true] {
        let world = tables
            .boot_on(|machine| machine.defers_errors = defers)
            .unwrap();
        for task in 0..COUNT {
            let task_has = task != LEFT;
            let kept = world.kernel.task(index(task));
            let expected = match (task_has, defers) {
                (false, _) => Slow::empty(),
                (true, false) => Slow::DEVICES,
                (true, true) => Slow::DEVICES | Slow::DEFERRED_ERRORS,
            };
            assert_eq!(kept.slow(), expected.bits());
            let above = kept.fast_above();
            assert!(!is_call_of_core(kept.slow()) && !is_receive_of_core(kept.slow()));
            assert_eq!(above.is_empty(), task_has || kept.above().is_empty());
            assert_eq!(kept.has_devices(), task_has);
        }
    }
}
