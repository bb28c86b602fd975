//! Receiving.

use abi::{Code, FaultKind, TaskId};

use super::world::*;
use crate::State;

#[test]
fn pending_bits_in_the_mask_come_before_messages() {
    let mut world = World::waiting_down_to(SERVER);
    world.run_server_aside();
    world.only(LEFT);
    world.post(LEFT, SERVER, 0b110);
    world.send_pattern(LEFT, SERVER, 3);
    world.wake_server();
    world.receive(SERVER, 0b010, TaskId::ANY, 0, 0);
    assert_eq!(world.sender(SERVER), TaskId::KERNEL);
    assert_eq!((world.x(SERVER, 9), world.x(SERVER, 10)), (0b010, 0));
    // The other bit stays pending, outside the mask, and does not stop the message.
    world.receive(SERVER, 0b001, TaskId::ANY, 0, 0);
    assert_eq!(world.sender(SERVER), world.id(LEFT));
    world.receive(SERVER, 0b111, TaskId::ANY, 0, 0);
    assert_eq!(world.x(SERVER, 9), 0b100);
}

#[test]
fn a_closed_receive_takes_only_its_sender() {
    let mut world = World::waiting_down_to(SERVER);
    world.run_server_aside();
    world.only(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.only(RIGHT);
    world.send_pattern(RIGHT, SERVER, 2);
    world.wake_server();
    world.receive(SERVER, 0, world.id(RIGHT), 0, 0);
    assert_eq!(world.sender(SERVER), world.id(RIGHT));
    world.receive(SERVER, 0, world.id(LOW), 0, 0);
    assert_eq!(world.state(SERVER), State::ReceivingFrom);
    world.only(DRIVER);
    world.send_pattern(DRIVER, SERVER, 5);
    assert_eq!(world.state(DRIVER), State::Sending);
    world.only(LOW);
    world.send_pattern(LOW, SERVER, 4);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.sender(SERVER), world.id(LOW));
}

#[test]
fn a_closed_receive_still_takes_notifications() {
    let mut world = World::waiting_down_to(SERVER);
    world.receive(SERVER, 0b1, world.id(LOW), 0, 0);
    world.only(LEFT);
    world.post(LEFT, SERVER, 0b10);
    assert_eq!(world.runs(), LEFT);
    world.post(LEFT, SERVER, 0b1);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(
        (world.sender(SERVER), world.x(SERVER, 9)),
        (TaskId::KERNEL, 1)
    );
}

#[test]
fn a_closed_receive_of_a_dead_sender_returns_dead() {
    let mut world = World::waiting_down_to(SERVER);
    world.run_server_aside();
    let old = world.id(LOW);
    world.only(LOW);
    world.crash(LOW);
    world.wake_server();
    for filter in [old, world.id(LOW)] {
        world.receive(SERVER, 0, filter, 0, 0);
        assert_eq!(world.runs(), SERVER);
        assert_eq!(world.sender(SERVER), TaskId::KERNEL);
        assert_eq!(world.x(SERVER, 9), 0);
        assert_eq!(world.x(SERVER, 10), u64::from(Code::DEAD.0));
    }
}

#[test]
fn wrong_arguments_fault_the_receiver() {
    let cases = [
        (TaskId(COUNT as u64), 0, 0, FaultKind::SyscallUsage),
        (TaskId::ANY, POOL, 4097, FaultKind::SyscallUsage),
        (TaskId::ANY, CODE, 64, FaultKind::BadSlice),
        (TaskId::ANY, DEVICE, 64, FaultKind::BadSlice),
        (TaskId::ANY, POOL + POOL_LEN - 8, 9, FaultKind::BadSlice),
        (TaskId::ANY, STACK - 8, 16, FaultKind::BadSlice),
    ];
    for (filter, address, capacity, kind) in cases {
        let mut world = World::waiting_down_to(LEFT);
        world.receive(LEFT, 0, filter, address, capacity);
        assert_eq!(world.fault(LEFT), kind);
    }
}

#[test]
fn a_buffer_is_checked_again_when_it_changes() {
    let mut world = World::waiting_down_to(SERVER);
    world.receive(SERVER, 1, TaskId::ANY, POOL, 4096);
    world.only(LEFT);
    world.post(LEFT, SERVER, 1);
    world.receive(SERVER, 1, TaskId::ANY, POOL, 4097);
    assert_eq!(world.fault(SERVER), FaultKind::SyscallUsage);
}

#[test]
fn the_upper_half_of_the_mask_is_ignored() {
    let mut world = World::waiting_down_to(LEFT);
    world.call(
        LEFT,
        abi::Syscall::Receive as u16,
        &[u64::MAX, TaskId::ANY.0, 0, 0],
    );
    assert_eq!(world.state(LEFT), State::Receiving);
    world.only(LOW);
    world.post(LOW, LEFT, 0x40);
    assert_eq!(world.runs(), LEFT);
    assert_eq!(world.x(LEFT, 9), 0x40);
}
