//! Sending.

use abi::{Code, FaultKind, Lease, LeaseAttributes, SendDescriptor, Syscall, TaskId};

use super::world::*;
use crate::State;

fn read_lease(len: u32) -> u64 {
    Lease::new(len, LeaseAttributes::READ).0
}

/// A send with everything given.
fn send_raw(world: &mut World, from: usize, arguments: [u64; 8]) {
    world.call(from, Syscall::Send as u16, &arguments);
}

#[test]
fn a_waiting_server_gets_the_message_and_the_processor() {
    let mut world = World::waiting_down_to(LEFT);
    world.send_pattern(LEFT, SERVER, 7);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.sender(SERVER), world.id(LEFT));
    assert_eq!(world.x(SERVER, 9), SendDescriptor::new(7, 64, 64, 0).0);
    assert_eq!(world.payload(SERVER), pattern(7));
    assert_eq!(
        (
            world.x(SERVER, 10),
            world.x(SERVER, 12),
            world.x(SERVER, 13)
        ),
        (0, 0, 0)
    );
    assert_eq!(world.state(LEFT), State::AwaitingReply);
}

#[test]
fn queued_senders_come_by_priority_and_equals_in_order() {
    // RIGHT before LEFT although its index is larger; LOW sent first of all.
    let mut world = World::waiting_down_to(SERVER);
    world.run_server_aside();
    for sender in [LOW, RIGHT, LEFT, DRIVER] {
        world.only(sender);
        world.send_pattern(sender, SERVER, sender as u64);
        assert_eq!(world.state(sender), State::Sending);
    }
    world.wake_server();
    for expected in [DRIVER, RIGHT, LEFT, LOW] {
        world.receive(SERVER, 0, TaskId::ANY, 0, 0);
        assert_eq!(world.sender(SERVER), world.id(expected));
        assert_eq!(world.payload(SERVER), pattern(expected as u64));
        assert_eq!(world.runs(), SERVER);
    }
}

#[test]
fn a_long_message_is_copied_and_cut_at_the_buffer() {
    for (capacity, arrives) in [(4096u64, 200u64), (200, 200), (100, 100), (0, 0)] {
        let mut world = World::waiting_down_to(SERVER);
        let buffer = if capacity == 0 { 0 } else { STACK + 0x100 };
        world.receive(SERVER, 0, TaskId::ANY, buffer, capacity);
        world.only(LEFT);
        world.memory(LEFT, POOL + 3, 200).fill(0xab);
        world.memory(SERVER, STACK + 0x100, 4096).fill(0);
        let descriptor = SendDescriptor::new(1, 200, 0, 0);
        let id = world.id(SERVER).0;
        send_raw(
            &mut world,
            LEFT,
            [id, descriptor.0, POOL + 3, 0, 0, 0, 0, 0],
        );
        assert_eq!(world.runs(), SERVER);
        assert_eq!(SendDescriptor(world.x(SERVER, 9)).len(), 200);
        let copied = world.memory(SERVER, STACK + 0x100, 4096);
        assert_eq!(
            copied.iter().filter(|byte| **byte == 0xab).count() as u64,
            arrives
        );
    }
}

#[test]
fn a_queued_long_message_is_copied_at_the_receive() {
    let mut world = World::waiting_down_to(SERVER);
    world.run_server_aside();
    world.only(LEFT);
    world.memory(LEFT, POOL, 4096).fill(0x5a);
    let descriptor = SendDescriptor::new(1, 4096, 0, 0);
    let id = world.id(SERVER).0;
    send_raw(&mut world, LEFT, [id, descriptor.0, POOL, 0, 0, 0, 0, 0]);
    world.wake_server();
    world.receive(SERVER, 0, TaskId::ANY, STACK, 4096);
    assert!(
        world
            .memory(SERVER, STACK, 4096)
            .iter()
            .all(|byte| *byte == 0x5a)
    );
}

#[test]
fn leases_are_delivered_with_their_descriptors() {
    let mut world = World::waiting_down_to(LEFT);
    let descriptor = SendDescriptor::new(1, 0, 0, 2);
    let write = Lease::new(16, LeaseAttributes::WRITE).0;
    let id = world.id(SERVER).0;
    let arguments = [id, descriptor.0, 0, 0, POOL, read_lease(64), STACK, write];
    send_raw(&mut world, LEFT, arguments);
    assert_eq!(
        (world.x(SERVER, 12), world.x(SERVER, 13)),
        (read_lease(64), write)
    );
}

#[test]
fn stale_and_down_targets_answer_at_once() {
    let mut world = World::waiting_down_to(LEFT);
    let old = world.id(DRIVER);
    world.kill(DRIVER);
    world.only(LEFT);
    world.set_payload(LEFT, pattern(9));
    world.send(LEFT, old, SendDescriptor::new(0, 0, 0, 0));
    assert_eq!(
        (world.runs(), world.code(LEFT), world.x(LEFT, 9)),
        (LEFT, Code::DEAD, 0)
    );
    world.send(LEFT, world.id(DRIVER), SendDescriptor::new(0, 0, 0, 0));
    assert_eq!(world.code(LEFT), Code::DOWN);
    assert_eq!(world.payload(LEFT), pattern(9));
    world.retire(DRIVER);
    world.only(LEFT);
    world.send(LEFT, world.id(DRIVER), SendDescriptor::new(0, 0, 0, 0));
    assert_eq!(world.code(LEFT), Code::RETIRED);
}

