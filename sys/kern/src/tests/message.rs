//! Message interrupts: the mask is the kernel's, and one that arrives too often is cut off.

use abi::privileged::Privileged;
use abi::{Code, FaultKind, Rights, Syscall, TaskId, notification};

use plan::kernel::{InterruptClass, InterruptEntry, MessageTablesEntry};

use super::fake::{RAM_BASE, RAM_LEN};
use super::world::*;
use crate::PlanError;

const BIT: u64 = MESSAGE_BIT as u64;
/// As often as the requirement allows (IPC-MSG-3).
const LATE: usize = 250;

/// A system in which DRIVER has a message interrupt, and SERVER owns the translation service.
fn tables() -> Tables {
    let mut tables = Tables::new();
    tables.system[0].translator = SERVER as u32;
    tables.tasks[SERVER].rights = Rights::MESSAGES.bits();
    tables.messages.push(MessageTablesEntry {
        configuration: RAM_BASE + 0x3f_0000,
        pending: RAM_BASE + RAM_LEN,
    });
    tables.interrupts.push(InterruptEntry {
        intid: MESSAGE_INTID,
        task: DRIVER as u32,
        bit: MESSAGE_BIT,
        class: InterruptClass::Message as u32,
    });
    tables
}

fn world() -> World {
    tables().boot().unwrap()
}

fn control(world: &mut World, task: usize, bits: u64, enable: u64) -> u64 {
    world.call(task, Syscall::Interrupt as u16, &[bits, enable]);
    world.x(task, 0)
}

/// The same, whoever runs.
fn control_of(world: &mut World, task: usize, enable: u64) -> u64 {
    let kernel = &mut world.kernel;
    let frame = kernel.task_mut(index(task)).frame_mut();
    (frame.x[8], frame.x[9]) = (BIT, enable);
    let _ = kernel.control_interrupts(index(task)).unwrap();
    world.resume();
    world.x(task, 0)
}

fn pending(world: &World, task: usize) -> u64 {
    world.kernel.task(index(task)).pending()
}

/// The translator's answer to what the kernel wants: the code, what is wanted next, and whether it is to be let through.
fn next(world: &mut World, done: u32) -> (Code, u64, u64) {
    let call = Privileged::NextMessage as u64;
    world.call(SERVER, Syscall::Privileged as u16, &[call, done.into()]);
    (
        Code(world.x(SERVER, 0) as u32),
        world.x(SERVER, 1),
        world.x(SERVER, 2),
    )
}

/// DRIVER's message comes until it is to be cut off, and the translator runs.
fn storm(world: &mut World) {
    for round in 0..LATE {
        world.interrupt(MESSAGE_INTID);
        assert_eq!(world.runs(), DRIVER, "round {round}");
        assert!(!world.kernel.arch().held_messages, "round {round}");
    }
    world.interrupt(MESSAGE_INTID);
    assert_eq!(world.runs(), SERVER);
    assert!(world.kernel.arch().held_messages);
    assert_eq!(world.x(SERVER, 9), u64::from(notification::MESSAGES));
}

/// SERVER waits for what the kernel wants of messages.
fn with_a_translator() -> World {
    let mut world = world().wait_down_to(SERVER);
    world.receive(SERVER, notification::MESSAGES, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), DRIVER);
    world
}

#[test]
fn the_tables_are_given_to_the_machine() {
    let given = (RAM_BASE + 0x3f_0000, RAM_BASE + RAM_LEN);
    assert_eq!(world().kernel.arch().messages, Some(given));
    assert_eq!(World::new().kernel.arch().messages, None);
    let refused = tables().boot_on(|machine| machine.intids = 64);
    assert_eq!(refused.err(), Some(PlanError::Messages));
}

#[test]
fn plans_with_messages_that_must_not_run() {
    type Spoil = fn(&mut Tables);
    let cases: [(Spoil, PlanError); 10] = [
        (
            |t| t.messages[0].configuration = 1 << 48,
            PlanError::Messages,
        ),
        (|t| t.messages[0].pending += 0x1000, PlanError::Messages),
        (|t| t.messages[0].pending -= 0x1_0000, PlanError::Messages),
        (|t| t.messages[0].pending = !0xffff, PlanError::Messages),
        (|t| t.messages[0].pending = 1 << 48, PlanError::Messages),
        (|t| t.messages[0].configuration += 8, PlanError::Messages),
        (|t| t.interrupts[2].intid = 8191, PlanError::Interrupt(2)),
        (|t| t.interrupts[2].intid = 8448, PlanError::Interrupt(2)),
        (
            |t| {
                t.system[0].translator = u32::MAX;
                t.tasks[SERVER].rights = 0;
            },
            PlanError::Messages,
        ),
        (
            |t| {
                t.system[0].translator = 0;
                t.tasks[SERVER].rights = 0;
                t.tasks[0].rights |= Rights::MESSAGES.bits();
            },
            PlanError::Task(0),
        ),
    ];
    for (number, (spoil, error)) in cases.into_iter().enumerate() {
        let mut plan = tables();
        spoil(&mut plan);
        assert_eq!(plan.boot().err(), Some(error), "case {number}");
    }
    let mut plan = tables();
    plan.interrupts[2].intid = 8447;
    assert!(plan.boot().is_ok());
    // The last place that an address can name, and an owner beyond the tasks.
    let mut plan = tables();
    plan.messages[0].pending = (1 << 48) - 0x1_0000;
    assert!(plan.boot().is_ok());
    let mut plan = tables();
    plan.system[0].translator = plan.tasks.len() as u32;
    plan.tasks[SERVER].rights = 0;
    assert_eq!(plan.boot().err(), Some(PlanError::Messages));
}

