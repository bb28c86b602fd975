//! Pins: LEFT lends to DRIVER, DRIVER asks AUTHORITY to pin.

use abi::privileged::Privileged;
use abi::{Code, Lease, LeaseAttributes, SendDescriptor, Syscall, TaskId, notification};

use super::world::*;

/// The chain, with AUTHORITY running. LEFT lends all of its pool but the first page for reading, and
/// two pages of its stack.
fn chain() -> World {
    let mut world = World::new();
    world.receive(SUPERVISOR, notification::FAULT, TaskId::ANY, 0, 0);
    for task in [AUTHORITY, SERVER, DRIVER] {
        world.receive(task, 0, TaskId::ANY, 0, 0);
    }
    world.only(LEFT);
    let pool = Lease::new(0x3000, LeaseAttributes::READ).0;
    let stack = Lease::new(0x2000, LeaseAttributes::all()).0;
    let descriptor = SendDescriptor::new(0, 0, 0, 2).0;
    let id = world.id(DRIVER).0;
    let arguments = [id, descriptor, 0, 0, POOL + 0x1000, pool, STACK, stack];
    world.call(LEFT, Syscall::Send as u16, &arguments);
    world.send_pattern(DRIVER, AUTHORITY, 1);
    assert_eq!(world.runs(), AUTHORITY);
    world
}

fn pin(world: &mut World, arguments: [u64; 5]) -> Code {
    world.privileged(AUTHORITY, Privileged::Pin, &arguments)
}

fn ids(world: &World) -> (u64, u64) {
    (world.id(DRIVER).0, world.id(LEFT).0)
}

#[test]
fn the_authority_learns_the_extent() {
    let mut world = chain();
    let (driver, left) = ids(&world);
    let code = pin(&mut world, [driver, left, 7 << 32, 0x1000, 0x2000]);
    assert_eq!(code, Code::OK);
    assert_eq!(world.x(AUTHORITY, 1), 0);
    assert_eq!(world.x(AUTHORITY, 2), physical(LEFT, POOL + 0x2000));
    assert_eq!(
        world.x(AUTHORITY, 3),
        u64::from(LeaseAttributes::READ.bits())
    );
    world.privileged(AUTHORITY, Privileged::Enumerate, &[0]);
    let found: [u64; 7] = core::array::from_fn(|i| world.x(AUTHORITY, i + 1));
    assert_eq!(
        found[1..],
        [2, left, 7, 2, physical(LEFT, POOL + 0x2000), 0x2000]
    );
}

#[test]
fn only_whole_pages_of_a_pool_within_the_lease() {
    let mut world = chain();
    let (driver, left) = ids(&world);
    for (lease, offset, len) in [
        (0, 8, 0x1000),
        (0, 0, 0x800),
        (0, 0, 0),
        (0, 0x3000, 0x1000),
        (0, 0x2000, 0x2000),
        (0, u64::MAX - 0xfff, 0x1000),
        // The stack is no pool.
        (1, 0, 0x1000),
    ] {
        let code = pin(&mut world, [driver, left, lease, offset, len]);
        assert_eq!(code, Code::LEASE_BOUNDS, "{lease} {offset:x} {len:x}");
    }
    for number in [2, 3, 1 << 31, u64::from(u32::MAX)] {
        let code = pin(&mut world, [driver, left, number, 0, 0x1000]);
        assert_eq!(code, Code::NO_LEASE, "{number}");
    }
}

#[test]
fn the_chain_must_hold() {
    let mut world = chain();
    let (driver, left) = ids(&world);
    let right = world.id(RIGHT).0;
    // Not a driver that waits for the caller, not a lender that waits for the driver.
    assert_eq!(pin(&mut world, [right, left, 0, 0, 0x1000]), Code::NO_LEASE);
    assert_eq!(
        pin(&mut world, [driver, right, 0, 0, 0x1000]),
        Code::NO_LEASE
    );
    assert_eq!(
        pin(&mut world, [left, driver, 0, 0, 0x1000]),
        Code::NO_LEASE
    );
    let stale = TaskId::new(DRIVER as u8, 9).0;
    assert_eq!(pin(&mut world, [stale, left, 0, 0, 0x1000]), Code::DEAD);
    let stale = TaskId::new(LEFT as u8, 9).0;
    assert_eq!(pin(&mut world, [driver, stale, 0, 0, 0x1000]), Code::DEAD);
    // A core that the system has not.
    let core = 1 << 8;
    for [driver, lender] in [[driver | core, left], [driver, left | core]] {
        assert_eq!(pin(&mut world, [driver, lender, 0, 0, 0x1000]), Code::DEAD);
    }
    world.reply(AUTHORITY, TaskId(driver), 0, 0);
    assert_eq!(
        pin(&mut world, [driver, left, 0, 0, 0x1000]),
        Code::NO_LEASE
    );
}

#[test]
fn a_pinned_lender_is_held_until_the_last_pin_goes() {
    let mut world = chain();
    let (driver, left) = ids(&world);
    pin(&mut world, [driver, left, 0, 0, 0x1000]);
    pin(&mut world, [driver, left, 0, 0x1000, 0x1000]);
    world.kill(LEFT);
    assert_eq!(world.runs(), AUTHORITY);
    world.receive(AUTHORITY, notification::HELD_DEATH, TaskId::ANY, 0, 0);
    assert_eq!(world.x(AUTHORITY, 9), u64::from(notification::HELD_DEATH));
    world.privileged(AUTHORITY, Privileged::Enumerate, &[0]);
    assert_eq!(world.x(AUTHORITY, 5), 3);
    assert_eq!(
        world.privileged(AUTHORITY, Privileged::Unpin, &[0]),
        Code::OK
    );
    assert_eq!(
        world.privileged(AUTHORITY, Privileged::Unpin, &[0]),
        Code::REFUSED
    );
    assert_eq!(world.runs(), AUTHORITY);
    assert_eq!(
        world.privileged(AUTHORITY, Privileged::Unpin, &[1]),
        Code::OK
    );
    assert_eq!(world.runs(), SUPERVISOR);
}

#[test]
fn slots_are_reused_and_run_out() {
    let mut world = chain();
    let (driver, left) = ids(&world);
    for slot in 0..256 {
        assert_eq!(pin(&mut world, [driver, left, 0, 0, 0x1000]), Code::OK);
        assert_eq!(world.x(AUTHORITY, 1), slot);
    }
    assert_eq!(
        pin(&mut world, [driver, left, 0, 0, 0x1000]),
        Code::EXHAUSTED
    );
    world.privileged(AUTHORITY, Privileged::Unpin, &[200]);
    assert_eq!(pin(&mut world, [driver, left, 0, 0, 0x1000]), Code::OK);
    assert_eq!(world.x(AUTHORITY, 1), 200);
    let (mut cursor, mut count) = (0, 0);
    loop {
        world.privileged(AUTHORITY, Privileged::Enumerate, &[cursor]);
        cursor = world.x(AUTHORITY, 1);
        if cursor == 0 {
            break;
        }
        count += 1;
    }
    assert_eq!(count, 256);
}
