use abi::TaskId;
use iommu_api::*;
use userlib::protocol::Wire;

use super::rig::*;
use crate::Reply;

fn code(reply: Reply) -> Option<Error> {
    match reply {
        Reply::Now { code, .. } => Error::from_code(code),
        Reply::Later => panic!("late"),
    }
}

#[test]
fn only_the_planned_owner_claims() {
    let mut rig = Rig::booted();
    for sender in [0, 1, 2, 3, 5, 6, 63] {
        let reply = rig.ask(task(sender), Operation::Claim, &[u64::from(DISK)]);
        assert_eq!(code(reply), Some(Error::NotOwner));
    }
    let bridge = rig.ask(task(4), Operation::Claim, &[0]);
    assert_eq!(code(bridge), Some(Error::NotOwner));
    // Another core's task is another one, though its index is the owner's.
    let elsewhere = rig.ask(TaskId(4 | 1 << 8), Operation::Claim, &[u64::from(DISK)]);
    assert_eq!(code(elsewhere), Some(Error::NotOwner));
    // The first number that no device has, and one far from all.
    let first = rig.server.plan.devices.len() as u64;
    for nobody in [first, 99] {
        let none = rig.ask(task(4), Operation::Claim, &[nobody]);
        assert_eq!(code(none), Some(Error::NoSuchDevice));
    }
}

#[test]
fn claim_is_hold_quiesce_open_bus_master() {
    let mut rig = Rig::booted();
    assert_eq!(
        rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]),
        Reply::Later
    );
    assert!(rig.is_held(DISK), "held before it can reach anything");
    assert_eq!(rig.around.borrow().started, [DISK]);
    assert!(rig.around.borrow().bus_master.is_empty());
    assert!(!rig.status(DISK).flags.has(StatusFlags::OPEN));
    rig.server.on_quiesced();
    assert_eq!(rig.around.borrow().bus_master, [(DISK, true)]);
    let (to, code, payload, _) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((to, code), (task(4), 0));
    let claim = Claim::from_words(&payload).unwrap();
    assert_eq!(claim.window.iova_base, BASE);
    assert_eq!((claim.window.pages, claim.window.blocks), (1024, 4));
    let flags = rig.status(DISK).flags;
    assert!(flags.has(StatusFlags::CLAIMED) && flags.has(StatusFlags::OPEN));
}

#[test]
fn others_are_served_while_a_claim_waits() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    rig.ask(task(5), Operation::Claim, &[u64::from(EDU)]);
    disk.map_any(&mut rig, 0, 1);
    rig.server.on_quiesced();
    assert_eq!(rig.around.borrow().replies.len(), 1);
}

#[test]
fn a_device_that_is_not_quiet_is_not_given() {
    let mut rig = Rig::booted();
    rig.fail_quiesce();
    rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    rig.server.on_quiesced();
    let (_, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!(Error::from_code(code), Some(Error::NotQuiet));
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.reach(0x100, BASE), None);
}

#[test]
fn repeated_claim_gives_the_same_handle() {
    let mut rig = Rig::booted();
    let mut first = rig.claim(task(4), DISK);
    first.map_any(&mut rig, 0, 1);
    let second = rig.claim(task(4), DISK);
    assert_eq!(first.handle, second.handle);
    assert_eq!(second.sequence, 1);
}

#[test]
fn released_with_nothing_mapped_needs_no_reset_for_the_same_life() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 1);
    disk.unmap(&mut rig, iova, 1).unwrap();
    assert!(matches!(disk.release(&mut rig), Reply::Now { code: 0, .. }));
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.around.borrow().bus_master.last(), Some(&(DISK, false)));
    let again = rig.claim(task(4), DISK);
    assert_ne!(again.handle, disk.handle);
    assert_eq!(rig.around.borrow().started, [DISK], "reset once, at first");
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags::READ, 0),
        Err(Error::StaleHandle)
    );
    let next_life = life(4, 1);
    let mut again = again;
    again.release(&mut rig);
    assert_eq!(
        rig.ask(next_life, Operation::Claim, &[u64::from(DISK)]),
        Reply::Later
    );
}