const SHORT: u64 = SendDescriptor::new(0, 0, 0, 0).0;

/// The registers of a send from `x9` on, and the fault that it is.
const MALFORMED: [([u64; 7], FaultKind); 13] = [
    ([SHORT | 1 << 51, 0, 0, 0, 0, 0, 0], FaultKind::SyscallUsage),
    ([SHORT | 1 << 63, 0, 0, 0, 0, 0, 0], FaultKind::SyscallUsage),
    (
        [SendDescriptor::new(0, 4097, 0, 0).0, POOL, 0, 0, 0, 0, 0],
        FaultKind::SyscallUsage,
    ),
    (
        [SendDescriptor::new(0, 0, 4097, 0).0, 0, POOL, 0, 0, 0, 0],
        FaultKind::SyscallUsage,
    ),
    ([3 << 48, 0, 0, POOL, 0, POOL, 0], FaultKind::SyscallUsage),
    (
        [SendDescriptor::new(0, 65, 0, 0).0, 0x1000, 0, 0, 0, 0, 0],
        FaultKind::BadSlice,
    ),
    (
        [SendDescriptor::new(0, 65, 0, 0).0, DEVICE, 0, 0, 0, 0, 0],
        FaultKind::BadSlice,
    ),
    // Across the end of a region.
    (
        [
            SendDescriptor::new(0, 65, 0, 0).0,
            POOL + POOL_LEN - 64,
            0,
            0,
            0,
            0,
            0,
        ],
        FaultKind::BadSlice,
    ),
    (
        [
            SendDescriptor::new(0, 65, 0, 0).0,
            u64::MAX - 3,
            0,
            0,
            0,
            0,
            0,
        ],
        FaultKind::BadSlice,
    ),
    // A reply buffer in code.
    (
        [SendDescriptor::new(0, 0, 65, 0).0, 0, CODE, 0, 0, 0, 0],
        FaultKind::BadSlice,
    ),
    (
        [
            SendDescriptor::new(0, 0, 0, 1).0,
            0,
            0,
            CODE,
            1 << 33 | 8,
            0,
            0,
        ],
        FaultKind::BadSlice,
    ),
    (
        [SendDescriptor::new(0, 0, 0, 1).0, 0, 0, POOL, 1 << 34, 0, 0],
        FaultKind::SyscallUsage,
    ),
    (
        [
            SendDescriptor::new(0, 0, 0, 2).0,
            0,
            0,
            POOL,
            8,
            DEVICE,
            1 << 32 | 8,
        ],
        FaultKind::BadSlice,
    ),
];

#[test]
fn malformed_sends_fault_the_sender() {
    for (arguments, kind) in MALFORMED {
        let mut world = World::waiting_down_to(LEFT);
        let mut all = [0; 8];
        all[0] = world.id(SERVER).0;
        all[1..].copy_from_slice(&arguments);
        send_raw(&mut world, LEFT, all);
        assert_eq!(world.fault(LEFT), kind, "{arguments:x?}");
        assert_eq!(world.state(SERVER), State::Receiving);
    }
}

#[test]
fn rights_decide_who_may_be_sent_to() {
    for target in [LEFT, RIGHT, LOW] {
        let mut world = World::waiting_down_to(LEFT);
        world.send(LEFT, world.id(target), SendDescriptor::new(0, 0, 0, 0));
        assert_eq!(world.fault(LEFT), FaultKind::NoRight);
    }
    for target in [COUNT as u64, 63, 64, 255, 64 + SERVER as u64] {
        let mut world = World::waiting_down_to(LEFT);
        world.send(LEFT, TaskId(target), SendDescriptor::new(0, 0, 0, 0));
        assert_eq!(world.fault(LEFT), FaultKind::SyscallUsage, "{target}");
    }
}

/// What lies in the registers of leases that a message does not have is nobody's matter.
#[test]
fn registers_of_leases_that_are_not_there_are_not_looked_at() {
    let valid = Lease::new(64, LeaseAttributes::READ).0;
    for (leases, first) in [(0, (u64::MAX, u64::MAX)), (1, (STACK, valid))] {
        let mut world = World::waiting_down_to(LEFT);
        let descriptor = SendDescriptor::new(1, 0, 0, leases);
        let to = world.id(SERVER).0;
        let words = [to, descriptor.0, 0, 0, first.0, first.1, u64::MAX, u64::MAX];
        world.call(LEFT, Syscall::Send as u16, &words);
        assert_eq!(world.state(LEFT), State::AwaitingReply, "{leases} leases");
    }
}
