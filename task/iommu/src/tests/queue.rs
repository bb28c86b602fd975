use iommu_api::*;
use smmu::Command;
use smmu::command::opcode;
use smmu::registers::{CMDQ_BASE, CMDQ_CONS, CMDQ_PROD, GERROR, GERRORN};

use super::journal::Did;
use super::rig::*;
use std::vec::Vec;

use crate::hardware::Hardware;
use crate::limits::CONSUMER_LOOKS;
use crate::queue::CommandQueue;

#[test]
fn wraps_and_takes_batches_longer_than_itself() {
    let mut rig = Rig::booted();
    let mut hardware = rig.smmu.clone();
    let entry = plan().smmus[0];
    let producer = rig.smmu.0.borrow().get(smmu::registers::CMDQ_PROD);
    let mut queue = CommandQueue::new(entry.command_queue, entry.command_log2, producer);
    let before = rig.smmu.0.borrow().commands.len();
    for asid in 0..100 {
        queue
            .push(&mut hardware, Command::TlbAsid { asid })
            .unwrap();
    }
    queue.sync(&mut hardware).unwrap();
    let commands = rig.smmu.0.borrow().commands[before..].to_vec();
    assert_eq!(commands.last(), Some(&Command::Sync));
    let asids = commands.iter().filter(|command| **command != Command::Sync);
    for (asid, command) in (0..100).zip(asids) {
        assert_eq!(*command, Command::TlbAsid { asid });
    }
    // Each batch leaves a slot for its CMD_SYNC.
    assert_eq!(commands.len(), 100 + 100usize.div_ceil(15));
    rig.server.on_timer();
}

#[test]
fn a_long_list_of_invalidations_has_completions_in_between() {
    let rig = Rig::booted();
    let mut hardware = rig.smmu.clone();
    let base = hardware.read64(CMDQ_BASE);
    // 128 slots.
    hardware.write64(CMDQ_BASE, base + 3);
    rig.smmu.0.borrow_mut().set(CMDQ_PROD, 0);
    rig.smmu.0.borrow_mut().set(CMDQ_CONS, 0);
    let mut queue = CommandQueue::new(plan().smmus[0].command_queue, 7, 0);
    let before = rig.smmu.0.borrow().commands.len();
    for page in 0..500 {
        let address = page << 12;
        let command = Command::TlbAddress { asid: 1, address };
        queue.push(&mut hardware, command).unwrap();
    }
    queue.sync(&mut hardware).unwrap();
    let commands = rig.smmu.0.borrow().commands[before..].to_vec();
    let mut runs = commands.split(|command| *command == Command::Sync);
    assert!(runs.all(|run| run.len() < 63), "MMU-700, erratum 2812531");
    let syncs = commands.iter().filter(|command| **command == Command::Sync);
    assert_eq!(commands.len() - syncs.count(), 500);
}

#[test]
fn one_command_and_its_completion_are_one_batch_at_every_slot() {
    let mut rig = Rig::booted();
    let mut hardware = rig.smmu.clone();
    let entry = plan().smmus[0];
    for commands in 1..4 {
        let producer = rig.smmu.0.borrow().get(CMDQ_PROD);
        let mut queue = CommandQueue::new(entry.command_queue, entry.command_log2, producer);
        // From an even slot on, and from an odd one.
        for asid in 0..commands {
            let command = Command::TlbAsid { asid };
            queue.push(&mut hardware, command).unwrap();
        }
        queue.sync(&mut hardware).unwrap();
        let before = rig.smmu.0.borrow().commands.len();
        let one = |page: u64| Command::TlbAddress {
            asid: 3,
            address: page << 12,
        };
        for page in 0..40 {
            queue.do_one(&mut hardware, one(page)).unwrap();
            let done = &rig.smmu.0.borrow().commands[before..];
            assert_eq!(done.len() as u64, 2 * (page + 1));
            assert!(done.ends_with(&[one(page), Command::Sync]));
        }
    }
    rig.server.on_timer();
}

/// An SMMU whose consumer index follows at a look, and the registers that were looked at since the last submission.
struct Late {
    follows_at: usize,
    producer: u32,
    looks: Vec<usize>,
}

impl Hardware for Late {
    fn read32(&mut self, register: usize) -> u32 {
        self.looks.push(register);
        let follows = self.looks.len() >= self.follows_at;
        match register {
            CMDQ_CONS if follows => self.producer,
            CMDQ_CONS => self.producer.wrapping_sub(1) & 31,
            _ => 0,
        }
    }
    fn write32(&mut self, register: usize, value: u32) {
        assert_eq!(register, CMDQ_PROD);
        self.producer = value;
        self.looks.clear();
    }
    fn read64(&mut self, _: usize) -> u64 {
        0
    }
    fn write64(&mut self, _: usize, _: u64) {}
    fn load(&mut self, _: u64) -> u64 {
        0
    }
    fn store(&mut self, _: u64, _: u64) {}
    fn publish(&mut self) {}
    fn acquire(&mut self) {}
    fn now(&mut self) -> u64 {
        0
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        nanoseconds
    }
}

