//! Interrupts as notifications.

use abi::{FaultKind, Syscall, TaskId};

use super::world::*;
use crate::State;

fn control(world: &mut World, task: usize, bits: u64, enable: u64) -> u64 {
    world.call(task, Syscall::Interrupt as u16, &[bits, enable]);
    world.x(task, 0)
}

fn unmasked(world: &World, intid: u32) -> Option<bool> {
    world.kernel.arch().unmasked.get(&intid).copied()
}

#[test]
fn an_interrupt_wakes_its_task_and_is_held_back() {
    let mut world = World::waiting_down_to(DRIVER);
    let bit = u64::from(DRIVER_BIT);
    assert_eq!(control(&mut world, DRIVER, bit, 1), bit);
    assert_eq!(unmasked(&world, DRIVER_INTID), Some(true));
    world.receive(DRIVER, DRIVER_BIT, TaskId::ANY, 0, 0);
    world.interrupt(DRIVER_INTID);
    assert_eq!(world.runs(), DRIVER);
    assert_eq!(
        (world.sender(DRIVER), world.x(DRIVER, 9)),
        (TaskId::KERNEL, bit)
    );
    assert_eq!(unmasked(&world, DRIVER_INTID), Some(false));
    assert_eq!(control(&mut world, DRIVER, bit, 1), bit);
    assert_eq!(unmasked(&world, DRIVER_INTID), Some(true));
}

#[test]
fn an_interrupt_of_a_lower_task_does_not_disturb() {
    let mut world = World::waiting_down_to(SERVER);
    world.kernel.task_mut(index(SERVER)).frame_mut().x[20] = 77;
    world.unmask(DRIVER);
    world.interrupt(DRIVER_INTID);
    assert_eq!((world.runs(), world.x(SERVER, 20)), (SERVER, 77));
}

#[test]
fn an_interrupt_ends_the_idle_state() {
    let mut world = World::waiting_down_to(COUNT - 1);
    world.unmask(SERVER);
    world.receive(LOW, 0, TaskId::ANY, 0, 0);
    assert_eq!(world.running, None);
    world.interrupt(SERVER_INTID);
    assert_eq!(world.running, None);
    assert_eq!(world.state(SERVER), State::Receiving);
    assert_eq!(
        world.kernel.task(index(SERVER)).pending(),
        u64::from(SERVER_BIT)
    );
}

#[test]
fn a_preempted_task_goes_on_before_its_equals() {
    let mut world = World::waiting_down_to(DRIVER);
    world.unmask(DRIVER);
    world.receive(DRIVER, DRIVER_BIT, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), LEFT);
    world.interrupt(DRIVER_INTID);
    assert_eq!(world.runs(), DRIVER);
    world.receive(DRIVER, DRIVER_BIT, TaskId::ANY, 0, 0);
    assert_eq!(world.runs(), LEFT);
}

#[test]
fn only_own_bits_can_be_controlled() {
    for (bits, enable, kind) in [
        (u64::from(SERVER_BIT), 1, FaultKind::NoRight),
        (1, 1, FaultKind::NoRight),
        (1 << 40, 0, FaultKind::NoRight),
        (u64::from(DRIVER_BIT), 2, FaultKind::SyscallUsage),
    ] {
        let mut world = World::waiting_down_to(DRIVER);
        control(&mut world, DRIVER, bits, enable);
        assert_eq!(world.fault(DRIVER), kind);
    }
}

#[test]
fn masking_reports_no_unmasked_bit() {
    let mut world = World::waiting_down_to(DRIVER);
    assert_eq!(control(&mut world, DRIVER, u64::from(DRIVER_BIT), 0), 0);
    assert_eq!(unmasked(&world, DRIVER_INTID), Some(false));
    assert_eq!(control(&mut world, DRIVER, 0, 1), 0);
}

#[test]
fn a_dead_tasks_interrupts_are_held_back() {
    let mut world = World::waiting_down_to(DRIVER);
    control(&mut world, DRIVER, u64::from(DRIVER_BIT), 1);
    world.crash(DRIVER);
    assert_eq!(unmasked(&world, DRIVER_INTID), Some(false));
}

#[test]
fn triggers_come_from_the_plan_and_strangers_are_held_back() {
    let mut world = World::new();
    assert!(!world.kernel.arch().edge[&DRIVER_INTID]);
    assert!(world.kernel.arch().edge[&SERVER_INTID]);
    for intid in [99, 1019, 1020, 8192] {
        world.interrupt(intid);
        assert_eq!(unmasked(&world, intid), Some(false));
        assert_eq!(world.runs(), SUPERVISOR);
    }
}

#[test]
fn what_arrives_while_it_is_masked_is_told_to_nobody() {
    let mut world = World::waiting_down_to(LEFT);
    for (task, intid, bit) in [
        (DRIVER, DRIVER_INTID, DRIVER_BIT),
        (SERVER, SERVER_INTID, SERVER_BIT),
    ] {
        let bits = |world: &World| world.kernel.task(index(task)).pending();
        let edge = world.kernel.arch().edge[&intid];
        let repeated = |world: &World| world.kernel.arch().repeated.contains(&intid);
        // It comes twice: holding it back took effect too late.
        world.unmask(task);
        for (round, again) in [false, true].into_iter().enumerate() {
            world.interrupt(intid);
            assert_eq!(world.runs(), LEFT);
            assert_eq!(bits(&world), u64::from(bit), "round {round}");
            assert_eq!(repeated(&world), again && edge);
            assert_eq!(unmasked(&world, intid), Some(false));
            world
                .kernel
                .task_mut(index(task))
                .take_bits(!u64::from(bit));
        }
        // A third time after its task took the bit, still masked.
        world.kernel.task_mut(index(task)).take_bits(u64::MAX);
        world.interrupt(intid);
        assert_eq!(bits(&world), 0);
        world.unmask(task);
        world.interrupt(intid);
        assert_eq!(bits(&world), u64::from(bit));
    }
}

#[test]
fn an_interrupt_that_the_machine_has_not_got_is_refused() {
    let mut kernel = Tables::new();
    kernel.interrupts[1].intid = 900;
    assert!(kernel.boot().is_ok());
    let refused = kernel.boot_on(|machine| machine.intids = 900);
    assert_eq!(refused.err(), Some(crate::PlanError::Interrupt(1)));
}

#[test]
fn a_core_is_named_by_its_affinities_alone() {
    // Bit 31 is RES1, 30 U and 24 MT.
    assert_eq!(crate::affinity(0x8000_0000), 0);
    assert_eq!(crate::affinity(0x12_c1_03_02_01), 0x12_00_03_02_01);
    assert_eq!(crate::affinity(u64::MAX), 0xff_00ff_ffff);
}
