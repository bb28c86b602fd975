use iommu_api::*;
use pci_api::QuiesceState;
use pci_api::client::Failure;

use super::rig::*;
use crate::Reply;

#[test]
fn a_dead_drivers_memory_stays_held_until_its_device_is_quiet() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 3);
    assert!(rig.reach(0x100, iova).is_some());
    rig.around.borrow_mut().result = Some(QuiesceState::Running);
    rig.die(4);
    assert_eq!(rig.reach(0x100, iova), None, "cut off at once");
    assert_eq!(rig.around.borrow().bus_master.last(), Some(&(DISK, false)));
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert!(rig.is_held(DISK), "not before it is quiet");
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.status(DISK).mapped_pages, 0);

    let mut next = rig.claim(life(4, 1), DISK);
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(next.map_any(&mut rig, 0, 1), iova, "nothing was lost");
    assert_eq!(rig.around.borrow().started, [DISK, DISK]);
}

#[test]
fn others_go_on() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    rig.claim(task(5), EDU);
    rig.die(5);
    assert!(rig.reach(0x100, iova).is_some());
    disk.map_any(&mut rig, 1, 1);
    rig.server.on_quiesced();
    disk.unmap(&mut rig, iova, 1).unwrap();
}

#[test]
fn a_device_that_stays_restless_keeps_its_owner_held() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    rig.fail_quiesce();
    rig.die(4);
    rig.server.on_quiesced();
    assert!(rig.is_held(DISK));
    assert!(rig.status(DISK).flags.has(StatusFlags::STUCK));
    assert_eq!(rig.reach(0x100, iova), None);
    let reply = rig.ask(life(4, 1), Operation::Claim, &[u64::from(DISK)]);
    assert!(matches!(reply, Reply::Now { code, .. } if code == Error::NotQuiet as u32));
}

#[test]
fn without_a_recipe_only_the_first_claim_is_granted() {
    let mut rig = Rig::booted();
    let no_recipe = Failure::Refused(pci_api::Error::NoRecipe);
    rig.around.borrow_mut().start_error = Some(no_recipe);
    rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    let (_, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!(code, 0);
    rig.around.borrow_mut().start_error = Some(no_recipe);
    rig.die(4);
    assert!(rig.status(DISK).flags.has(StatusFlags::STUCK));
    assert!(rig.is_held(DISK));
}

#[test]
fn death_during_the_quiesce_of_a_claim() {
    let mut rig = Rig::booted();
    rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    rig.die(4);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert!(rig.around.borrow().replies.is_empty());
    assert!(!rig.status(DISK).flags.has(StatusFlags::OPEN));
    rig.claim(life(4, 1), DISK);
}

#[test]
fn death_during_the_quiesce_of_a_release() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert_eq!(rig.reach(0x100, iova), None, "closed before it is quiet");
    rig.die(4);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    assert_eq!(rig.around.borrow().started, [DISK, DISK], "made quiet once");
}

#[test]
fn death_during_a_release_cuts_off_what_shares_the_stream() {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    let one = left.map_any(&mut rig, 0, 1);
    right.map_any(&mut rig, 0, 1);
    assert_eq!(left.release(&mut rig), Reply::Later);
    assert!(rig.reach(0x010, one).is_some(), "the other one still works");
    rig.die(5);
    assert_eq!(rig.reach(0x010, one), None);
    assert_eq!(
        right.map(&mut rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StreamBlocked)
    );
}

#[test]
fn an_alias_set_with_a_member_that_is_not_quiet_stays_closed() {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    let iova = left.map_any(&mut rig, 0, 1);
    rig.around.borrow_mut().result = Some(QuiesceState::Running);
    rig.die(5);
    let claim = |rig: &mut Rig| rig.now(task(6), Operation::Claim, &[u64::from(RIGHT)]).0;
    assert_eq!(claim(&mut rig), Error::Busy as u32);
    rig.fail_quiesce();
    rig.server.on_quiesced();
    assert_eq!(claim(&mut rig), Error::NotQuiet as u32);
    assert!(!rig.is_held(RIGHT));
    assert_eq!(rig.reach(0x010, iova), None);
}

#[test]
fn a_claim_is_refused_if_what_shares_its_stream_is_stopped_meanwhile() {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    let iova = left.map_any(&mut rig, 0, 1);
    rig.around.borrow_mut().result = Some(QuiesceState::Running);
    assert_eq!(
        rig.ask(task(6), Operation::Claim, &[u64::from(RIGHT)]),
        Reply::Later
    );
    rig.fail_quiesce();
    rig.die(5);
    rig.server.on_quiesced();
    let (to, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((to, code), (task(6), Error::NotQuiet as u32));
    assert!(!rig.is_held(RIGHT));
    assert_eq!(rig.reach(0x010, iova), None);
}

#[test]
fn an_alias_set_is_cut_off_together() {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    let one = left.map_any(&mut rig, 0, 1);
    let two = right.map_any(&mut rig, 0, 1);
    rig.die(5);
    assert_eq!(rig.reach(0x010, one), None);
    assert_eq!(rig.reach(0x010, two), None);
    assert_eq!(rig.around.borrow().posts, [6]);
    rig.server.on_quiesced();
    assert_eq!(
        right.map(&mut rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StreamBlocked)
    );
    assert_eq!(rig.status(LEFT).mapped_pages, 0);
    assert_eq!(rig.status(RIGHT).mapped_pages, 1);
    right.release(&mut rig);
    rig.server.on_quiesced();
    let mut right = rig.claim(task(6), RIGHT);
    right.map_any(&mut rig, 0, 1);
}

#[test]
fn the_pci_tasks_death_delays_and_loses_nothing() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    edu.map_any(&mut rig, 0, 1);
    rig.around.borrow_mut().start_error = Some(Failure::Dead);
    assert_eq!(
        rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]),
        Reply::Later
    );
    rig.around.borrow_mut().restart_pci();
    rig.server.on_pci_up();
    assert!(rig.is_bus_master(EDU) && rig.status(EDU).flags.has(StatusFlags::OPEN));
    assert!(rig.around.borrow().posts.is_empty());
    assert_eq!(rig.around.borrow().started, [EDU, DISK], "begun anew");
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
    assert_eq!(rig.around.borrow().replies.len(), 1);
}