/// A read of a register takes a good part of the time that a CMD_SYNC takes.
#[test]
fn a_wait_looks_at_nothing_but_the_index_at_first() {
    let first_looks = CONSUMER_LOOKS as usize;
    for follows_at in [1, 2, 30, first_looks, first_looks + 1, first_looks + 9] {
        let mut hardware = Late {
            follows_at,
            producer: 0,
            looks: Vec::new(),
        };
        let mut queue = CommandQueue::new(0, 4, 0);
        for asid in 0..20 {
            queue
                .do_one(&mut hardware, Command::TlbAsid { asid })
                .unwrap();
            let at = |look: &usize| *look != CMDQ_CONS;
            let errors = hardware.looks.iter().position(at);
            // The first look is that of a queue that is done at once.
            match errors {
                None => assert!(follows_at <= first_looks + 1),
                Some(errors) => assert!(errors > first_looks && follows_at > first_looks + 1),
            }
        }
    }
}

/// A task that was not run between its look and the clock has not waited for the SMMU.
#[test]
fn what_completed_while_the_task_was_not_run_completed() {
    for clocks in [1, 2, 5] {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let iova = disk.map_any(&mut rig, 0, 1);
        rig.smmu.0.borrow_mut().behaviour.stuck = true;
        rig.smmu.0.borrow_mut().behaviour.preempted_in = Some(clocks);
        assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
        assert_eq!(rig.reach(0x100, iova), None);
    }
}

/// Nor has it waited for an SMMU that stopped meanwhile, and waits for the task.
#[test]
fn the_time_begins_again_with_a_late_repair() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    let mut fake = rig.smmu.0.borrow_mut();
    fake.behaviour.stuck = true;
    fake.behaviour.slow = true;
    fake.behaviour.preempted_in = Some(1);
    fake.behaviour.refuse = [opcode::TLBI_NH_VA].into();
    drop(fake);
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
    assert_eq!(rig.reach(0x100, iova), None);
}

#[test]
fn an_smmu_that_refuses_everything_is_broken_in_bounded_time() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    rig.smmu.0.borrow_mut().behaviour.refuse_all = true;
    let before = rig.smmu.0.borrow().time;
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::HardwareFailure));
    let waited = rig.smmu.0.borrow().time - before;
    assert!(waited < 202_000_000, "{waited} ns");
    is_broken(&mut rig, &mut disk, iova);
    // Repaired again and again it would stop again, and interrupt again, for ever.
    rig.server.take_unmask();
    let journal = rig.journal();
    journal.clear();
    rig.server.on_interrupt(1 << 17);
    let acknowledged = |did: &Did| matches!(did, Did::Register(GERRORN, _));
    assert!(!journal.at_the_smmu().iter().any(acknowledged));
    assert_eq!(rig.server.take_unmask() & 1 << 17, 0, "stays masked");
}

/// What the interrupt's turn repairs is made up for by the next completion.
#[test]
fn a_repair_between_two_requests_is_not_forgotten() {
    let rig = Rig::booted();
    let mut hardware = rig.smmu.clone();
    let entry = plan().smmus[0];
    let producer = hardware.read32(CMDQ_PROD);
    let mut queue = CommandQueue::new(entry.command_queue, entry.command_log2, producer);
    let command = Command::TlbAsid { asid: 1 };
    queue.push(&mut hardware, command).unwrap();
    rig.smmu.0.borrow_mut().behaviour.refuse = [opcode::TLBI_NH_ASID].into();
    hardware.write32(CMDQ_PROD, producer + 1);
    assert!(queue.on_error(&mut hardware));
    assert!(!queue.on_error(&mut hardware));
    let before = rig.smmu.0.borrow().commands.len();
    queue.sync(&mut hardware).unwrap();
    let commands = rig.smmu.0.borrow().commands[before..].to_vec();
    assert!(commands.contains(&Command::TlbAll) && commands.contains(&Command::ConfigAll));
}

/// A service failure cuts everything off at once: the next request may never come.
#[test]
fn a_service_failure_is_not_waited_for() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    let mut fake = rig.smmu.0.borrow_mut();
    fake.behaviour.stuck = true;
    let failed = fake.get(GERROR) ^ 1 << 8;
    fake.set(GERROR, failed);
    drop(fake);
    rig.server.take_unmask();
    rig.server.on_interrupt(1 << 17);
    assert_eq!(rig.around.borrow().posts, [4]);
    assert_eq!(rig.server.take_unmask() & 1 << 17, 0, "stays masked");
    assert!(rig.logged("GlobalError"));
    is_broken(&mut rig, &mut disk, iova);
}

