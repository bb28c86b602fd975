//! Death in every state, and what comes after.

use abi::privileged::Privileged;
use abi::{Code, FaultKind, Syscall, TaskId, notification};
use plan::kernel::{LifeEvent, ListenerEntry};

use super::world::*;
use crate::State;

const FAULT: u64 = notification::FAULT as u64;

#[test]
fn the_supervisor_is_told_and_reads_why() {
    let mut world = World::new();
    world.receive(SUPERVISOR, notification::FAULT, TaskId::ANY, 0, 0);
    world.only(LEFT);
    let frame = world.kernel.task_mut(index(LEFT)).frame_mut();
    (frame.pc, frame.sp) = (CODE + 8, STACK_TOP - 32);
    let kind = FaultKind::MemoryAccess;
    world.running = world
        .kernel
        .exception(index(LEFT), kind, 0x1234, 0x9200_0046);
    assert_eq!((world.runs(), world.x(SUPERVISOR, 9)), (SUPERVISOR, FAULT));
    let code = world.privileged(SUPERVISOR, Privileged::Status, &[LEFT as u64]);
    assert_eq!(code, Code::OK);
    let words: [u64; 7] = core::array::from_fn(|i| world.x(SUPERVISOR, i + 1));
    let id = TaskId::new(LEFT as u8, 1).0;
    let kind = FaultKind::MemoryAccess as u64 | 0xffff << 16;
    assert_eq!(
        words,
        [id, 2, kind, 0x1234, CODE + 8, STACK_TOP - 32, 0x9200_0046]
    );
}

#[test]
fn a_fault_below_the_stack_is_called_an_overflow() {
    for (address, expected) in [
        (STACK - 8, FaultKind::StackOverflow),
        (STACK - 4096, FaultKind::StackOverflow),
        (STACK - 4097, FaultKind::MemoryAccess),
        (STACK, FaultKind::MemoryAccess),
        (0, FaultKind::MemoryAccess),
        (u64::MAX, FaultKind::MemoryAccess),
    ] {
        let mut world = World::waiting_down_to(LEFT);
        let kind = FaultKind::MemoryAccess;
        world.running = world.kernel.exception(index(LEFT), kind, address, 0);
        assert_eq!(world.fault(LEFT), expected, "{address:x}");
    }
    // Only an access that is not permitted is one.
    for kind in [FaultKind::BusError, FaultKind::InstructionFetch] {
        let mut world = World::waiting_down_to(LEFT);
        world.running = world.kernel.exception(index(LEFT), kind, STACK - 8, 0);
        assert_eq!(world.fault(LEFT), kind);
    }
}