#[test]
fn a_message_wakes_its_task_once_for_each_time_it_is_let_through() {
    let mut world = world().wait_down_to(DRIVER);
    assert_eq!(control(&mut world, DRIVER, BIT, 1), BIT);
    world.receive(DRIVER, MESSAGE_BIT, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), LEFT);
    world.interrupt(MESSAGE_INTID);
    assert_eq!(world.runs(), DRIVER);
    assert_eq!(
        (world.sender(DRIVER), world.x(DRIVER, 9)),
        (TaskId::KERNEL, BIT)
    );
    // Nothing is held back in the controller, where that could not be done in time.
    assert!(!world.kernel.arch().unmasked.contains_key(&MESSAGE_INTID));
    for _ in 0..3 {
        world.interrupt(MESSAGE_INTID);
    }
    assert_eq!(pending(&world, DRIVER), 0);
    // What came meanwhile is told now, all at once.
    assert_eq!(control(&mut world, DRIVER, BIT, 1), BIT);
    assert_eq!(pending(&world, DRIVER), BIT);
    world.kernel.task_mut(index(DRIVER)).take_bits(BIT);
    // It is masked again, as after any other.
    world.interrupt(MESSAGE_INTID);
    assert_eq!(pending(&world, DRIVER), 0);
    assert_eq!(control(&mut world, DRIVER, BIT, 1), BIT);
    assert_eq!(control(&mut world, DRIVER, BIT, 0), 0);
    world.kernel.task_mut(index(DRIVER)).take_bits(BIT);
    assert_eq!(control(&mut world, DRIVER, BIT, 1), BIT);
    assert_eq!(pending(&world, DRIVER), 0);
    world.interrupt(MESSAGE_INTID);
    assert_eq!(pending(&world, DRIVER), BIT);
}

#[test]
fn nothing_of_a_life_that_is_over_is_told_to_the_next() {
    let mut world = world().wait_down_to(DRIVER);
    control(&mut world, DRIVER, BIT, 1);
    control(&mut world, DRIVER, BIT, 0);
    world.interrupt(MESSAGE_INTID);
    world.crash(DRIVER);
    world.kernel.begin_life(index(DRIVER));
    control_of(&mut world, DRIVER, 1);
    assert_eq!(pending(&world, DRIVER), 0);
    world.interrupt(MESSAGE_INTID);
    assert_eq!(pending(&world, DRIVER), BIT);
}

#[test]
fn a_storm_is_cut_off_and_its_task_is_told() {
    let mut world = with_a_translator();
    storm(&mut world);
    let wanted = u64::from(MESSAGE_INTID);
    assert_eq!(next(&mut world, 0), (Code::OK, wanted, 0));
    assert!(world.kernel.arch().held_messages);
    // Nothing else counts as done.
    assert_eq!(next(&mut world, 8194), (Code::REFUSED, wanted, 0));
    assert_eq!(next(&mut world, 40), (Code::REFUSED, wanted, 0));
    assert_eq!(next(&mut world, MESSAGE_INTID), (Code::OK, 0, 0));
    assert!(!world.kernel.arch().held_messages);
    assert_eq!(next(&mut world, MESSAGE_INTID), (Code::REFUSED, 0, 0));
    world.receive(SERVER, notification::MESSAGES, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), DRIVER);
    // The bit is missing, in this life for good.
    for _ in 0..2 {
        assert_eq!(control(&mut world, DRIVER, BIT, 1), 0);
        assert_eq!((world.runs(), pending(&world, DRIVER)), (DRIVER, 0));
    }
    // Its other interrupt is untouched.
    let both = BIT | u64::from(DRIVER_BIT);
    assert_eq!(control(&mut world, DRIVER, both, 1), u64::from(DRIVER_BIT));
}