#[test]
fn a_refused_command_is_replaced_and_made_up_for() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let mut edu = rig.claim(task(5), EDU);
    let iova = disk.map_any(&mut rig, 0, 1);
    let other = edu.map_any(&mut rig, 0, 1);
    assert!(rig.reach(0x100, iova).is_some());
    assert!(rig.reach(0x008, other).is_some());
    // An entry of another domain that is cached and gone: nobody can tell what the refused command was for.
    let stale = rig.server.plan.domains[1].leaf + (other - BASE) / 4096 * 8;
    rig.smmu.0.borrow_mut().put(stale, &[0]);
    assert!(rig.reach(0x008, other).is_some());
    rig.smmu.0.borrow_mut().behaviour.refuse = [opcode::TLBI_NH_VA].into();
    let before = rig.smmu.0.borrow().commands.len();
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
    assert_eq!(rig.reach(0x100, iova), None, "forgotten all the same");
    assert_eq!(rig.reach(0x008, other), None, "everything is forgotten");
    let made_up = [
        Command::ConfigAll,
        Command::Sync,
        Command::TlbAll,
        Command::Sync,
    ];
    assert!(rig.smmu.0.borrow().commands[before..].ends_with(&made_up));
    let next = disk.map_any(&mut rig, 1, 1);
    assert_eq!(rig.reach(0x100, next), Some(POOL + 4096));
    rig.server.on_interrupt(1 << 17);
    assert!(rig.logged("CommandError"));
}

#[test]
fn nothing_is_confirmed_by_an_smmu_that_was_broken_once() {
    let mut rig = Rig::booted();
    let (mut disk, mut edu) = (rig.claim(task(4), DISK), rig.claim(task(5), EDU));
    let (one, two) = (disk.map_any(&mut rig, 0, 1), edu.map_any(&mut rig, 0, 1));
    rig.smmu.0.borrow_mut().behaviour.refuse_all = true;
    assert_eq!(disk.unmap(&mut rig, one, 1), Err(Error::HardwareFailure));
    rig.smmu.0.borrow_mut().behaviour.refuse_all = false;
    assert_eq!(edu.unmap(&mut rig, two, 1), Err(Error::HardwareFailure));
    assert!(rig.is_held(EDU));
}

/// What `HardwareFailure` means: the device is cut off, and nothing that it could reach is given back.
fn is_broken(rig: &mut Rig, disk: &mut Driver, iova: u64) {
    assert_eq!(rig.around.borrow().bus_master.last(), Some(&(DISK, false)));
    assert!(rig.is_held(DISK));
    assert!(rig.logged("CommandTimeout"));
    let status = rig.status(DISK);
    assert_eq!(status.mapped_pages, 1, "not given back");
    assert!(!status.flags.has(StatusFlags::OPEN));
    let map = disk.map(rig, 0, 0, 1, MapFlags::READ, 0);
    assert_eq!(map, Err(Error::StreamBlocked));
    assert_eq!(disk.unmap(rig, iova, 1), Err(Error::StreamBlocked));
    let released = disk.release(rig);
    let refused = Error::HardwareFailure as u32;
    assert!(matches!(released, crate::Reply::Now { code, .. } if code == refused));
    rig.server.on_quiesced();
    assert!(rig.is_held(DISK), "nothing is proved");
    assert!(rig.status(DISK).flags.has(StatusFlags::STUCK));
}

#[test]
fn repairs_that_are_refused_too_cut_the_device_off() {
    for repair in [opcode::CFGI_STE_RANGE, opcode::TLBI_NSNH_ALL] {
        let mut rig = Rig::booted();
        let mut disk = rig.claim(task(4), DISK);
        let iova = disk.map_any(&mut rig, 0, 1);
        rig.smmu.0.borrow_mut().behaviour.refuse = [opcode::TLBI_NH_VA, repair].into();
        assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::HardwareFailure));
        is_broken(&mut rig, &mut disk, iova);
    }
}

#[test]
fn no_completion_cuts_the_device_off() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    let before = rig.smmu.0.borrow().time;
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::HardwareFailure));
    let waited = rig.smmu.0.borrow().time - before;
    assert!((100_000_000..101_000_000).contains(&waited), "{waited} ns");
    is_broken(&mut rig, &mut disk, iova);
}

#[test]
fn a_senseless_consumer_index_is_no_completion() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    let producer = rig.smmu.0.borrow().get(smmu::registers::CMDQ_PROD);
    rig.smmu
        .0
        .borrow_mut()
        .set(smmu::registers::CMDQ_CONS, (producer + 5) & 31);
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::HardwareFailure));
}

#[test]
fn a_completion_that_comes_too_late_proves_nothing() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::HardwareFailure));
    rig.smmu.0.borrow_mut().behaviour.stuck = false;
    is_broken(&mut rig, &mut disk, iova);
    // Nor is anything opened on this SMMU any more.
    rig.ask(task(5), Operation::Claim, &[u64::from(EDU)]);
    rig.server.on_quiesced();
    let (_, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!(Error::from_code(code), Some(Error::HardwareFailure));
    assert_eq!(rig.reach(0x008, BASE), None);
}
