//! Replying.

use abi::{Code, FaultKind, ReplyDescriptor, SendDescriptor, Syscall, TaskId};

use super::world::*;
use crate::State;

/// LEFT has called SERVER, which runs; RIGHT and LOW are parked. The reply may have `capacity` bytes,
/// long ones at POOL.
fn called(capacity: u16) -> World {
    let mut world = World::waiting_down_to(LEFT);
    world.only(LOW);
    world.only(LEFT);
    call_server(&mut world, capacity);
    world
}

fn call_server(world: &mut World, capacity: u16) {
    let descriptor = SendDescriptor::new(1, 0, capacity, 0);
    let id = world.id(SERVER).0;
    world.call(
        LEFT,
        Syscall::Send as u16,
        &[id, descriptor.0, 0, POOL, 0, 0, 0, 0],
    );
    assert_eq!(world.runs(), SERVER);
}

fn reply_receive(world: &mut World, to: TaskId, descriptor: u64, mask: u64) {
    let arguments = [to.0, descriptor, 0, mask, TaskId::ANY.0, 0, 0];
    world.call(SERVER, Syscall::ReplyReceive as u16, &arguments);
}

#[test]
fn a_reply_reaches_its_caller_and_the_server_goes_on() {
    let mut world = called(64);
    world.set_payload(SERVER, pattern(5));
    world.reply(SERVER, world.id(LEFT), ReplyDescriptor::new(17, 24).0, 0);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.state(LEFT), State::Runnable);
    assert_eq!((world.code(LEFT), world.x(LEFT, 9)), (Code(17), 24));
    assert_eq!(world.payload(LEFT), pattern(5));
}

#[test]
fn reply_receive_switches_to_the_caller() {
    let mut world = called(64);
    world.set_payload(SERVER, pattern(6));
    let left = world.id(LEFT);
    reply_receive(&mut world, left, ReplyDescriptor::new(0, 64).0, 0);
    assert_eq!(world.runs(), LEFT);
    assert_eq!(world.payload(LEFT), pattern(6));
    assert_eq!(world.state(SERVER), State::Receiving);
}

#[test]
fn reply_receive_takes_the_next_message_first() {
    let mut world = called(64);
    world.run_server_aside();
    world.only(RIGHT);
    world.send_pattern(RIGHT, SERVER, 2);
    world.wake_server();
    let left = world.id(LEFT);
    reply_receive(&mut world, left, ReplyDescriptor::new(0, 0).0, 0);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.sender(SERVER), world.id(RIGHT));
    assert_eq!(world.state(LEFT), State::Runnable);
}

#[test]
fn a_caller_resumed_queues_behind_its_ready_equals() {
    // RIGHT is ready all the time, and never ran.
    let mut world = World::waiting_down_to(LEFT);
    call_server(&mut world, 64);
    let left = world.id(LEFT);
    reply_receive(&mut world, left, ReplyDescriptor::new(0, 0).0, 0);
    assert_eq!(world.runs(), RIGHT);
}

#[test]
fn long_replies_are_copied() {
    let mut world = called(300);
    world.memory(SERVER, STACK, 300).fill(0x77);
    world.reply(
        SERVER,
        world.id(LEFT),
        ReplyDescriptor::new(0, 300).0,
        STACK,
    );
    assert!(
        world
            .memory(LEFT, POOL, 300)
            .iter()
            .all(|byte| *byte == 0x77)
    );
    assert_eq!(world.memory(LEFT, POOL + 300, 1), &[0]);
    assert_eq!(world.x(LEFT, 9), 300);
}

#[test]
fn a_reply_nobody_waits_for_does_nothing() {
    let mut world = called(64);
    let left = world.id(LEFT);
    world.reply(SERVER, left, ReplyDescriptor::new(1, 0).0, 0);
    world.reply(SERVER, left, ReplyDescriptor::new(2, 0).0, 0);
    world.reply(SERVER, world.id(RIGHT), ReplyDescriptor::new(2, 0).0, 0);
    world.reply(
        SERVER,
        TaskId::new(LEFT as u8, 99),
        ReplyDescriptor::new(2, 0).0,
        0,
    );
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.code(LEFT), Code(1));
}

