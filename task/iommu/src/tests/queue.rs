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
