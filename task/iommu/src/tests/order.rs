//! The order in which the server does things to the SMMU, the kernel and the PCI task: no task sees it, and
//! it is what makes the result safe.

use abi::Code;
use iommu_api::*;
use pci_api::client::Failure;
use smmu::Command;
use smmu::registers::{CR0, GBPA, cr0, gbpa};

use super::journal::Did;
use super::rig::*;
use crate::Reply;
use crate::hardware::Pinned;

/// What opening or closing the disk's stream takes.
const CHANGE: [Did; 4] = [
    Did::Command(Command::ConfigStream {
        stream: 0x100,
        leaf: true,
    }),
    Did::Command(Command::Sync),
    Did::Command(Command::TlbAsid { asid: 1 }),
    Did::Command(Command::Sync),
];

fn ask_for_disk(rig: &mut Rig) -> Reply {
    rig.ask(task(4), Operation::Claim, &[u64::from(DISK)])
}

/// Claims the disk, which ends in an error.
fn refused_claim(rig: &mut Rig) -> Option<Error> {
    assert_eq!(ask_for_disk(rig), Reply::Later);
    rig.server.on_quiesced();
    let (to, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!(to, task(4));
    Error::from_code(code)
}

/// Two pages of a lease and one of the pool, mapped for the disk.
fn disk_with_a_lease(rig: &mut Rig) -> (Driver, u64) {
    let mut disk = rig.claim(task(4), DISK);
    disk.map_any(rig, 0, 1);
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let iova = disk.map_lease(rig, 2, MapFlags::READ_WRITE).unwrap();
    rig.journal().clear();
    (disk, iova)
}

fn place(deeds: &[Did], deed: Did) -> usize {
    let found = deeds.iter().position(|other| *other == deed);
    found.unwrap_or_else(|| panic!("no {deed:?} in {deeds:?}"))
}

/// What makes the SMMU forget translations.
fn last_invalidation(deeds: &[Did]) -> usize {
    deeds
        .iter()
        .rposition(|did| matches!(did, Did::Command(command) if *command != Command::Sync))
        .expect("nothing was invalidated")
}

#[test]
fn a_claim_is_hold_quiet_open_confirmed_bus_master() {
    let mut rig = Rig::booted();
    rig.journal().clear();
    assert_eq!(ask_for_disk(&mut rig), Reply::Later);
    let begun = [Did::Hold(DISK), Did::Quiesce(DISK)];
    assert_eq!(rig.journal().deeds(), begun);
    rig.server.on_quiesced();
    let mut all = begun.to_vec();
    all.push(Did::HeardQuiet(DISK));
    all.extend(CHANGE);
    all.extend([Did::BusMaster(DISK, true), Did::Reply(4, 0)]);
    assert_eq!(rig.journal().deeds(), all);
}

#[test]
fn a_claim_that_cannot_be_held_does_nothing() {
    let mut rig = Rig::booted();
    rig.journal().clear();
    rig.around.borrow_mut().hold_code = Some(Code::EXHAUSTED);
    let (code, _) = rig.now(task(4), Operation::Claim, &[u64::from(DISK)]);
    assert_eq!(Error::from_code(code), Some(Error::PinsExhausted));
    assert_eq!(rig.journal().deeds(), []);
    assert_eq!(rig.status(DISK).flags.0, 0);
    rig.claim(task(4), DISK);
}

#[test]
fn a_claim_without_bus_mastering_is_undone() {
    let mut rig = Rig::booted();
    let down = Failure::Dead;
    rig.around.borrow_mut().bus_master_error = Some(down);
    assert_eq!(refused_claim(&mut rig), Some(Error::Unavailable));
    let deeds = rig.journal().deeds();
    let [.., lift, reply] = deeds.as_slice() else {
        panic!("{deeds:?}");
    };
    assert_eq!(*lift, Did::Lift(DISK));
    assert!(matches!(reply, Did::Reply(4, _)));
    let closed = place(&deeds, Did::BusMaster(DISK, false));
    assert_eq!(deeds[closed + 1..closed + 5], CHANGE);
    assert_eq!(rig.status(DISK).flags.0, 0);
    assert_eq!(rig.reach(0x100, BASE), None);
    // Aborted: not even a fault is recorded of a stream that is closed.
    assert_eq!(rig.status(DISK).faults, 0);
    rig.around.borrow_mut().bus_master_error = None;
    rig.claim(task(4), DISK);
}

#[test]
fn a_claim_whose_stream_is_not_confirmed_to_be_closed_again_sticks() {
    let mut rig = Rig::booted();
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    assert_eq!(refused_claim(&mut rig), Some(Error::HardwareFailure));
    assert!(rig.is_held(DISK));
    assert_eq!(rig.status(DISK).flags.0, StatusFlags::STUCK);
    assert_eq!(rig.reach(0x100, BASE), None);
    let on = Did::BusMaster(DISK, true);
    assert!(!rig.journal().deeds().contains(&on));
}

#[test]
fn a_death_is_cut_off_quiet_unmapped_unpinned_lifted() {
    let mut rig = Rig::booted();
    disk_with_a_lease(&mut rig);
    rig.die(4);
    let mut begun = [Did::BusMaster(DISK, false)].to_vec();
    begun.extend(CHANGE);
    begun.push(Did::Quiesce(DISK));
    assert_eq!(rig.journal().deeds(), begun);
    rig.server.on_quiesced();
    let deeds = rig.journal().deeds();
    let order = [
        place(&deeds, Did::HeardQuiet(DISK)),
        last_invalidation(&deeds),
        place(&deeds, Did::Unpin(1)),
        place(&deeds, Did::Lift(DISK)),
    ];
    assert!(order.is_sorted(), "{deeds:?}");
    assert_eq!(deeds[order[1] + 1], Did::Command(Command::Sync));
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

#[test]
fn a_release_is_cut_off_quiet_unmapped_unpinned_lifted() {
    let mut rig = Rig::booted();
    let (mut disk, _) = disk_with_a_lease(&mut rig);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    let mut begun = [Did::BusMaster(DISK, false)].to_vec();
    begun.extend(CHANGE);
    begun.push(Did::Quiesce(DISK));
    assert_eq!(rig.journal().deeds(), begun);
    rig.server.on_quiesced();
    let deeds = rig.journal().deeds();
    let order = [
        place(&deeds, Did::HeardQuiet(DISK)),
        last_invalidation(&deeds),
        place(&deeds, Did::Unpin(1)),
        place(&deeds, Did::Lift(DISK)),
        place(&deeds, Did::Reply(4, 0)),
    ];
    assert!(order.is_sorted(), "{deeds:?}");
    assert_eq!(deeds[order[1] + 1], Did::Command(Command::Sync));
}

#[test]
fn a_lease_is_unpinned_after_its_invalidation() {
    let mut rig = Rig::booted();
    let (mut disk, iova) = disk_with_a_lease(&mut rig);
    disk.unmap(&mut rig, iova, 2).unwrap();
    let deeds = rig.journal().deeds();
    let invalidated = last_invalidation(&deeds);
    let rest = [Did::Command(Command::Sync), Did::Unpin(1)];
    assert_eq!(deeds[invalidated + 1..], rest);
}

#[test]
fn the_reset_bypass_is_closed_before_anything_else() {
    let rig = Rig::booted();
    let deeds = rig.journal().at_the_smmu();
    let first = deeds.first().copied();
    assert!(
        matches!(first, Some(Did::Register(GBPA, value)) if gbpa::ABORT.is_set32(value)),
        "{first:?}"
    );
    let on = |did: &Did| matches!(did, Did::Register(CR0, value) if cr0::SMMUEN.is_set32(*value));
    let turned_on = deeds.iter().position(on).expect("it is on");
    assert_eq!(turned_on, deeds.len() - 1, "on last, and once: {deeds:?}");
    let forgotten = place(&deeds, Did::Command(Command::TlbAll));
    assert_eq!(deeds[forgotten + 1], Did::Command(Command::Sync));
    assert!(place(&deeds, Did::Command(Command::ConfigAll)) < forgotten);
    assert_eq!(rig.around.borrow().bus_master, [], "nothing is opened");
}

#[test]
fn nothing_is_touched_before_the_pci_task_has_answered() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().no_pci = Some(Failure::Down);
    rig.server.boot();
    assert_eq!(rig.journal().deeds(), []);
    assert_eq!(rig.journal().at_the_smmu(), []);
    for (owner, device) in [(4, DISK), (5, EDU), (5, LEFT), (6, RIGHT)] {
        let (code, _) = rig.now(task(owner), Operation::Claim, &[u64::from(device)]);
        assert_eq!(Error::from_code(code), Some(Error::Unavailable));
    }
    rig.around.borrow_mut().no_pci = None;
    rig.server.on_pci_up();
    rig.claim(task(4), DISK);
}

/// Commands that an earlier life had queued are carried out late, after its successor has come.
#[test]
fn a_successor_lets_what_was_queued_complete_and_forgets_everything() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    assert!(rig.reach(0x100, iova).is_some());
    // The life before cleared an entry and died with its invalidation in the queue.
    let entry = rig.server.plan.domains[0].leaf + (iova - BASE) / 4096 * 8;
    rig.smmu.0.borrow_mut().put(entry, &[0]);
    rig.smmu.0.borrow_mut().behaviour.slow = true;
    let invalidation = Command::TlbAddress {
        asid: 1,
        address: iova,
    };
    rig.queue_behind_its_back(&[invalidation, Command::Sync]);
    assert!(rig.reach(0x100, iova).is_some(), "still cached");
    rig.journal().clear();
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    let commands = [
        invalidation,
        Command::Sync,
        Command::ConfigAll,
        Command::Sync,
        Command::TlbAll,
        Command::Sync,
    ];
    let deeds = next.journal().deeds();
    let first: std::vec::Vec<Did> = commands.map(Did::Command).to_vec();
    assert_eq!(deeds[..first.len()], first);
    assert_eq!(next.reach(0x100, iova), None);
}

/// Of an entry that was cleared without any invalidation being queued, the successor knows nothing.
#[test]
fn a_successor_forgets_what_nobody_invalidated() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    assert!(rig.reach(0x100, iova).is_some());
    let entry = rig.server.plan.domains[0].leaf + (iova - BASE) / 4096 * 8;
    rig.smmu.0.borrow_mut().put(entry, &[0]);
    assert!(rig.reach(0x100, iova).is_some(), "still cached");
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert_eq!(next.reach(0x100, iova), None);
    assert_eq!(next.status(DISK).mapped_pages, 0);
}