#[test]
fn released_with_pages_mapped_is_reset_first() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let iova = disk.map_any(&mut rig, 0, 3);
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    let (to, code, ..) = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((to, code), (task(4), 0));
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    let mut next = rig.claim(task(4), DISK);
    assert_eq!(rig.reach(0x100, iova), None, "the next claim finds nothing");
    assert_eq!(next.map_any(&mut rig, 0, 1), iova);
}

#[test]
fn a_blocked_device_is_never_opened() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().blocked = Some(DISK);
    rig.server.boot();
    let reply = rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    assert_eq!(code(reply), Some(Error::Blocked));
    assert!(rig.status(DISK).flags.has(StatusFlags::BLOCKED));
    rig.claim(task(5), EDU);
}

#[test]
fn an_alias_set_shares_a_domain_and_not_its_mappings() {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    let one = left.map_any(&mut rig, 0, 1);
    let two = right.map_any(&mut rig, 0, 1);
    assert_ne!(one, two);
    assert_eq!(left.unmap(&mut rig, two, 1), Err(Error::NotMapped));
    assert_eq!(left.unmap(&mut rig, one, 1), Ok(0));
    left.release(&mut rig);
    assert_eq!(
        rig.reach(0x010, two),
        Some(POOL + 0x20_0000),
        "still open for the other"
    );
    right.unmap(&mut rig, two, 1).unwrap();
    right.release(&mut rig);
    assert_eq!(rig.reach(0x010, two), None);
}

#[test]
fn status_is_for_owner_and_auditors() {
    let mut rig = Rig::booted();
    for (sender, allowed) in [(3, true), (4, true), (5, false), (63, false)] {
        let reply = rig.ask(task(sender), Operation::Status, &[u64::from(DISK)]);
        assert_eq!(code(reply), (!allowed).then_some(Error::NotOwner));
        let reply = rig.ask(task(sender), Operation::Describe, &[u64::from(DISK)]);
        assert_eq!(code(reply), (!allowed).then_some(Error::NotOwner));
    }
}

/// A server over a plan in which the disk is described differently.
fn planned_disk(change: impl FnOnce(&mut plan::iommu::DeviceEntry)) -> Rig {
    let mut view = plan();
    let mut devices = view.devices.to_vec();
    change(&mut devices[DISK as usize]);
    view.devices = std::vec::Vec::leak(devices);
    let mut rig = Rig::planned(view);
    rig.server.boot();
    rig.journal().clear();
    rig
}

/// The disk cannot be claimed, and nobody has touched anything for it.
fn is_blocked(rig: &mut Rig) {
    let reply = rig.ask(task(4), Operation::Claim, &[u64::from(DISK)]);
    assert_eq!(code(reply), Some(Error::Blocked));
    assert_eq!(rig.journal().deeds(), []);
    assert!(rig.status(DISK).flags.has(StatusFlags::BLOCKED));
    assert!(!rig.status(DISK).flags.has(StatusFlags::OPEN));
    assert_eq!(rig.reach(0x100, BASE), None);
}

#[test]
fn what_the_plan_blocks_cannot_be_claimed() {
    let blocked = |rig: &mut Rig| {
        is_blocked(rig);
        rig.claim(task(5), EDU);
    };
    blocked(&mut planned_disk(|disk| disk.domain = plan::NONE));
    blocked(&mut planned_disk(|disk| disk.stream_count = 0));
    let mut view = plan();
    let mut domains = view.domains.to_vec();
    domains[0].kind = plan::iommu::DomainKind::Blocked as u32;
    view.domains = std::vec::Vec::leak(domains);
    let mut rig = Rig::planned(view);
    rig.server.boot();
    rig.journal().clear();
    blocked(&mut rig);
}

#[test]
fn what_nobody_owns_nobody_claims() {
    let mut rig = planned_disk(|disk| disk.owner = plan::NONE);
    for sender in [0, 3, 4, 5, 63] {
        let reply = rig.ask(task(sender), Operation::Claim, &[u64::from(DISK)]);
        assert_eq!(code(reply), Some(Error::NotOwner));
    }
    assert_eq!(rig.journal().deeds(), []);
    assert!(rig.status(DISK).flags.has(StatusFlags::BLOCKED));
}