#[test]
fn only_the_server_called_can_reply() {
    let mut world = called(64);
    world.run_server_aside();
    world.only(RIGHT);
    world.reply(RIGHT, world.id(LEFT), ReplyDescriptor::new(3, 0).0, 0);
    assert_eq!(world.state(LEFT), State::AwaitingReply);
}

#[test]
fn wrong_replies_fault_the_server_and_the_caller_gets_dead() {
    let code = |code| ReplyDescriptor::new(code, 0).0;
    let cases = [
        (code(Code::DEAD.0), 0, FaultKind::SyscallUsage),
        (code(u32::MAX), 0, FaultKind::SyscallUsage),
        (1 << 48, 0, FaultKind::SyscallUsage),
        (
            ReplyDescriptor::new(0, 4097).0,
            POOL,
            FaultKind::SyscallUsage,
        ),
        (ReplyDescriptor::new(0, 33).0, 0, FaultKind::ReplyTooLong),
        (ReplyDescriptor::new(0, 65).0, POOL, FaultKind::ReplyTooLong),
        (ReplyDescriptor::new(0, 65).0, DEVICE, FaultKind::BadSlice),
    ];
    for (descriptor, address, kind) in cases {
        let mut world = called(32);
        world.reply(SERVER, world.id(LEFT), descriptor, address);
        assert_eq!(world.fault(SERVER), kind, "{descriptor:x}");
        assert_eq!(world.code(LEFT), Code::DEAD);
        assert_eq!(world.state(LEFT), State::Runnable);
    }
}

#[test]
fn the_highest_server_code_passes() {
    let mut world = called(0);
    world.reply(
        SERVER,
        world.id(LEFT),
        ReplyDescriptor::new(Code::SERVER_LAST, 0).0,
        0,
    );
    assert_eq!(world.code(LEFT), Code(Code::SERVER_LAST));
}

#[test]
fn a_bad_receive_half_leaves_the_caller_without_an_answer() {
    let mut world = called(64);
    let descriptor = ReplyDescriptor::new(0, 0).0;
    let arguments = [world.id(LEFT).0, descriptor, 0, 0, TaskId::ANY.0, CODE, 64];
    world.call(SERVER, Syscall::ReplyReceive as u16, &arguments);
    assert_eq!(world.fault(SERVER), FaultKind::BadSlice);
    assert_eq!(world.code(LEFT), Code::DEAD);
}

fn reply_again(world: &mut World, to: TaskId, descriptor: u64) {
    world.call(SERVER, Syscall::ReplyAgain as u16, &[to.0, descriptor, 0]);
}

#[test]
fn a_reply_again_receives_as_the_last_time() {
    let mut world = called(64);
    let left = world.id(LEFT);
    let buffer = [left.0, 0, 0, 4, TaskId::ANY.0, POOL, 100];
    world.call(SERVER, Syscall::ReplyReceive as u16, &buffer);
    call_server(&mut world, 64);
    world.set_payload(SERVER, pattern(3));
    reply_again(&mut world, left, ReplyDescriptor::new(7, 16).0);
    assert_eq!((world.runs(), world.payload(LEFT)), (LEFT, pattern(3)));
    assert_eq!((world.code(LEFT), world.x(LEFT, 9)), (Code(7), 16));
    assert_eq!(world.state(SERVER), State::Receiving);
    // Its mask, and only that.
    world.post(LEFT, SERVER, 3);
    assert_eq!(
        (world.runs(), world.state(SERVER)),
        (LEFT, State::Receiving)
    );
    world.post(LEFT, SERVER, 4);
    assert_eq!((world.runs(), world.x(SERVER, 9)), (SERVER, 4));
    reply_again(&mut world, left, 0);
    // Its buffer.
    world.memory(LEFT, POOL, 80).fill(0x3c);
    let descriptor = SendDescriptor::new(1, 80, 0, 0).0;
    let arguments = [world.id(SERVER).0, descriptor, POOL, 0, 0, 0, 0, 0];
    world.call(LEFT, Syscall::Send as u16, &arguments);
    assert_eq!(world.memory(SERVER, POOL, 80), [0x3c; 80]);
}

