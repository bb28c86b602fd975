//! `max-run`: LOW may run 500 ticks without blocking.

use abi::{FaultKind, TaskId, notification};

use super::world::*;
use crate::State;

fn pass(world: &mut World, ticks: u64) {
    world.kernel.arch_mut().now += ticks;
    if world.kernel.arch().timer <= world.kernel.arch().now {
        world.running = world.kernel.timer_interrupt(world.running);
    }
}

#[test]
fn a_task_that_spins_is_killed() {
    let mut world = World::waiting_down_to(LOW);
    pass(&mut world, LIMIT - 1);
    assert_eq!(world.state(LOW), State::Runnable);
    pass(&mut world, 1);
    assert_eq!(world.fault(LOW), FaultKind::MaxRun);
    assert_eq!(world.running, None);
}

#[test]
fn the_timer_comes_when_a_run_may_end() {
    let mut world = World::waiting_down_to(LOW);
    let start = world.kernel.arch().now;
    assert_eq!(world.kernel.arch().timer, start + LIMIT);
    pass(&mut world, 7);
    world.park();
    world.kernel.notify(index(LOW), u64::from(WAKE));
    world.resume();
    assert_eq!(world.kernel.arch().timer, start + LIMIT);
    // It came for the run before; what is left of this one is waited for.
    pass(&mut world, LIMIT - 7);
    assert_eq!(world.runs(), LOW);
    assert_eq!(world.kernel.arch().timer, start + 7 + LIMIT);
}

#[test]
fn blocking_starts_a_new_run() {
    let mut world = World::waiting_down_to(LOW);
    for _ in 0..4 {
        pass(&mut world, LIMIT - 10);
        world.park();
        world.kernel.notify(index(LOW), u64::from(WAKE));
        world.resume();
    }
    assert_eq!(world.runs(), LOW);
    pass(&mut world, LIMIT);
    assert_eq!(world.fault(LOW), FaultKind::MaxRun);
}

#[test]
fn a_receive_that_returns_at_once_starts_a_new_run() {
    let mut world = World::waiting_down_to(LOW);
    for _ in 0..4 {
        pass(&mut world, LIMIT - 10);
        // As another task's post while it runs.
        world.kernel.notify_for_another(index(LOW), 1);
        world.receive(LOW, 1, TaskId::ANY, 0, 0);
    }
    assert_eq!(world.runs(), LOW);
}

#[test]
fn a_receive_from_the_dead_starts_a_new_run() {
    let mut world = World::waiting_down_to(LOW);
    let stale = TaskId::new(LEFT as u8, 9);
    for _ in 0..4 {
        pass(&mut world, LIMIT - 10);
        world.receive(LOW, 0, stale, 0, 0);
        assert_eq!(world.x(LOW, 10), u64::from(abi::Code::DEAD.0));
    }
    assert_eq!(world.runs(), LOW);
}

#[test]
fn on_no_clock_a_limit_becomes_none() {
    for frequency in [1, 2, 24_000_000, 1_000_000_000, u64::MAX] {
        let mut tables = Tables::new();
        tables.frequency = frequency.try_into().unwrap();
        for limit in [1, LIMIT, u64::MAX] {
            tables.tasks[LOW].max_run = limit;
            let world = tables.boot().unwrap();
            let ticks = world.kernel.task(index(LOW)).run_limit();
            let exact = (u128::from(limit) * u128::from(frequency)).div_ceil(1_000_000_000);
            assert!(
                ticks > 0 && u128::from(ticks) <= exact,
                "{limit} {frequency}"
            );
        }
    }
}

#[test]
fn the_longest_limit_there_is_never_comes() {
    let mut tables = Tables::new();
    tables.tasks[LOW].max_run = u64::MAX;
    let mut world = tables.boot().unwrap();
    for _ in 0..LOW {
        world.park();
    }
    assert_eq!(world.runs(), LOW);
    assert_eq!(world.kernel.task(index(LOW)).run_limit(), u64::MAX);
    pass(&mut world, 1 << 62);
    assert_eq!(world.state(LOW), State::Runnable);
    // Called back and forth, as by the fast path, it still has the longest run before it.
    world.send_pattern(LOW, SERVER, 1);
    let arguments = [world.id(LOW).0, 0, 0, 0, TaskId::ANY.0, 0, 0];
    world.call(SERVER, abi::Syscall::ReplyReceive as u16, &arguments);
    pass(&mut world, 1 << 62);
    assert_eq!((world.runs(), world.state(LOW)), (LOW, State::Runnable));
}