#[test]
fn callers_of_a_dead_server_get_dead_queued_or_not() {
    let mut world = World::waiting_down_to(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.run_server_aside();
    world.only(RIGHT);
    world.send_pattern(RIGHT, SERVER, 2);
    assert_eq!(world.state(RIGHT), State::Sending);
    world.kill(SERVER);
    for caller in [LEFT, RIGHT] {
        assert_eq!(world.state(caller), State::Runnable);
        assert_eq!((world.code(caller), world.x(caller, 9)), (Code::DEAD, 0));
    }
}

#[test]
fn a_dead_sender_leaves_its_queue() {
    let mut world = World::waiting_down_to(SERVER);
    world.run_server_aside();
    world.only(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    world.kill(LEFT);
    world.wake_server();
    world.receive(SERVER, 0, TaskId::ANY, 0, 0);
    assert_eq!(world.state(SERVER), State::Receiving);
}

#[test]
fn a_closed_receive_ends_when_its_sender_dies() {
    let mut world = World::waiting_down_to(SERVER);
    world.receive(SERVER, 0, world.id(LEFT), 0, 0);
    world.only(LEFT);
    world.crash(LEFT);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.sender(SERVER), TaskId::KERNEL);
    assert_eq!(
        (world.x(SERVER, 9), world.x(SERVER, 10)),
        (0, u64::from(Code::DEAD.0))
    );
}

#[test]
fn replies_to_the_dead_and_to_their_next_lives_do_nothing() {
    let mut world = World::waiting_down_to(LEFT);
    world.send_pattern(LEFT, SERVER, 1);
    let old = world.id(LEFT);
    world.kill(LEFT);
    world.reply(SERVER, old, 5, 0);
    world.kernel.start(index(LEFT));
    world.reply(SERVER, old, 5, 0);
    assert_eq!(world.runs(), SERVER);
    assert_eq!(world.x(LEFT, 8), 0);
}

#[test]
fn a_new_life_starts_clean() {
    let mut world = World::waiting_down_to(LEFT);
    world.set_payload(LEFT, pattern(3));
    world.post(LEFT, LEFT, 0x0f);
    world.call(LEFT, Syscall::Timer as u16, &[2000]);
    world.crash(LEFT);
    assert_eq!(world.id(LEFT).generation(), 1);
    world.kernel.start(index(LEFT));
    assert_eq!(world.id(LEFT).generation(), 1);
    let frame = *world.frame(LEFT);
    assert_eq!((frame.x, frame.pc, frame.sp), ([0; 31], CODE, STACK_TOP));
    world.kernel.arch_mut().now = 3000;
    world.running = world.kernel.timer_interrupt(world.running);
    world.only(LEFT);
    world.receive(LEFT, u32::MAX, TaskId::ANY, 0, 0);
    assert_eq!(world.state(LEFT), State::Receiving);
}

#[test]
fn dependants_are_told_of_a_restart_and_not_of_the_boot() {
    let mut world = World::waiting_down_to(DRIVER);
    world.receive(DRIVER, notification::PEER, TaskId::ANY, 0, 0);
    assert_eq!(world.state(DRIVER), State::Receiving);
    world.kill(SERVER);
    world.kernel.start(index(SERVER));
    world.resume();
    world.receive(SERVER, 0, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), DRIVER);
    assert_eq!(world.x(DRIVER, 9), u64::from(notification::PEER));
}

#[test]
fn dependants_are_told_once_that_a_peer_will_not_come_back() {
    for stopped_before in [false, true] {
        let mut world = World::new();
        for _ in 0..DRIVER {
            world.park();
        }
        world.receive(DRIVER, notification::PEER, TaskId::ANY, 0, 0);
        let stop = |world: &mut World, for_good| {
            world.only(SUPERVISOR);
            let stop = Privileged::Stop;
            let code = world.privileged(SUPERVISOR, stop, &[SERVER as u64, for_good]);
            assert_eq!(code, Code::OK);
            world.park();
        };
        if stopped_before {
            stop(&mut world, 0);
            assert_eq!(world.state(DRIVER), State::Receiving, "it may come back");
        }
        stop(&mut world, 1);
        world.only(DRIVER);
        assert_eq!(world.x(DRIVER, 9), u64::from(notification::PEER));
        world.receive(DRIVER, notification::PEER | WAKE, TaskId::ANY, 0, 0);
        stop(&mut world, 1);
        assert_eq!(world.state(DRIVER), State::Receiving, "it was told");
    }
}

/// LEFT and LOW hear of each end of a life of DRIVER, and RIGHT of what the supervisor hears of otherwise.
fn with_other_listeners() -> World {
    let mut tables = Tables::new();
    let first = tables.listeners.len() as u32;
    let listener = |event: LifeEvent, to: usize| ListenerEntry {
        event: event as u32,
        to: to as u32,
        bits: notification::PEER,
    };
    let own = [
        listener(LifeEvent::Down, LEFT),
        listener(LifeEvent::Down, LOW),
        listener(LifeEvent::Fault, RIGHT),
        listener(LifeEvent::HeldDeath, RIGHT),
    ];
    tables.listeners.extend(own);
    let driver = &mut tables.tasks[DRIVER];
    (driver.listeners, driver.listener_count) = (first, own.len() as u32);
    let mut world = tables.boot().unwrap();
    for task in 0..COUNT {
        let mask = notification::LIVES | WAKE;
        world.receive(task, mask, TaskId::ANY, 0, 0);
    }
    world
}

