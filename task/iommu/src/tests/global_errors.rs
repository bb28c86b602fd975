//! Errors that an SMMU reports: what is acknowledged, what is told, and what goes on.

use smmu::Command;
use smmu::command::opcode;
use smmu::registers::{CMDQ_PROD, GERROR, GERRORN};

use super::rig::*;
use crate::hardware::Hardware;
use crate::queue::{CommandQueue, Refused};

const EVENT_INTERRUPT: u32 = 1 << 16;
const ERROR_INTERRUPT: u32 = 1 << 17;

fn said(rig: &Rig, text: &str) -> usize {
    let around = rig.around.borrow();
    around
        .lines
        .iter()
        .filter(|line| line.contains(text))
        .count()
}

fn is_acknowledged(rig: &Rig) -> bool {
    let fake = rig.smmu.0.borrow();
    fake.get(GERROR) == fake.get(GERRORN)
}

/// An MSI that was aborted stops nothing. Each time it is one toggle, one acknowledgement and one line.
#[test]
fn an_error_that_stops_nothing_is_acknowledged_each_time() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    for (number, bit) in [5, 5, 4, 5, 4].into_iter().enumerate() {
        let toggled = rig.smmu.0.borrow().get(GERROR) ^ 1 << bit;
        rig.smmu.0.borrow_mut().set(GERROR, toggled);
        for _ in 0..2 {
            rig.server.take_unmask();
            rig.server.on_interrupt(ERROR_INTERRUPT);
            assert_ne!(rig.server.take_unmask() & ERROR_INTERRUPT, 0);
            assert!(is_acknowledged(&rig), "{number}");
            assert_eq!(said(&rig, "GlobalError"), number + 1);
        }
    }
    assert!(rig.around.borrow().posts.is_empty());
    assert!(rig.reach(0x100, iova).is_some());
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
}

#[test]
fn both_interrupts_at_once_are_both_served() {
    let mut rig = Rig::booted();
    rig.claim(task(4), DISK);
    rig.reach(0x100, BASE);
    rig.server.take_unmask();
    rig.server.on_interrupt(EVENT_INTERRUPT | ERROR_INTERRUPT);
    assert_eq!(rig.server.devices[index(DISK)].faults.total, 1);
    let both = EVENT_INTERRUPT | ERROR_INTERRUPT;
    assert_eq!(rig.server.take_unmask() & both, both);
}

#[test]
fn each_refused_command_is_acknowledged() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    for _ in 0..3 {
        let iova = disk.map_any(&mut rig, 0, 1);
        rig.smmu.0.borrow_mut().behaviour.refuse = [opcode::TLBI_NH_VA].into();
        assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
        assert!(is_acknowledged(&rig));
    }
}

/// The first one is told, wherever in the queue it was: what follows may come of it.
#[test]
fn the_first_refused_command_is_told() {
    let rig = Rig::booted();
    let mut hardware = rig.smmu.clone();
    let entry = plan().smmus[0];
    for before in 0..40 {
        let producer = hardware.read32(CMDQ_PROD);
        let mut queue = CommandQueue::new(entry.command_queue, entry.command_log2, producer);
        for asid in 0..before {
            let command = Command::TlbAsid { asid };
            queue.push(&mut hardware, command).unwrap();
        }
        queue.sync(&mut hardware).unwrap();
        let wrong = Command::TlbAddress {
            asid: 7,
            address: 0x5000,
        };
        rig.smmu.0.borrow_mut().behaviour.refuse =
            [opcode::TLBI_NH_VA, opcode::CFGI_STE_RANGE].into();
        queue.push(&mut hardware, wrong).unwrap();
        let _ = queue.sync(&mut hardware);
        let Some(Refused { command, .. }) = queue.take_refused() else {
            panic!("{before}: nothing is told");
        };
        assert_eq!(command, wrong.encode()[0], "{before}");
        assert_eq!(queue.take_refused(), None);
        rig.smmu.0.borrow_mut().behaviour.refuse.clear();
    }
}

/// There is no room for more commands before those of an earlier life are done.
#[test]
fn what_an_earlier_life_queued_is_done_first() {
    let rig = Rig::booted();
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    let queued: std::vec::Vec<Command> = (1..16).map(|asid| Command::TlbAsid { asid }).collect();
    rig.queue_behind_its_back(&queued);
    let mut fake = rig.smmu.0.borrow_mut();
    (fake.behaviour.stuck, fake.behaviour.slow) = (false, true);
    let before = fake.commands.len();
    drop(fake);
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert!(next.logged("adopted: true"));
    let done = &next.smmu.0.borrow().commands[before..];
    assert!(done.starts_with(&queued), "{done:?}");
}
