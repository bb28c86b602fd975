//! Notifications from task to task.

use abi::{Code, FaultKind, Syscall, TaskId};
use plan::kernel::PostEntry;

use super::world::*;

fn code(world: &World, task: usize) -> Code {
    Code(world.x(task, 0) as u32)
}

#[test]
fn a_post_to_a_waiting_task_of_higher_priority_switches() {
    let mut world = World::waiting_down_to(SERVER);
    world.receive(SERVER, 0b11, TaskId::ANY, 0, 0);
    world.only(LEFT);
    world.post(LEFT, SERVER, 0b10);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(
        (world.sender(SERVER), world.x(SERVER, 9)),
        (TaskId::KERNEL, 0b10)
    );
    assert_eq!(code(&world, LEFT), Code::OK);
}

#[test]
fn a_post_downhill_or_to_an_equal_does_not_switch() {
    let mut world = World::waiting_down_to(LEFT);
    world.only(RIGHT);
    world.post(RIGHT, LEFT, u64::from(WAKE));
    assert_eq!(world.runs(), RIGHT);
    world.post(RIGHT, LOW, 1);
    assert_eq!(world.runs(), RIGHT);
    world.park();
    assert_eq!(world.runs(), LEFT);
}

#[test]
fn bits_wait_for_a_receive_that_asks_for_them() {
    let mut world = World::waiting_down_to(SERVER);
    world.receive(SERVER, 0b01, TaskId::ANY, 0, 0);
    world.only(LEFT);
    world.post(LEFT, SERVER, 0b10);
    assert_eq!(world.runs(), LEFT);
    world.post(LEFT, SERVER, 0b01);
    assert_eq!(world.x(SERVER, 9), 0b01);
    world.receive(SERVER, 0b10, TaskId::ANY, 0, 0);
    assert_eq!((world.runs(), world.x(SERVER, 9)), (SERVER, 0b10));
}

#[test]
fn a_sender_that_waits_for_a_reply_is_not_disturbed() {
    let mut world = World::waiting_down_to(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.post(SERVER, LEFT, 0xff);
    world.reply(SERVER, world.id(LEFT), 0, 0);
    world.only(LEFT);
    assert_eq!(world.code(LEFT), Code::OK);
    world.receive(LEFT, 0xff, TaskId::ANY, 0, 0);
    assert_eq!(world.x(LEFT, 9), 0xff);
}

#[test]
fn only_granted_bits_can_be_posted() {
    for bits in [0x100, 1 << 16, 1 << 29, 1 << 31, 1 << 32, u64::MAX] {
        let mut world = World::waiting_down_to(LEFT);
        world.post(LEFT, SERVER, bits);
        assert_eq!(world.fault(LEFT), FaultKind::NoRight, "{bits:x}");
    }
    let mut tables = Tables::new();
    tables.tasks[LEFT].post_count = 0;
    let mut world = tables.boot().unwrap();
    world.only(LEFT);
    world.post(LEFT, SERVER, 1);
    assert_eq!(world.fault(LEFT), FaultKind::NoRight);
}

#[test]
fn a_grant_is_for_one_task_and_all_its_entries_count() {
    let mut tables = Tables::new();
    let first = tables.tasks[LEFT].posts as usize;
    let grants = [(SERVER, 0b011), (SERVER, 0b110), (RIGHT, 0b1000)];
    tables.tasks[LEFT].post_count = grants.len() as u32;
    for (number, (to, bits)) in grants.into_iter().enumerate() {
        tables.posts[first + number] = PostEntry {
            to: to as u32,
            bits,
        };
    }
    for bits in [0b1, 0b10, 0b100, 0b111] {
        let mut world = tables.boot().unwrap();
        world.only(LEFT);
        world.post(LEFT, SERVER, bits);
        assert_eq!(code(&world, LEFT), Code::OK, "{bits:b}");
        assert_eq!(world.kernel.task(index(LEFT)).grant().1, 0b111);
    }
    let mut world = tables.boot().unwrap();
    world.only(LEFT);
    world.post(LEFT, SERVER, 0b1000);
    assert_eq!(world.fault(LEFT), FaultKind::NoRight);
}

#[test]
fn a_grant_is_kept_for_the_fast_path_unless_a_fault_is_armed() {
    for armed in [false, true] {
        let mut world = World::waiting_down_to(LEFT);
        let before = world.kernel.task(index(LEFT)).grant();
        if armed {
            world.kernel.task_mut(index(LEFT)).arm(9);
        }
        world.post(LEFT, SERVER, 1);
        let kept = (world.id(SERVER).0, 0xff);
        assert_eq!(world.kernel.task(index(LEFT)).grant() == kept, !armed);
        assert_ne!(before, kept);
    }
}

#[test]
fn posts_to_the_dead_say_so() {
    let mut world = World::waiting_down_to(LEFT);
    let old = world.id(SERVER).0;
    world.kill(SERVER);
    world.only(LEFT);
    world.call(LEFT, Syscall::Post as u16, &[old, 1]);
    assert_eq!(code(&world, LEFT), Code::DEAD);
    world.post(LEFT, SERVER, 1);
    assert_eq!(code(&world, LEFT), Code::DOWN);
    world.retire(SERVER);
    world.post(LEFT, SERVER, 1);
    assert_eq!(code(&world, LEFT), Code::RETIRED);
}

#[test]
fn a_target_out_of_range_is_a_fault() {
    let mut world = World::waiting_down_to(LEFT);
    world.call(LEFT, Syscall::Post as u16, &[COUNT as u64, 1]);
    assert_eq!(world.fault(LEFT), FaultKind::SyscallUsage);
}