#[test]
fn who_hears_of_a_life_is_what_the_plan_says() {
    let end = |end: fn(&mut World)| {
        let mut world = with_other_listeners();
        end(&mut world);
        let woken = |task: &usize| world.state(*task) == State::Runnable;
        (0..COUNT).filter(woken).collect::<std::vec::Vec<_>>()
    };
    let crash = |world: &mut World| {
        world.only(DRIVER);
        world.crash(DRIVER);
    };
    assert_eq!(end(crash), [LEFT, RIGHT, LOW]);
    let held = end(|world| {
        world.kernel.add_hold(index(DRIVER));
        world.only(DRIVER);
        world.crash(DRIVER);
    });
    assert_eq!(held, [LEFT, RIGHT, LOW]);
    let stopped = end(|world| {
        world.only(SUPERVISOR);
        world.privileged(SUPERVISOR, Privileged::Stop, &[DRIVER as u64, 0]);
        world.park();
    });
    assert_eq!(
        stopped,
        [LEFT, LOW],
        "a stop is no news to whoever hears of faults"
    );
}

#[test]
fn refresh_tells_id_and_whether_it_is_up() {
    let mut world = World::waiting_down_to(LEFT);
    let mut refresh = |prepare: fn(&mut World)| {
        prepare(&mut world);
        world.only(LEFT);
        world.call(LEFT, Syscall::Refresh as u16, &[SERVER as u64]);
        (
            TaskId(world.x(LEFT, 0)).generation(),
            Code(world.x(LEFT, 1) as u32),
        )
    };
    assert_eq!(refresh(|_| ()), (0, Code::OK));
    assert_eq!(refresh(|world| world.kill(SERVER)), (1, Code::DOWN));
    assert_eq!(refresh(|world| world.retire(SERVER)), (1, Code::RETIRED));
    world.call(LEFT, Syscall::Refresh as u16, &[COUNT as u64]);
    assert_eq!(world.fault(LEFT), FaultKind::SyscallUsage);
}

#[test]
fn a_panic_keeps_where_its_text_is() {
    let mut world = World::waiting_down_to(LEFT);
    world.call(LEFT, Syscall::Panic as u16, &[STACK + 4, 17]);
    let fault = world.kernel.task(index(LEFT)).fault();
    assert_eq!(
        (fault.kind, fault.address, fault.detail),
        (FaultKind::Panic, STACK + 4, 17)
    );
}

#[test]
fn an_undefined_call_is_a_fault() {
    for number in [13, 15, 17, 0x100, u16::MAX] {
        let mut world = World::waiting_down_to(LEFT);
        world.call(LEFT, number, &[]);
        let fault = world.kernel.task(index(LEFT)).fault();
        assert_eq!(
            (fault.kind, fault.syscall),
            (FaultKind::UndefinedSyscall, number)
        );
    }
}

#[test]
fn the_supervisors_death_ends_the_run() {
    let mut world = World::new();
    world.crash(SUPERVISOR);
    assert!(world.kernel.arch().fatal.is_some());
}

#[test]
fn who_am_i_tells_the_current_life() {
    let mut world = World::waiting_down_to(LEFT);
    world.call(LEFT, Syscall::WhoAmI as u16, &[]);
    assert_eq!(world.x(LEFT, 0), LEFT as u64);
    world.crash(LEFT);
    world.kernel.start(index(LEFT));
    world.only(LEFT);
    world.call(LEFT, Syscall::WhoAmI as u16, &[]);
    assert_eq!(world.x(LEFT, 0), TaskId::new(LEFT as u8, 1).0);
}

#[test]
fn the_dead_get_no_notifications() {
    let mut world = World::waiting_down_to(LEFT);
    world.unmask(DRIVER);
    world.kill(DRIVER);
    world.interrupt(DRIVER_INTID);
    assert_eq!(world.runs(), LEFT);
    world.kernel.start(index(DRIVER));
    world.resume();
    world.receive(DRIVER, u32::MAX, TaskId::ANY, 0, 0);
    assert_eq!(world.state(DRIVER), State::Receiving);
}
