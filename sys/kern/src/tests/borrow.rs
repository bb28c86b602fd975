//! Borrowing from a lender that waits.

use abi::{Code, FaultKind, Lease, LeaseAttributes, SendDescriptor, Syscall, TaskId};

use super::world::*;

const READ: u16 = Syscall::BorrowRead as u16;
const WRITE: u16 = Syscall::BorrowWrite as u16;

/// LEFT waits for SERVER, which runs, and has lent 256 bytes of its pool for reading and 16 of its
/// stack for writing.
fn lent() -> World {
    let mut world = World::waiting_down_to(LEFT);
    for (offset, byte) in world.memory(LEFT, POOL, 512).iter_mut().enumerate() {
        *byte = offset as u8;
    }
    let first = Lease::new(256, LeaseAttributes::READ).0;
    let second = Lease::new(16, LeaseAttributes::WRITE).0;
    let descriptor = SendDescriptor::new(0, 0, 0, 2).0;
    let id = world.id(SERVER).0;
    let arguments = [id, descriptor, 0, 0, POOL, first, STACK, second];
    world.call(LEFT, Syscall::Send as u16, &arguments);
    world
}

/// As [`lent`], with one lease of the whole pool for both.
fn lent_the_pool() -> World {
    let mut world = World::waiting_down_to(LEFT);
    let lease = Lease::new(POOL_LEN as u32, LeaseAttributes::all()).0;
    let descriptor = SendDescriptor::new(0, 0, 0, 1).0;
    let arguments = [world.id(SERVER).0, descriptor, 0, 0, POOL, lease];
    world.call(LEFT, Syscall::Send as u16, &arguments);
    world
}

fn borrow(world: &mut World, call: u16, lender: TaskId, rest: [u64; 4]) -> Code {
    let [number, offset, local, len] = rest;
    world.call(SERVER, call, &[lender.0, number, offset, local, len]);
    Code(world.x(SERVER, 0) as u32)
}

#[test]
fn reads_and_writes_within_the_lease() {
    let mut world = lent();
    let left = world.id(LEFT);
    assert_eq!(
        borrow(&mut world, READ, left, [0, 100, POOL, 156]),
        Code::OK
    );
    let copied = world.memory(SERVER, POOL, 157).to_vec();
    assert!(
        copied
            .iter()
            .zip(100u8..=255)
            .take(156)
            .all(|(byte, expected)| *byte == expected)
    );
    assert_eq!(copied[156], 0);
    world.memory(SERVER, POOL, 16).fill(9);
    assert_eq!(borrow(&mut world, WRITE, left, [1, 8, POOL, 8]), Code::OK);
    assert_eq!(world.memory(LEFT, STACK, 17)[..8], [0; 8]);
    assert_eq!(
        world.memory(LEFT, STACK, 17)[8..],
        [9, 9, 9, 9, 9, 9, 9, 9, 0]
    );
}

#[test]
fn one_call_copies_4_kib_and_no_more() {
    for (call, from, to) in [(READ, LEFT, SERVER), (WRITE, SERVER, LEFT)] {
        let mut world = lent_the_pool();
        let left = world.id(LEFT);
        world.memory(from, POOL, 4097).fill(7);
        assert_eq!(borrow(&mut world, call, left, [0, 0, POOL, 4096]), Code::OK);
        let copied = world.memory(to, POOL, 4097);
        assert!(copied[..4096].iter().all(|byte| *byte == 7) && copied[4096] == 0);
        borrow(&mut world, call, left, [0, 0, POOL, 4097]);
        assert_eq!(world.fault(SERVER), FaultKind::SyscallUsage);
    }
}

#[test]
fn the_region_used_last_is_looked_at_first() {
    let span = |world: &World| world.kernel.task(index(SERVER)).span().0;
    let mut world = lent_the_pool();
    let left = world.id(LEFT);
    assert_eq!(span(&world), STACK);
    for place in [POOL, STACK] {
        assert_eq!(borrow(&mut world, READ, left, [0, 0, place, 8]), Code::OK);
        assert_eq!(span(&world), place);
    }
    // What may not be written is not remembered, nor is nothing.
    assert_eq!(borrow(&mut world, WRITE, left, [0, 0, CODE, 8]), Code::OK);
    assert_eq!(borrow(&mut world, READ, left, [0, 0, POOL, 0]), Code::OK);
    assert_eq!(span(&world), STACK);
}

#[test]
fn bounds_and_access_of_the_lease_are_codes() {
    let mut world = lent();
    let left = world.id(LEFT);
    for (call, rest, code) in [
        (READ, [0, 256, POOL, 1], Code::LEASE_BOUNDS),
        (READ, [0, 0, POOL, 257], Code::LEASE_BOUNDS),
        (READ, [0, u64::MAX, POOL, 2], Code::LEASE_BOUNDS),
        (READ, [0, 256, POOL, 0], Code::OK),
        (READ, [1, 0, POOL, 1], Code::LEASE_BOUNDS),
        (WRITE, [0, 0, POOL, 1], Code::LEASE_BOUNDS),
        (READ, [2, 0, POOL, 1], Code::NO_LEASE),
        (READ, [u64::MAX, 0, POOL, 1], Code::NO_LEASE),
    ] {
        assert_eq!(borrow(&mut world, call, left, rest), code, "{rest:x?}");
    }
}

#[test]
fn only_a_task_that_waits_for_the_borrower_lends() {
    let mut world = lent();
    let left = world.id(LEFT);
    let right = world.id(RIGHT);
    assert_eq!(
        borrow(&mut world, READ, right, [0, 0, POOL, 1]),
        Code::NO_LEASE
    );
    let stale = TaskId::new(LEFT as u8, 5);
    assert_eq!(borrow(&mut world, READ, stale, [0, 0, POOL, 1]), Code::DEAD);
    world.reply(SERVER, left, 0, 0);
    assert_eq!(
        borrow(&mut world, READ, left, [0, 0, POOL, 1]),
        Code::NO_LEASE
    );
}

#[test]
fn a_lender_that_died_is_dead() {
    let mut world = lent();
    let left = world.id(LEFT);
    world.kill(LEFT);
    assert_eq!(borrow(&mut world, READ, left, [0, 0, POOL, 1]), Code::DEAD);
    let next = world.id(LEFT);
    assert_eq!(
        borrow(&mut world, READ, next, [0, 0, POOL, 1]),
        Code::NO_LEASE
    );
}

#[test]
fn the_borrowers_own_mistakes_fault_it() {
    for (rest, kind) in [
        ([0, 0, DEVICE, 8], FaultKind::BadSlice),
        ([0, 0, CODE, 8], FaultKind::BadSlice),
        ([0, 0, POOL + POOL_LEN, 8], FaultKind::BadSlice),
        ([0, 0, POOL, 65537], FaultKind::SyscallUsage),
    ] {
        let mut world = lent();
        let left = world.id(LEFT);
        borrow(&mut world, READ, left, rest);
        assert_eq!(world.fault(SERVER), kind);
    }
    let mut world = lent();
    borrow(&mut world, READ, TaskId(200), [0, 0, POOL, 8]);
    assert_eq!(world.fault(SERVER), FaultKind::SyscallUsage);
}