#[test]
fn the_next_life_has_it_again() {
    let mut world = with_a_translator();
    storm(&mut world);
    next(&mut world, 0);
    next(&mut world, MESSAGE_INTID);
    world.receive(SERVER, notification::MESSAGES, TaskId::ANY, 0, 0);
    world.crash(DRIVER);
    world.kernel.begin_life(index(DRIVER));
    assert_eq!(control_of(&mut world, DRIVER, 1), BIT);
    world.resume();
    assert_eq!(world.runs(), SERVER);
    let wanted = u64::from(MESSAGE_INTID);
    assert_eq!(next(&mut world, 0), (Code::OK, wanted, 1));
    assert!(!world.kernel.arch().held_messages);
    assert_eq!(next(&mut world, MESSAGE_INTID), (Code::OK, 0, 0));
    world.interrupt(MESSAGE_INTID);
    assert_eq!(pending(&world, DRIVER), BIT);
}

#[test]
fn a_storm_of_a_life_that_is_over_is_cut_off_too() {
    let mut world = with_a_translator();
    world.crash(DRIVER);
    for _ in 0..LATE {
        world.interrupt(MESSAGE_INTID);
    }
    assert!(!world.kernel.arch().held_messages);
    world.interrupt(MESSAGE_INTID);
    assert!(world.kernel.arch().held_messages);
    // The life that follows has nothing to do with it, and has to wait.
    world.kernel.begin_life(index(DRIVER));
    assert_eq!(control_of(&mut world, DRIVER, 1), BIT);
    assert_eq!(world.runs(), SERVER);
    let wanted = u64::from(MESSAGE_INTID);
    assert_eq!(next(&mut world, 0), (Code::OK, wanted, 0));
    assert_eq!(next(&mut world, MESSAGE_INTID), (Code::OK, wanted, 1));
    assert_eq!(next(&mut world, MESSAGE_INTID), (Code::OK, 0, 0));
    world.interrupt(MESSAGE_INTID);
    assert_eq!(pending(&world, DRIVER), BIT);
}

#[test]
fn what_is_wanted_comes_one_after_the_other_and_cuts_come_first() {
    // In all words of the kernel's sets, at their edges.
    let intids = [8192, 8255, 8256, 8447];
    let mut plan = tables();
    plan.interrupts.pop();
    for (intid, bit) in intids.into_iter().zip(18..) {
        plan.interrupts.push(InterruptEntry {
            intid,
            task: DRIVER as u32,
            bit: 1 << bit,
            class: InterruptClass::Message as u32,
        });
    }
    let mut world = plan.boot().unwrap().wait_down_to(SERVER);
    world.receive(SERVER, notification::MESSAGES, TaskId::ANY, 0, 0);
    let storm = |world: &mut World, intid| {
        for _ in 0..=LATE {
            world.interrupt(intid);
        }
    };
    for intid in [8447, 8192, 8256] {
        storm(&mut world, intid);
    }
    assert_eq!(next(&mut world, 0), (Code::OK, 8192, 0));
    assert_eq!(next(&mut world, 8192), (Code::OK, 8256, 0));
    assert_eq!(next(&mut world, 8256), (Code::OK, 8447, 0));
    assert_eq!(next(&mut world, 8447), (Code::OK, 0, 0));
    // The next life has two of them again, and meanwhile another one storms. The first wait ends at once: what was posted
    // for later storms is done already.
    for _ in 0..2 {
        world.receive(SERVER, notification::MESSAGES, TaskId::ANY, 0, 0);
    }
    world.crash(DRIVER);
    world.kernel.begin_life(index(DRIVER));
    world.only(DRIVER);
    for bit in [18, 21] {
        let kernel = &mut world.kernel;
        let frame = kernel.task_mut(index(DRIVER)).frame_mut();
        (frame.x[8], frame.x[9]) = (1 << bit, 1);
        let _ = kernel.control_interrupts(index(DRIVER)).unwrap();
    }
    storm(&mut world, 8255);
    world.resume();
    assert_eq!(world.runs(), SERVER);
    assert_eq!(next(&mut world, 0), (Code::OK, 8255, 0));
    assert_eq!(next(&mut world, 8255), (Code::OK, 8192, 1));
    assert_eq!(next(&mut world, 8447), (Code::OK, 8192, 1));
    assert_eq!(next(&mut world, 8192), (Code::OK, 0, 0));
}

#[test]
fn only_the_translator_may_ask() {
    let mut world = world().wait_down_to(DRIVER);
    let call = Privileged::NextMessage as u64;
    world.call(DRIVER, Syscall::Privileged as u16, &[call, 0]);
    assert_eq!(world.fault(DRIVER), FaultKind::NoRight);
    let mut world = with_a_translator();
    storm(&mut world);
    world.call(SERVER, Syscall::Privileged as u16, &[call, 1 << 32]);
    assert_eq!(world.fault(SERVER), FaultKind::SyscallUsage);
    // Its death lets nothing in.
    assert!(world.kernel.arch().held_messages);
}

#[test]
fn messages_of_nobody_are_dropped() {
    let mut world = world();
    for intid in [8192, 8447, 8448, u32::MAX] {
        world.interrupt(intid);
        assert_eq!(world.runs(), SUPERVISOR);
    }
    assert!(!world.kernel.arch().held_messages);
}