#[test]
fn pins_of_a_dead_driver_are_lifted_after_the_reset() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().lease = Some(crate::hardware::Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    disk.map_lease(&mut rig, 2, MapFlags::READ_WRITE).unwrap();
    rig.die(4);
    assert_eq!(rig.around.borrow().pins.len(), 1);
    rig.server.on_quiesced();
    assert!(rig.around.borrow().pins.is_empty());
}

/// The disk with a lease of two pages and a page of its pool mapped: the first IOVA of each.
fn disk_with_a_lease(rig: &mut Rig) -> (Driver, [u64; 2]) {
    let mut disk = rig.claim(task(4), DISK);
    rig.around.borrow_mut().lease = Some(crate::hardware::Pinned {
        slot: 0,
        pa: 0x7000_0000,
        readable: true,
        writable: true,
    });
    let lease = disk.map_lease(rig, 2, MapFlags::READ_WRITE).unwrap();
    let page = disk.map_any(rig, 0, 1);
    (disk, [lease, page])
}

/// The device stays cut off, and what it could reach held.
fn is_stuck(rig: &mut Rig, iovas: [u64; 2]) {
    let flags = rig.status(DISK).flags;
    assert!(flags.has(StatusFlags::STUCK) && !flags.has(StatusFlags::OPEN));
    assert_eq!(rig.status(DISK).mapped_pages, 3);
    assert!(rig.is_held(DISK));
    assert_eq!(rig.around.borrow().pins.len(), 1);
    assert_eq!(rig.around.borrow().bus_master.last(), Some(&(DISK, false)));
    for iova in iovas {
        assert_eq!(rig.reach(0x100, iova), None);
    }
    for number in [0, 1] {
        let (code, _) = rig.now(life(4, number), Operation::Claim, &[u64::from(DISK)]);
        assert_eq!(Error::from_code(code), Some(Error::NotQuiet));
    }
    // Not even a quiesce that ends well after all changes it.
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
    assert!(rig.is_held(DISK));
    assert_eq!(rig.around.borrow().pins.len(), 1);
}

#[test]
fn a_release_that_does_not_become_quiet_keeps_everything() {
    let mut rig = Rig::booted();
    let (mut disk, iovas) = disk_with_a_lease(&mut rig);
    rig.fail_quiesce();
    assert_eq!(disk.release(&mut rig), Reply::Later);
    rig.server.on_quiesced();
    let (to, code, _, len) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((to, len), (task(4), 0));
    assert_eq!(Error::from_code(code), Some(Error::NotQuiet));
    is_stuck(&mut rig, iovas);
}

#[test]
fn a_death_that_does_not_become_quiet_keeps_everything() {
    let mut rig = Rig::booted();
    let (_, iovas) = disk_with_a_lease(&mut rig);
    rig.fail_quiesce();
    rig.die(4);
    rig.server.on_quiesced();
    is_stuck(&mut rig, iovas);
}

#[test]
fn a_handle_is_stale_while_its_device_is_made_quiet() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    let extent = |first: u64, pages: u64| first | pages << 32;
    let requests: [(Operation, &[u64]); 10] = [
        (Operation::Map, &[extent(0, 1), 3 << 16, 0]),
        (Operation::MapLease, &[extent(0, 1), 3 << 16, 0, 7]),
        (Operation::MapList, &[3 << 16, 0, extent(0, 1)]),
        (Operation::Unmap, &[iova, 1]),
        (Operation::UnmapList, &[extent(iova >> 12, 1)]),
        (Operation::Exchange, &[extent(0, 1), 3 << 16, iova]),
        (Operation::ExchangeList, &[3 << 16, iova >> 12 << 32]),
        (Operation::Flush, &[]),
        (Operation::Release, &[]),
        (Operation::NextFault, &[]),
    ];
    for (operation, rest) in requests {
        // The last number would be a repeat of the release.
        for number in [disk.sequence, disk.sequence + 1] {
            let mut words = [disk.handle.0, number].to_vec();
            if operation == Operation::NextFault {
                words.pop();
            }
            words.extend(rest);
            let (code, _) = rig.now(disk.id, operation, &words);
            let error = Error::from_code(code);
            assert_eq!(error, Some(Error::StaleHandle), "{operation:?}");
        }
    }
    assert_eq!(rig.status(DISK).mapped_pages, 1);
    rig.server.on_quiesced();
    assert_eq!(rig.around.borrow().replies.len(), 1, "the release");
}
