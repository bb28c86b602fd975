//! Calls of test images.

use abi::privileged::Privileged;
use abi::{Code, FaultKind, Syscall, TaskId};

use super::world::*;
use crate::fast::{is_call_of_core, is_quiet, is_receive_of_core};

fn arm(world: &mut World, task: usize, calls: u64) -> Code {
    world.privileged(SUPERVISOR, Privileged::ArmFault, &[task as u64, calls])
}

#[test]
fn an_armed_task_dies_at_its_nth_call() {
    for calls in 1..4 {
        let mut world = World::new();
        assert_eq!(arm(&mut world, AUTHORITY, calls), Code::OK);
        world.receive(SUPERVISOR, 0, TaskId::ANY, 0, 0);
        for _ in 1..calls {
            world.call(AUTHORITY, Syscall::WhoAmI as u16, &[]);
            assert_eq!(world.fault(AUTHORITY), FaultKind::None);
        }
        world.call(AUTHORITY, Syscall::WhoAmI as u16, &[]);
        assert_eq!(world.fault(AUTHORITY), FaultKind::Injected);
    }
}

#[test]
fn the_fast_path_sees_an_armed_task() {
    let mut tables = Tables::new();
    // Without its device registers.
    tables.tasks[LEFT].region_count -= 1;
    let mut world = tables.boot().unwrap();
    let fast = |world: &World| {
        let task = world.kernel.task(index(LEFT));
        let slow = task.slow();
        (
            is_call_of_core(slow),
            is_receive_of_core(slow),
            is_quiet(slow),
        )
    };
    let disarmed = fast(&world);
    assert_eq!(disarmed, (false, false, true));
    arm(&mut world, LEFT, 5);
    assert_eq!(fast(&world), (true, true, false));
    arm(&mut world, LEFT, 0);
    assert_eq!(fast(&world), disarmed);
}

#[test]
fn a_new_life_is_not_armed() {
    let mut world = World::new();
    arm(&mut world, LEFT, 1);
    world.privileged(SUPERVISOR, Privileged::Stop, &[LEFT as u64, 0]);
    assert_eq!(arm(&mut world, LEFT, 1), Code::REFUSED);
    world.privileged(SUPERVISOR, Privileged::Restart, &[LEFT as u64]);
    world.only(LEFT);
    world.call(LEFT, Syscall::WhoAmI as u16, &[]);
    assert_eq!(world.fault(LEFT), FaultKind::Stopped);
    assert_eq!(world.x(LEFT, 0), world.id(LEFT).0);
}

#[test]
fn an_armed_reply_and_receive_is_not_left_to_the_fast_path() {
    // Whatever its filter is; this one is no task's, and not `ANY`.
    let mut world = World::waiting_down_to(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.kernel.task_mut(index(SERVER)).arm(1);
    assert_ne!(world.kernel.task(index(SERVER)).slow(), 0);
    let arguments = [world.id(LEFT).0, 0, 0, 0, 0xff, 0, 0];
    world.call(SERVER, Syscall::ReplyReceive as u16, &arguments);
    assert_eq!(world.fault(SERVER), FaultKind::Injected);
}

#[test]
fn registers_of_one_that_died_waiting_are_those_it_kept() {
    for queued in [false, true] {
        let mut world = World::waiting_down_to(if queued { SERVER } else { LEFT });
        if queued {
            world.run_server_aside();
            world.only(LEFT);
        }
        let frame = world.kernel.task_mut(index(LEFT)).frame_mut();
        frame.x = core::array::from_fn(|i| 100 + i as u64);
        (frame.sp, frame.pc) = (131, 132);
        world.send_pattern(LEFT, SERVER, 1);
        world.kernel.task_mut(index(LEFT)).frame_mut().x[20] = 0x57a1e;
        world
            .kernel
            .task_mut(index(SUPERVISOR))
            .receive(u64::from(WAKE));
        world.kernel.notify(index(SUPERVISOR), u64::from(WAKE));
        world.resume();
        world.privileged(SUPERVISOR, Privileged::Stop, &[LEFT as u64, 0]);
        let frame = world.frame(LEFT);
        assert_eq!((frame.x, frame.sp, frame.pc), ([0; 31], 131, 132));
    }
}

#[test]
fn registers_of_the_dead_are_those_it_died_with() {
    let mut world = World::new();
    let frame = world.kernel.task_mut(index(LEFT)).frame_mut();
    frame.x = core::array::from_fn(|i| 100 + i as u64);
    (frame.sp, frame.pc, frame.pstate) = (131, 132, 133);
    let refused = world.privileged(SUPERVISOR, Privileged::Registers, &[LEFT as u64, 0]);
    assert_eq!(refused, Code::REFUSED);
    world.privileged(SUPERVISOR, Privileged::Stop, &[LEFT as u64, 0]);
    for first in [0, 7, 28, 33, 34, u64::MAX] {
        let code = world.privileged(SUPERVISOR, Privileged::Registers, &[LEFT as u64, first]);
        assert_eq!(code, Code::OK);
        let accounts = &world.kernel.accounts;
        let left = accounts.left_of(crate::accounts::AccountIndex::FREE) as u64;
        let expected = |i: u64| match first.saturating_add(i) {
            register @ 0..34 => 100 + register,
            34 => left,
            35 => accounts.paid_until,
            _ => 0,
        };
        let got: [u64; 7] = core::array::from_fn(|i| world.x(SUPERVISOR, i + 1));
        assert_eq!(got, core::array::from_fn(|i| expected(i as u64)), "{first}");
    }
}
