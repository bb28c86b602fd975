//! Ids that name a core which the system has not.

use abi::privileged::Privileged;
use abi::{Code, Lease, LeaseAttributes, SendDescriptor, Syscall, TaskId};

use super::world::*;
use crate::{State, TaskIndex};

/// The ids of the same life on every core that is not there.
fn elsewhere(id: TaskId) -> impl Iterator<Item = TaskId> {
    (1..=0xff).map(move |core: u64| TaskId(id.0 | core << 8))
}

#[test]
fn an_index_is_found_in_an_id() {
    for number in 0..abi::TASKS_MAX {
        let index = TaskIndex::new(number).unwrap();
        assert_eq!(TaskIndex::of(TaskId::new(number as u8, 7)), index);
    }
}

#[test]
fn nobody_there_can_be_called_posted_or_waited_for() {
    let mut world = World::waiting_down_to(LEFT);
    for id in elsewhere(world.id(SERVER)) {
        world.send(LEFT, id, SendDescriptor::new(0, 0, 0, 0));
        assert_eq!((world.runs(), world.code(LEFT)), (LEFT, Code::DEAD));
        world.call(LEFT, Syscall::Post as u16, &[id.0, 1]);
        assert_eq!(world.x(LEFT, 0), u64::from(Code::DEAD.0));
        world.receive(LEFT, 0, id, 0, 0);
        assert_eq!(world.state(LEFT), State::Runnable);
        assert_eq!(world.sender(LEFT), TaskId::KERNEL);
        assert_eq!(world.x(LEFT, 10), u64::from(Code::DEAD.0));
    }
    assert_eq!(world.state(SERVER), State::Receiving);
}

#[test]
fn nobody_there_waits_for_a_reply_or_lends() {
    let mut world = World::waiting_down_to(LEFT);
    world.set_payload(LEFT, pattern(1));
    let lease = Lease::new(256, LeaseAttributes::all()).0;
    let arguments = [world.id(SERVER).0, 1 << 48, 0, 0, POOL, lease];
    world.call(LEFT, Syscall::Send as u16, &arguments);
    assert_eq!(world.runs(), SERVER);
    for id in elsewhere(world.id(LEFT)) {
        world.reply(SERVER, id, 0, 0);
        assert_eq!(world.state(LEFT), State::AwaitingReply);
        for call in [Syscall::BorrowRead, Syscall::BorrowWrite] {
            world.call(SERVER, call as u16, &[id.0, 0, 0, POOL, 1]);
            assert_eq!(world.x(SERVER, 0), u64::from(Code::DEAD.0));
        }
    }
}

#[test]
fn nobody_there_is_held() {
    let mut world = World::waiting_down_to(AUTHORITY);
    for id in elsewhere(world.id(LEFT)) {
        let code = world.privileged(AUTHORITY, Privileged::Hold, &[id.0, 3]);
        assert_eq!(code, Code::DEAD);
    }
    world.privileged(AUTHORITY, Privileged::Enumerate, &[0]);
    assert_eq!(world.x(AUTHORITY, 2), 0);
}
