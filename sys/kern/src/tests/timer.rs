//! Task timers.

use std::vec::Vec;

use abi::{Syscall, TASKS_MAX, TIMERS_A_TURN, TaskId, notification};
use plan::kernel::TaskEntry;

use super::world::*;
use crate::State;

const TIMER: u32 = notification::TIMER;

fn set(world: &mut World, task: usize, deadline: u64) {
    world.call(task, Syscall::Timer as u16, &[deadline]);
}

fn pass(world: &mut World, now: u64) {
    world.kernel.arch_mut().now = now;
    if world.kernel.arch().timer <= now {
        world.running = world.kernel.timer_interrupt(world.running);
    }
}

#[test]
fn a_timer_fires_once_at_its_deadline() {
    let mut world = World::waiting_down_to(SERVER);
    set(&mut world, SERVER, 1500);
    world.receive(SERVER, TIMER, TaskId::ANY, 0, 0);
    pass(&mut world, 1499);
    assert_ne!(world.runs(), SERVER);
    pass(&mut world, 1500);
    assert_eq!(
        (world.runs(), world.x(SERVER, 9)),
        (SERVER, u64::from(TIMER))
    );
    world.receive(SERVER, TIMER, TaskId::ANY, 0, 0);
    pass(&mut world, 5000);
    assert_eq!(world.state(SERVER), State::Receiving);
    assert_eq!(world.kernel.arch().timer, u64::MAX);
}

#[test]
fn the_earliest_deadline_is_the_hardwares() {
    let mut world = World::waiting_down_to(AUTHORITY);
    set(&mut world, AUTHORITY, 9000);
    world.receive(AUTHORITY, TIMER, TaskId::ANY, 0, 0);
    set(&mut world, SERVER, 2000);
    world.receive(SERVER, TIMER, TaskId::ANY, 0, 0);
    set(&mut world, DRIVER, 4000);
    assert_eq!(world.kernel.arch().timer, 2000);
    pass(&mut world, 2100);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.kernel.arch().timer, 4000);
    world.receive(SERVER, TIMER, TaskId::ANY, 0, 0);
    // Both at once: both are told.
    world.receive(DRIVER, TIMER, TaskId::ANY, 0, 0);
    pass(&mut world, 9500);
    assert_eq!(world.runs(), AUTHORITY);
    world.receive(AUTHORITY, TIMER, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), DRIVER);
}

#[test]
fn a_deadline_in_the_past_notifies_at_once() {
    let mut world = World::waiting_down_to(SERVER);
    set(&mut world, SERVER, 1000);
    assert_eq!(world.runs(), SERVER);
    world.receive(SERVER, TIMER, TaskId::ANY, 0, 0);
    assert_eq!(
        (world.runs(), world.x(SERVER, 9)),
        (SERVER, u64::from(TIMER))
    );
}

#[test]
fn a_timer_can_be_moved_and_stopped() {
    let mut world = World::waiting_down_to(SERVER);
    set(&mut world, SERVER, 1500);
    set(&mut world, SERVER, 3000);
    world.receive(SERVER, TIMER, TaskId::ANY, 0, 0);
    // Early for what was set before: nobody is told, and the hardware is set again.
    pass(&mut world, 1600);
    assert_eq!(world.state(SERVER), State::Receiving);
    assert_eq!(world.kernel.arch().timer, 3000);
    pass(&mut world, 3000);
    assert_eq!(world.runs(), SERVER);
    set(&mut world, SERVER, 4000);
    set(&mut world, SERVER, u64::MAX);
    world.receive(SERVER, TIMER, TaskId::ANY, 0, 0);
    pass(&mut world, 8000);
    assert_eq!(world.state(SERVER), State::Receiving);
}

/// A system of as many tasks as there can be, which all wait for their timers, due at 1500.
fn full() -> World {
    let mut tables = Tables::new();
    for task in COUNT..TASKS_MAX {
        let low = tables.tasks[LOW];
        tables.tasks.push(TaskEntry {
            ttbr0: ((task as u64 + 1) << 48) | (physical(0, CODE) + 0x1000 * task as u64),
            send_to: 0,
            max_run: 0,
            priority: low.priority + 1 + (task - COUNT) as u32 / 8,
            ..low
        });
    }
    let mut world = tables.boot().unwrap();
    for task in 0..TASKS_MAX {
        assert_eq!(world.runs(), task);
        again(&mut world, task, 1500);
    }
    assert_eq!(world.running, None);
    world
}

/// The running task waits for its next deadline.
fn again(world: &mut World, task: usize, deadline: u64) {
    set(world, task, deadline);
    world.receive(task, TIMER, TaskId::ANY, 0, 0);
}

/// The tasks that run now, one after the other, each until it waits for the deadline; all were told of their timer.
fn told(world: &mut World, deadline: u64) -> Vec<usize> {
    let mut told = Vec::new();
    while let Some(task) = world.running {
        let task = task.number();
        assert_eq!(world.x(task, 9), u64::from(TIMER), "task {task}");
        again(world, task, deadline);
        told.push(task);
    }
    told
}

#[test]
fn all_that_are_due_are_told_in_turns() {
    let mut world = full();
    let now = 2000;
    world.kernel.arch_mut().now = now;
    let mut turns = 0;
    while world.kernel.arch().timer <= now {
        let before = world.kernel.timers;
        world.running = world.kernel.timer_interrupt(world.running);
        turns += 1;
        let told = before.without(world.kernel.timers).count();
        assert!((1..=TIMERS_A_TURN).contains(&told), "{told} in one turn");
        // The most urgent runs already, whoever has to wait for the next turn.
        assert_eq!(world.runs(), SUPERVISOR);
    }
    assert_eq!(turns, TASKS_MAX.div_ceil(TIMERS_A_TURN));
    assert_eq!(world.kernel.arch().timer, u64::MAX);
    // Each once, in the order of their priorities.
    let all: Vec<usize> = (0..TASKS_MAX).collect();
    assert_eq!(told(&mut world, u64::MAX), all);
}

#[test]
fn timers_that_are_always_due_hold_up_nobody() {
    let mut world = full();
    let mut heard = [0; TASKS_MAX];
    for round in 0..8 {
        // Whoever was told has set its timer again, and is due with those that were left.
        let now = 2000 + 10 * round;
        world.kernel.arch_mut().now = now;
        world.running = world.kernel.timer_interrupt(world.running);
        for task in told(&mut world, now + 1) {
            heard[task] += 1;
        }
    }
    let fair = 8 * TIMERS_A_TURN / TASKS_MAX;
    assert_eq!(heard, [fair; TASKS_MAX]);
}