#[test]
fn what_was_not_found_as_planned_cannot_be_claimed() {
    let mut rig = Rig::cold();
    rig.around.borrow_mut().blocked = Some(DISK);
    rig.server.boot();
    rig.journal().clear();
    is_blocked(&mut rig);
    let mut rig = Rig::cold();
    rig.around.borrow_mut().refused = true;
    rig.server.boot();
    rig.journal().clear();
    is_blocked(&mut rig);
}

#[test]
fn a_claim_waits_for_the_life_before() {
    let mut rig = Rig::booted();
    let claim = |rig: &mut Rig, number| {
        code(rig.ask(life(4, number), Operation::Claim, &[u64::from(DISK)]))
    };
    rig.claim(task(4), DISK);
    // The kernel has not told of the death yet.
    assert_eq!(claim(&mut rig, 1), Some(Error::Busy));
    rig.around.borrow_mut().result = Some(pci_api::QuiesceState::Running);
    rig.die(4);
    assert_eq!(claim(&mut rig, 1), Some(Error::Busy));
    rig.around.borrow_mut().result = None;
    rig.server.on_quiesced();
    assert_eq!(claim(&mut rig, 1), None);
}

#[test]
fn a_claim_waits_for_the_release_of_what_shares_its_stream() {
    let mut rig = Rig::booted();
    let mut left = rig.claim(task(5), LEFT);
    left.map_any(&mut rig, 0, 1);
    assert_eq!(left.release(&mut rig), Reply::Later);
    let claim = |rig: &mut Rig| code(rig.ask(task(6), Operation::Claim, &[u64::from(RIGHT)]));
    assert_eq!(claim(&mut rig), Some(Error::Busy));
    assert!(!rig.is_held(RIGHT));
    rig.server.on_quiesced();
    rig.claim(task(6), RIGHT);
}

#[test]
fn what_was_cut_off_is_made_quiet_with_nothing_mapped_too() {
    let mut rig = Rig::booted();
    rig.claim(task(5), LEFT);
    let mut right = rig.claim(task(6), RIGHT);
    let before = rig.around.borrow().started.len();
    rig.die(5);
    assert_eq!(rig.around.borrow().started[before..], [RIGHT, LEFT]);
    rig.server.on_quiesced();
    assert_eq!(right.release(&mut rig), Reply::Later);
    let reply = rig.around.borrow_mut().replies.pop().unwrap();
    assert_eq!((reply.0, reply.1), (task(6), 0));
    // Cut off for another reason than a death, it is made quiet by its own release.
    let mut right = rig.claim(task(6), RIGHT);
    rig.server.revoke(index(RIGHT));
    let before = rig.around.borrow().started.len();
    assert_eq!(right.release(&mut rig), Reply::Later);
    assert_eq!(rig.around.borrow().started[before..], [RIGHT]);
}

/// A handle names one claim: that of an earlier one is not the later one's.
#[test]
fn a_handle_of_an_earlier_claim_is_stale() {
    let mut rig = Rig::booted();
    let mut first = rig.claim(task(4), DISK);
    first.release(&mut rig);
    rig.server.on_quiesced();
    let mut second = rig.claim(task(4), DISK);
    assert_ne!(first.handle, second.handle);
    assert_eq!(rig.status(DISK).claims, 2);
    let map = first.map(&mut rig, 0, 0, 1, MapFlags::READ_WRITE, 0);
    assert_eq!(map, Err(Error::StaleHandle));
    second.map_any(&mut rig, 0, 1);
}

/// A task that claims and releases over and over fills no log.
#[test]
fn only_the_first_claim_of_a_life_is_told() {
    let mut rig = Rig::booted();
    for id in [task(4), life(4, 1)] {
        for round in 0..3 {
            rig.around.borrow_mut().lines.clear();
            rig.claim(id, DISK).release(&mut rig);
            let told = ["Claimed {", "Released {"].map(|line| rig.logged(line));
            assert_eq!(told, [round == 0; 2], "{id:?} {round}");
        }
    }
}