#[test]
fn time_while_preempted_does_not_count() {
    let mut world = World::waiting_down_to(DRIVER);
    world.unmask(DRIVER);
    world.receive(DRIVER, DRIVER_BIT, TaskId::ANY, 0, 0);
    world.only(LOW);
    pass(&mut world, 300);
    world.interrupt(DRIVER_INTID);
    assert_eq!(world.runs(), DRIVER);
    pass(&mut world, 10_000);
    world.receive(DRIVER, DRIVER_BIT, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), LOW);
    pass(&mut world, 199);
    assert_eq!(world.state(LOW), State::Runnable);
    pass(&mut world, 1);
    assert_eq!(world.fault(LOW), FaultKind::MaxRun);
}

#[test]
fn calls_back_and_forth_do_not_set_the_timer_each_time() {
    let mut world = World::waiting_down_to(LOW);
    let writes = world.kernel.arch().timer_writes;
    for _ in 0..10 {
        world.kernel.arch_mut().now += 1;
        world.send_pattern(LOW, SERVER, 1);
        let arguments = [world.id(LOW).0, 0, 0, 0, TaskId::ANY.0, 0, 0];
        world.call(SERVER, abi::Syscall::ReplyReceive as u16, &arguments);
        assert_eq!(world.runs(), LOW);
    }
    assert_eq!(world.kernel.arch().timer_writes, writes);
}

#[test]
fn an_early_timer_only_sets_the_next_one() {
    let mut world = World::waiting_down_to(LOW);
    pass(&mut world, 100);
    world.park();
    world.kernel.notify(index(LOW), u64::from(WAKE));
    world.resume();
    // Set for the first run, fires in the second.
    pass(&mut world, 400);
    assert_eq!(world.state(LOW), State::Runnable);
    pass(&mut world, 99);
    assert_eq!(world.state(LOW), State::Runnable);
    pass(&mut world, 1);
    assert_eq!(world.fault(LOW), FaultKind::MaxRun);
}

#[test]
fn what_a_task_brings_about_itself_ends_no_run() {
    let wakes: [fn(&mut World); 3] = [
        |world| {
            world.call(LOW, abi::Syscall::Timer as u16, &[0]);
            world.receive(LOW, notification::TIMER, TaskId::ANY, 0, 0);
        },
        |world| {
            world.post(LOW, LOW, 1);
            world.receive(LOW, 1, TaskId::ANY, 0, 0);
        },
        |world| {
            world.post(LOW, LOW, 3);
            world.call(LOW, abi::Syscall::Timer as u16, &[0]);
            world.receive(LOW, u32::MAX, TaskId::ANY, 0, 0);
        },
    ];
    for (number, wake) in wakes.into_iter().enumerate() {
        let mut world = World::waiting_down_to(LOW);
        pass(&mut world, LIMIT - 10);
        wake(&mut world);
        assert_eq!(world.runs(), LOW);
        pass(&mut world, 9);
        assert_eq!(world.state(LOW), State::Runnable);
        pass(&mut world, 1);
        assert_eq!(world.fault(LOW), FaultKind::MaxRun, "wake {number}");
    }
}

#[test]
fn a_bit_that_another_set_too_ends_a_run() {
    for others_first in [false, true] {
        let mut world = World::waiting_down_to(LOW);
        pass(&mut world, LIMIT - 10);
        if others_first {
            world.kernel.notify_for_another(index(LOW), 1);
            world.post(LOW, LOW, 1);
        } else {
            world.post(LOW, LOW, 1);
            world.kernel.notify_for_another(index(LOW), 1);
        }
        world.receive(LOW, 1, TaskId::ANY, 0, 0);
        pass(&mut world, LIMIT - 1);
        assert_eq!(world.state(LOW), State::Runnable);
        // What was taken is not remembered.
        world.kernel.notify_for_another(index(LOW), 1);
        world.receive(LOW, 1, TaskId::ANY, 0, 0);
        pass(&mut world, LIMIT - 1);
        assert_eq!(world.state(LOW), State::Runnable);
    }
}

/// The same while the task waits for another bit, and takes that one first.
#[test]
fn a_bit_that_another_set_during_a_wait_ends_a_run() {
    for peer in [false, true] {
        let mut world = World::waiting_down_to(LEFT);
        world.only(LOW);
        world.post(LOW, LOW, 1);
        world.receive(LOW, 2, TaskId::ANY, 0, 0);
        if peer {
            world.kernel.notify_for_another(index(LOW), 1);
        }
        world.kernel.notify(index(LOW), 2);
        world.running = world.kernel.timer_interrupt(world.running);
        assert_eq!(world.runs(), LOW);
        pass(&mut world, LIMIT - 10);
        world.receive(LOW, 1, TaskId::ANY, 0, 0);
        assert_eq!(world.x(LOW, 9), 1);
        pass(&mut world, 10);
        let expected = if peer { State::Runnable } else { State::Down };
        assert_eq!(world.state(LOW), expected);
    }
}