#[test]
fn a_reply_again_is_from_anybody() {
    let mut world = called(64);
    let (left, right) = (world.id(LEFT), world.id(RIGHT));
    let closed = [left.0, 0, 0, 2, left.0, 0, 0];
    world.call(SERVER, Syscall::ReplyReceive as u16, &closed);
    assert_eq!(world.state(SERVER), State::ReceivingFrom);
    call_server(&mut world, 64);
    reply_again(&mut world, left, 0);
    assert_eq!(world.state(SERVER), State::Receiving);
    world.only(RIGHT);
    world.send_pattern(RIGHT, SERVER, 9);
    assert_eq!((world.runs(), world.sender(SERVER)), (SERVER, right));
}

#[test]
fn the_mask_of_a_receive_that_returned_at_once_counts() {
    let mut world = called(64);
    world.post(SERVER, SERVER, 8);
    world.receive(SERVER, 8, TaskId::ANY, 0, 0);
    assert_eq!(world.x(SERVER, 9), 8);
    let left = world.id(LEFT);
    reply_again(&mut world, left, 0);
    world.post(LEFT, SERVER, 8);
    assert_eq!((world.runs(), world.x(SERVER, 9)), (SERVER, 8));
}

#[test]
fn a_reply_again_finds_what_waits() {
    let mut world = called(64);
    let (left, right) = (world.id(LEFT), world.id(RIGHT));
    world.run_server_aside();
    world.only(RIGHT);
    world.send_pattern(RIGHT, SERVER, 9);
    world.wake_server();
    reply_again(&mut world, left, 0);
    assert_eq!((world.runs(), world.sender(SERVER)), (SERVER, right));
    assert_eq!(world.state(LEFT), State::Runnable);
}

#[test]
fn a_new_life_remembers_no_receive() {
    let mut world = called(64);
    let left = world.id(LEFT);
    let buffer = [left.0, 0, 0, 0xff, TaskId::ANY.0, POOL, 100];
    world.call(SERVER, Syscall::ReplyReceive as u16, &buffer);
    world.kill(SERVER);
    world.kernel.start(index(SERVER));
    world.resume();
    assert_eq!(world.runs(), SERVER);
    reply_again(&mut world, left, 0);
    world.only(LEFT);
    world.post(LEFT, SERVER, 0xff);
    assert_eq!(
        (world.runs(), world.state(SERVER)),
        (LEFT, State::Receiving)
    );
    world.memory(LEFT, POOL, 80).fill(0x3c);
    let descriptor = SendDescriptor::new(1, 80, 0, 0).0;
    let arguments = [world.id(SERVER).0, descriptor, POOL, 0, 0, 0, 0, 0];
    world.call(LEFT, Syscall::Send as u16, &arguments);
    assert_eq!(world.runs(), SERVER);
    assert!(
        world
            .memory(SERVER, POOL, 80)
            .iter()
            .all(|byte| *byte != 0x3c)
    );
}

#[test]
fn a_wrong_reply_again_is_the_fault_of_a_wrong_reply() {
    let wrong = [
        (ReplyDescriptor::new(0, 65).0, FaultKind::BadSlice),
        (ReplyDescriptor::new(0, 64).0, FaultKind::ReplyTooLong),
        (1 << 48, FaultKind::SyscallUsage),
        (u64::from(Code::KERNEL_FIRST), FaultKind::SyscallUsage),
    ];
    for (descriptor, kind) in wrong {
        let mut world = called(63);
        let left = world.id(LEFT);
        reply_again(&mut world, left, descriptor);
        assert_eq!((world.fault(SERVER), world.code(LEFT)), (kind, Code::DEAD));
        let fault = world.kernel.task(index(SERVER)).fault();
        assert_eq!(fault.syscall, Syscall::ReplyAgain as u16);
    }
    let mut world = called(63);
    reply_again(&mut world, TaskId(0xff), 0);
    assert_eq!(world.fault(SERVER), FaultKind::SyscallUsage);
    // To one that does not wait for it: no effect, and the receive is made.
    let mut world = called(63);
    let stale = world.id(LEFT).next_life();
    reply_again(&mut world, stale, 0);
    assert_eq!(
        (world.state(SERVER), world.state(LEFT)),
        (State::Receiving, State::AwaitingReply)
    );
}
