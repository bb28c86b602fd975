//! Task timers.

use abi::{Syscall, TaskId, notification};

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
