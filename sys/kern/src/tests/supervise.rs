//! The supervisor's calls.

use abi::privileged::{Privileged, TaskState};
use abi::{Code, FaultKind, SendDescriptor, TaskId, notification};

use super::world::*;
use crate::{State, TaskSet};

const FAULT: u32 = notification::FAULT;

#[test]
fn stop_kills_and_restart_starts() {
    let mut world = World::new();
    let stop = world.privileged(SUPERVISOR, Privileged::Stop, &[LEFT as u64, 0]);
    assert_eq!((stop, world.fault(LEFT)), (Code::OK, FaultKind::Stopped));
    assert_eq!(world.state(LEFT), State::Down);
    let restart = world.privileged(SUPERVISOR, Privileged::Restart, &[LEFT as u64]);
    assert_eq!((restart, world.state(LEFT)), (Code::OK, State::Runnable));
    let again = world.privileged(SUPERVISOR, Privileged::Restart, &[LEFT as u64]);
    assert_eq!(again, Code::REFUSED);
    // What it did itself it is not told.
    world.receive(SUPERVISOR, FAULT, TaskId::ANY, 0, 0);
    assert_eq!(world.state(SUPERVISOR), State::Receiving);
}

#[test]
fn a_task_stopped_for_good_does_not_come_back() {
    let mut world = World::waiting_down_to(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.kernel.notify(index(SUPERVISOR), 0);
    world
        .kernel
        .task_mut(index(SUPERVISOR))
        .receive(u64::from(FAULT));
    world.kernel.notify(index(SUPERVISOR), u64::from(FAULT));
    world.resume();
    world.privileged(SUPERVISOR, Privileged::Stop, &[SERVER as u64, 1]);
    assert_eq!(world.code(LEFT), Code::DEAD);
    let code = world.privileged(SUPERVISOR, Privileged::Restart, &[SERVER as u64]);
    assert_eq!(code, Code::REFUSED);
    world.privileged(SUPERVISOR, Privileged::Status, &[SERVER as u64]);
    assert_eq!(world.x(SUPERVISOR, 2), TaskState::Retired as u64);
    world.receive(SUPERVISOR, 0, TaskId::ANY, 0, 0);
    world.only(LEFT);
    world.send(LEFT, world.id(SERVER), SendDescriptor::new(0, 0, 0, 0));
    assert_eq!(world.code(LEFT), Code::RETIRED);
}

#[test]
fn who_can_run_is_ready() {
    let mut world = World::new();
    world.privileged(SUPERVISOR, Privileged::Status, &[LEFT as u64]);
    assert_eq!(world.x(SUPERVISOR, 2), TaskState::Ready as u64);
    world.privileged(SUPERVISOR, Privileged::Status, &[SUPERVISOR as u64]);
    assert_eq!(world.x(SUPERVISOR, 2), TaskState::Ready as u64);
}

#[test]
fn a_stop_in_any_state_frees_the_peers() {
    // Waiting for a reply, queued, receiving.
    let mut world = World::waiting_down_to(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.run_server_aside();
    world.only(RIGHT);
    world.send_pattern(RIGHT, SERVER, 2);
    world
        .kernel
        .task_mut(index(SUPERVISOR))
        .receive(u64::from(FAULT));
    world.kernel.notify(index(SUPERVISOR), u64::from(FAULT));
    world.resume();
    let stop = |world: &mut World, task: usize| {
        let code = world.privileged(SUPERVISOR, Privileged::Stop, &[task as u64, 0]);
        assert_eq!((code, world.state(task)), (Code::OK, State::Down));
    };
    let queued = |world: &World, task: usize| world.kernel.task(index(task)).senders();
    assert_eq!(world.state(LEFT), State::AwaitingReply);
    assert_eq!(queued(&world, SERVER), TaskSet(1 << RIGHT));
    // It may wait itself, in a call to a third.
    assert_eq!(world.state(SERVER), State::AwaitingReply);
    stop(&mut world, SERVER);
    assert!(queued(&world, SERVER).is_empty());
    for (task, seed) in [(LEFT, 1), (RIGHT, 2)] {
        assert_eq!(world.state(task), State::Runnable);
        assert_eq!((world.code(task), world.x(task, 9)), (Code::DEAD, 0));
        assert_eq!(world.payload(task), pattern(seed));
    }
    // Nobody waits for this one, which waits in a receive.
    stop(&mut world, DRIVER);
}

#[test]
fn a_stop_takes_a_sender_out_of_the_queue() {
    let mut world = World::waiting_down_to(SERVER);
    world.run_server_aside();
    for task in [LEFT, RIGHT] {
        world.only(task);
        world.send_pattern(task, SERVER, task as u64);
    }
    let queued = |world: &World| world.kernel.task(index(SERVER)).senders();
    assert_eq!(queued(&world), TaskSet(1 << LEFT | 1 << RIGHT));
    world
        .kernel
        .task_mut(index(SUPERVISOR))
        .receive(u64::from(FAULT));
    world.kernel.notify(index(SUPERVISOR), u64::from(FAULT));
    world.resume();
    world.privileged(SUPERVISOR, Privileged::Stop, &[LEFT as u64, 0]);
    assert_eq!(queued(&world), TaskSet(1 << RIGHT));
    assert_eq!(world.state(RIGHT), State::Sending);
}

#[test]
fn a_stop_frees_those_who_wait_for_a_reply_and_in_a_closed_receive() {
    let mut world = World::waiting_down_to(SERVER);
    world.receive(SERVER, 0, TaskId::ANY, 0, 0);
    world.only(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.receive(SERVER, 0, world.id(RIGHT), 0, 0);
    assert_eq!(
        (world.state(LEFT), world.state(SERVER)),
        (State::AwaitingReply, State::ReceivingFrom)
    );
    world
        .kernel
        .task_mut(index(SUPERVISOR))
        .receive(u64::from(FAULT));
    world.kernel.notify(index(SUPERVISOR), u64::from(FAULT));
    world.resume();
    world.privileged(SUPERVISOR, Privileged::Stop, &[RIGHT as u64, 0]);
    assert_eq!(world.state(SERVER), State::Runnable);
    assert_eq!(world.sender(SERVER), TaskId::KERNEL);
    assert_eq!(world.x(SERVER, 10), u64::from(Code::DEAD.0));
    assert_eq!(world.state(LEFT), State::AwaitingReply);
    world.privileged(SUPERVISOR, Privileged::Stop, &[SERVER as u64, 0]);
    assert_eq!(
        (world.state(LEFT), world.code(LEFT)),
        (State::Runnable, Code::DEAD)
    );
}

#[test]
fn the_supervisor_cannot_stop_itself() {
    let mut world = World::new();
    let code = world.privileged(SUPERVISOR, Privileged::Stop, &[0, 0]);
    assert_eq!((code, world.runs()), (Code::REFUSED, SUPERVISOR));
}

#[test]
fn memory_of_the_dead_can_be_read_and_mistakes_are_refused() {
    let mut world = World::new();
    world
        .memory(LEFT, POOL, 32)
        .copy_from_slice(b"what went wrong is written here.");
    let arguments = [LEFT as u64, POOL, STACK, 32];
    let alive = world.privileged(SUPERVISOR, Privileged::ReadMemory, &arguments);
    assert_eq!(alive, Code::REFUSED);
    world.privileged(SUPERVISOR, Privileged::Stop, &[LEFT as u64, 0]);
    let read = world.privileged(SUPERVISOR, Privileged::ReadMemory, &arguments);
    assert_eq!(read, Code::OK);
    assert_eq!(world.memory(SUPERVISOR, STACK, 9), b"what went");
    for address in [0, DEVICE, POOL + POOL_LEN - 8, u64::MAX - 7] {
        let arguments = [LEFT as u64, address, STACK, 32];
        let code = world.privileged(SUPERVISOR, Privileged::ReadMemory, &arguments);
        assert_eq!(code, Code::REFUSED);
    }
    world.privileged(
        SUPERVISOR,
        Privileged::ReadMemory,
        &[LEFT as u64, POOL, CODE, 32],
    );
    assert_eq!(world.fault(SUPERVISOR), FaultKind::BadSlice);
}

#[test]
fn console_and_exit_reach_the_machine() {
    let mut world = World::new();
    world.memory(SUPERVISOR, STACK, 4).copy_from_slice(b"pass");
    let code = world.privileged(SUPERVISOR, Privileged::Console, &[STACK, 4]);
    assert_eq!(
        (code, world.kernel.arch().console.as_str()),
        (Code::OK, "pass")
    );
    // Nothing, from nowhere.
    for address in [0, STACK, CODE, u64::MAX] {
        let code = world.privileged(SUPERVISOR, Privileged::Console, &[address, 0]);
        assert_eq!(code, Code::OK);
    }
    assert_eq!(world.kernel.arch().console.as_str(), "pass");
    world.privileged(SUPERVISOR, Privileged::Exit, &[3]);
    assert_eq!(world.kernel.arch().verdict, Some(3));
}

#[test]
fn the_console_takes_what_it_has_room_for() {
    let mut world = World::new();
    world.memory(SUPERVISOR, STACK, 4096).fill(b'x');
    for (len, room, written) in [
        (0, 9, 0),
        (4, 9, 4),
        (4, 3, 3),
        (4, 0, 0),
        (32, 100, 32),
        (33, 100, 32),
        (4096, 100, 32),
    ] {
        world.kernel.arch_mut().console_room = room;
        world.kernel.arch_mut().console.clear();
        let code = world.privileged(SUPERVISOR, Privileged::Console, &[STACK, len]);
        assert_eq!((code, world.x(SUPERVISOR, 1)), (Code::OK, written));
        assert_eq!(world.kernel.arch().console.len() as u64, written);
    }
}

#[test]
fn privileged_calls_need_their_right() {
    let calls = [
        Privileged::Status,
        Privileged::Restart,
        Privileged::Stop,
        Privileged::ReadMemory,
        Privileged::Console,
        Privileged::Exit,
        Privileged::ArmFault,
        Privileged::Registers,
    ];
    for call in calls {
        let mut world = World::waiting_down_to(LEFT);
        world.privileged(LEFT, call, &[SERVER as u64, 0, 0, 0]);
        assert_eq!(world.fault(LEFT), FaultKind::NoRight, "{call:?}");
        assert_eq!(world.state(SERVER), State::Receiving);
    }
}

#[test]
fn wrong_arguments_fault() {
    for (call, arguments, kind) in [
        (
            Privileged::Status,
            [COUNT as u64, 0, 0, 0],
            FaultKind::SyscallUsage,
        ),
        (
            Privileged::Restart,
            [u64::MAX, 0, 0, 0],
            FaultKind::SyscallUsage,
        ),
        (Privileged::Stop, [64, 0, 0, 0], FaultKind::SyscallUsage),
        (
            Privileged::Stop,
            [LEFT as u64, 2, 0, 0],
            FaultKind::SyscallUsage,
        ),
        (
            Privileged::Console,
            [STACK, 4097, 0, 0],
            FaultKind::SyscallUsage,
        ),
        (Privileged::Console, [DEVICE, 4, 0, 0], FaultKind::BadSlice),
    ] {
        let mut world = World::new();
        world.privileged(SUPERVISOR, call, &arguments);
        assert_eq!(world.fault(SUPERVISOR), kind, "{call:?}");
    }
    for number in [Privileged::ALL.len() as u64, u64::MAX] {
        let mut world = World::new();
        world.call(SUPERVISOR, abi::Syscall::Privileged as u16, &[number]);
        assert_eq!(world.fault(SUPERVISOR), FaultKind::SyscallUsage);
    }
}
