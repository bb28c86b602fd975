use iommu_api::*;
use smmu::Command;
use smmu::command::opcode;

use super::rig::*;
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
    assert_eq!(commands.len(), 101);
    for (asid, command) in (0..100).zip(&commands) {
        assert_eq!(*command, Command::TlbAsid { asid });
    }
    assert_eq!(commands[100], Command::Sync);
    rig.server.on_timer();
}

#[test]
fn a_refused_command_is_replaced_and_made_up_for() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    assert!(rig.reach(0x100, iova).is_some());
    rig.smmu.0.borrow_mut().behaviour.refuse = Some(opcode::TLBI_NH_VA);
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
    assert_eq!(rig.reach(0x100, iova), None, "forgotten all the same");
    let next = disk.map_any(&mut rig, 1, 1);
    assert_eq!(rig.reach(0x100, next), Some(POOL + 4096));
    rig.server.on_interrupt(1 << 17);
    assert!(rig.logged("CommandError"));
}

#[test]
fn no_completion_cuts_the_device_off() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::HardwareFailure));
    assert_eq!(rig.around.borrow().bus_master.last(), Some(&(DISK, false)));
    assert!(rig.is_held(DISK));
    assert!(rig.logged("CommandTimeout"));
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StreamBlocked)
    );
    disk.release(&mut rig);
    rig.server.on_quiesced();
    assert!(rig.is_held(DISK), "nothing is proved");
    assert!(rig.status(DISK).flags.has(StatusFlags::STUCK));
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
