//! Pools that are lent as a whole, from the registration to their end.

use super::rig::*;
use crate::Reply;
use crate::hardware::Pinned;
use abi::LeaseAttributes;
use iommu_api::*;

/// The number of the disk's pool: it is the second of the plan's table.
const NUMBER: u16 = REGISTERED + 1;
const BOTH: MapFlags = MapFlags::READ_WRITE;

fn lend(rig: &Rig, pa: u64, writable: bool) {
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa,
        readable: true,
        writable,
    });
}

/// The disk claimed, with the pool of task 7 registered.
fn registered(rig: &mut Rig) -> Driver {
    let mut disk = rig.claim(task(4), DISK);
    lend(rig, LENT, true);
    assert_eq!(disk.register(rig, 8), Ok(u64::from(NUMBER)));
    rig.around.borrow_mut().lease = None;
    disk
}

fn pins(rig: &Rig) -> usize {
    rig.around.borrow().pins.len()
}

fn lender_dies(rig: &mut Rig) {
    rig.around.borrow_mut().dead.push(7);
    rig.server.on_held_death();
    assert!(rig.server.is_at_rest());
}

/// So much time passes that the deadline is over, and the server hears of it.
fn wait(rig: &mut Rig) {
    let due = rig.server.take_new_deadline().expect("a deadline");
    rig.smmu.0.borrow_mut().time = due;
    rig.server.on_timer();
    assert!(rig.server.is_at_rest());
}

fn successor(rig: &Rig) -> Rig {
    let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    next
}

#[test]
fn pages_are_mapped_and_unmapped_without_the_lender() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    let iova = disk.map(&mut rig, NUMBER, 3, 2, BOTH, 0).unwrap();
    assert_eq!(rig.reach(0x100, iova + 4096), Some(LENT + 4 * 4096));
    disk.unmap(&mut rig, iova, 1).unwrap();
    assert_eq!(rig.reach(0x100, iova), None, "strict, page by page");
    assert!(rig.reach(0x100, iova + 4096).is_some());
    disk.unmap(&mut rig, iova + 4096, 1).unwrap();
    assert_eq!(pins(&rig), 1, "pinned once");
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    assert_eq!(disk.unregister(&mut rig, NUMBER), Ok(0));
    assert_eq!(pins(&rig), 0);
    assert_eq!(
        disk.map(&mut rig, NUMBER, 0, 1, BOTH, 0),
        Err(Error::BadMemory)
    );
}

#[test]
fn only_what_the_plan_lends_is_registered() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    assert_eq!(disk.register(&mut rig, 8), Err(Error::NoLease));
    for (pa, writable, pages, error) in [
        (LENT + 4096, true, 8, Error::BadMemory),
        (POOL, true, 8, Error::BadMemory),
        (LENT, true, LENT_PAGES + 1, Error::BadMemory),
        (LENT, false, 8, Error::BadPermissions),
        (LENT, true, 0, Error::Malformed),
    ] {
        lend(&rig, pa, writable);
        assert_eq!(
            disk.register(&mut rig, pages),
            Err(error),
            "{pa:#x} {pages}"
        );
        assert_eq!(pins(&rig), 0, "a pin that is of no use is lifted");
    }
    // The plan lends the right device's driver another task's pool, and no other task's.
    let request = Register {
        head: disk.head(),
        extent: Extent { first: 0, pages: 8 },
        lease: 0,
        lender: task(6).0,
    };
    let words = userlib::protocol::Wire::to_words(&request);
    let (code, _) = rig.now(task(4), Operation::Register, &words[..5]);
    assert_eq!(Error::from_code(code), Some(Error::BadMemory));
    rig.around.borrow_mut().pin_code = Some(abi::Code::EXHAUSTED);
    assert_eq!(disk.register(&mut rig, 8), Err(Error::PinsExhausted));
}

#[test]
fn a_pool_is_registered_once() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    lend(&rig, LENT, true);
    assert_eq!(disk.register(&mut rig, 8), Ok(u64::from(NUMBER)), "again");
    assert_eq!(disk.register(&mut rig, 4), Err(Error::Overlap));
    assert_eq!(pins(&rig), 1);
}

#[test]
fn what_is_mapped_of_it_stays_within() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    let mut map = |first, pages, flags| disk.map(&mut rig, NUMBER, first, pages, flags, 0);
    assert_eq!(map(7, 2, BOTH), Err(Error::BadMemory));
    assert_eq!(map(0, 8, MapFlags(2)), Err(Error::BadPermissions));
    assert_eq!(
        map(0, 8, BOTH.with(MapFlags::BLOCKS)),
        Err(Error::BadMemory)
    );
    assert!(map(0, 8, BOTH).is_ok());
    for other in [REGISTERED, NUMBER + 1, u16::MAX, 1, 7] {
        assert_eq!(
            disk.map(&mut rig, other, 0, 1, BOTH, 0),
            Err(Error::BadMemory)
        );
        assert_eq!(disk.unregister(&mut rig, other), Err(Error::BadMemory));
    }
}

#[test]
fn a_pool_to_read_is_not_written() {
    let mut rig = Rig::booted();
    let mut edu = rig.claim(task(5), EDU);
    lend(&rig, LENT, false);
    assert_eq!(edu.register(&mut rig, 4), Ok(u64::from(REGISTERED)));
    assert_eq!(
        edu.map(&mut rig, REGISTERED, 0, 1, BOTH, 0),
        Err(Error::BadPermissions)
    );
    let iova = edu
        .map(&mut rig, REGISTERED, 0, 1, MapFlags::READ, 0)
        .unwrap();
    assert_eq!(rig.reach(0x008, iova), None);
    // The number is the device's, not another's.
    let mut disk = registered(&mut rig);
    assert_eq!(
        disk.map(&mut rig, REGISTERED, 0, 1, BOTH, 0),
        Err(Error::BadMemory)
    );
    assert_eq!(
        edu.map(&mut rig, NUMBER, 0, 1, MapFlags::READ, 0),
        Err(Error::BadMemory)
    );
}

#[test]
fn a_pool_in_use_is_not_given_back() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    disk.map_any(&mut rig, 0, 1);
    let iova = disk.map(&mut rig, NUMBER, 7, 1, BOTH, 0).unwrap();
    assert_eq!(disk.unregister(&mut rig, NUMBER), Err(Error::Overlap));
    disk.unmap(&mut rig, iova, 1).unwrap();
    assert_eq!(disk.unregister(&mut rig, NUMBER), Ok(0));
}

#[test]
fn a_release_and_a_death_give_it_back() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    assert!(matches!(disk.release(&mut rig), Reply::Now { code: 0, .. }));
    assert_eq!(pins(&rig), 0);
    let mut disk = registered(&mut rig);
    disk.map(&mut rig, NUMBER, 0, 8, BOTH, 0).unwrap();
    assert_eq!(disk.release(&mut rig), Reply::Later);
    assert_eq!(pins(&rig), 1, "until it is quiet");
    rig.server.on_quiesced();
    assert_eq!(pins(&rig), 0);
    let mut disk = registered(&mut rig);
    disk.map(&mut rig, NUMBER, 0, 8, BOTH, 0).unwrap();
    rig.die(4);
    assert_eq!(pins(&rig), 1, "until it is quiet");
    rig.server.on_quiesced();
    assert_eq!((pins(&rig), rig.is_held(DISK)), (0, false));
}

#[test]
fn an_idle_pool_goes_with_its_lender() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    disk.map_any(&mut rig, 0, 1);
    lender_dies(&mut rig);
    assert_eq!(pins(&rig), 0);
    assert!(
        rig.around.borrow().posts.is_empty(),
        "nothing is to be done"
    );
    assert_eq!(
        disk.map(&mut rig, NUMBER, 0, 1, BOTH, 0),
        Err(Error::BadMemory)
    );
    assert_eq!(rig.status(DISK).mapped_pages, 1, "all else goes on");
    assert_eq!(rig.server.take_new_deadline(), None);
}

#[test]
fn a_pool_in_use_goes_with_its_last_page() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    let one = disk.map(&mut rig, NUMBER, 0, 1, BOTH, 0).unwrap();
    let two = disk.map(&mut rig, NUMBER, 5, 2, BOTH, 0).unwrap();
    lender_dies(&mut rig);
    assert_eq!(
        disk.map(&mut rig, NUMBER, 0, 1, BOTH, 0),
        Err(Error::BadMemory)
    );
    assert_eq!(disk.register(&mut rig, 8), Err(Error::Busy));
    disk.unmap(&mut rig, one, 1).unwrap();
    assert_eq!(pins(&rig), 1);
    disk.unmap_list(&mut rig, &[((two >> 12) as u32, 2)])
        .unwrap();
    assert_eq!(pins(&rig), 0);
    wait(&mut rig);
    assert!(
        rig.status(DISK).flags.has(StatusFlags::CLAIMED),
        "it was in time"
    );
    assert_eq!(rig.around.borrow().posts, [4], "told once, at the death");
}

#[test]
fn a_driver_that_does_not_unmap_loses_its_device() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    let iova = disk.map(&mut rig, NUMBER, 0, 1, BOTH, 0).unwrap();
    lender_dies(&mut rig);
    assert!(rig.reach(0x100, iova).is_some(), "it has time");
    assert_eq!(rig.around.borrow().posts, [4], "its driver is told");
    wait(&mut rig);
    assert!(rig.logged("Overdue"));
    assert_eq!(rig.reach(0x100, iova), None);
    assert_eq!(pins(&rig), 1, "until it is quiet");
    assert_eq!(rig.around.borrow().posts, [4, 4], "and once more");
    assert_eq!(disk.unmap(&mut rig, iova, 1), Err(Error::StaleHandle));
    rig.server.on_quiesced();
    assert_eq!((pins(&rig), rig.is_held(DISK)), (0, false));
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    // The same life could touch it meanwhile: it is made quiet again before it has the device again.
    let started = rig.around.borrow().started.len();
    rig.claim(task(4), DISK);
    assert_eq!(rig.around.borrow().started.len(), started + 1);
}

/// Whatever wakes the server meanwhile.
#[test]
fn a_driver_has_its_time_to_unmap() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    let iova = disk.map(&mut rig, NUMBER, 0, 1, BOTH, 0).unwrap();
    let died = rig.smmu.0.borrow().time;
    lender_dies(&mut rig);
    rig.server.on_timer();
    assert!(!rig.logged("Overdue"));
    let due = rig.server.take_new_deadline().unwrap();
    let wait = crate::limits::LENDER_DEADLINE_NS;
    assert!((died + wait..died + wait + 100_000).contains(&due), "{due}");
    assert_eq!(disk.unmap(&mut rig, iova, 1), Ok(0));
    assert_eq!(pins(&rig), 0);
}

/// The disk is being taken away from a driver that lives on.
fn taken_away(rig: &mut Rig) {
    let mut disk = registered(rig);
    disk.map(rig, NUMBER, 0, 1, BOTH, 0).unwrap();
    lender_dies(rig);
    wait(rig);
}

fn starts(rig: &Rig) -> usize {
    rig.around.borrow().started.len()
}

#[test]
fn what_was_taken_away_is_made_quiet_for_the_next_life() {
    let mut rig = Rig::booted();
    taken_away(&mut rig);
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    // Until its death it had the registers of the quiet device.
    rig.die(4);
    let before = starts(&rig);
    rig.claim(life(4, 1), DISK);
    assert_eq!(starts(&rig), before + 1);
}

#[test]
fn who_dies_while_his_device_is_taken_away_has_it_made_quiet_once_more() {
    let mut rig = Rig::booted();
    taken_away(&mut rig);
    let before = starts(&rig);
    rig.die(4);
    rig.server.on_quiesced();
    // After its reset he may have begun something.
    assert_eq!(starts(&rig), before + 1);
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert_eq!((pins(&rig), rig.is_held(DISK)), (0, false));
    rig.claim(life(4, 1), DISK);
    assert_eq!(starts(&rig), before + 1, "nobody had it since");
}

#[test]
fn a_successor_knows_it() {
    let mut rig = Rig::booted();
    let mut disk = registered(&mut rig);
    let iova = disk.map(&mut rig, NUMBER, 2, 3, BOTH, 0).unwrap();
    let mut next = successor(&rig);
    assert!(!next.logged("Altered"));
    assert_eq!(pins(&next), 1);
    let mut disk = next.claim(task(4), DISK);
    assert_eq!(next.status(DISK).mapped_pages, 3);
    assert_eq!(next.reach(0x100, iova), Some(LENT + 2 * 4096));
    disk.unmap(&mut next, iova + 4096, 1).unwrap();
    assert_eq!(pins(&next), 1, "no lease that goes with its pages");
    assert!(disk.map(&mut next, NUMBER, 7, 1, BOTH, 0).is_ok());
    assert_eq!(
        disk.map(&mut next, NUMBER, 8, 1, BOTH, 0),
        Err(Error::BadMemory)
    );
    lend(&next, LENT, true);
    assert_eq!(disk.register(&mut next, 8), Ok(u64::from(NUMBER)));
}

/// A life of the server may end between the kernel's pin and its look at what was pinned.
#[test]
fn a_successor_gives_back_what_nobody_looked_at() {
    let whole = u64::from(LENT_PAGES);
    let all = LeaseAttributes::all();
    for (pa, pages, access) in [
        (LENT, whole + 1, all),
        (LENT + 4096, 8, all),
        (LENT - 4096, 8, all),
        (LENT, 8, LeaseAttributes::READ),
        (LENT, 8, LeaseAttributes::WRITE),
    ] {
        let mut rig = Rig::booted();
        registered(&mut rig);
        let slot = rig.around.borrow().pins[0].0;
        let place = (pa, pages * 4096);
        rig.around.borrow_mut().pinned.insert(slot, place);
        rig.around.borrow_mut().access.insert(slot, access);
        let mut next = successor(&rig);
        assert_eq!(pins(&next), 0, "{pa:#x}, {pages}, {access:?}");
        let mut disk = next.claim(task(4), DISK);
        let mapped = disk.map(&mut next, NUMBER, 0, 1, BOTH, 0);
        assert_eq!(mapped, Err(Error::BadMemory));
        lend(&next, LENT, true);
        assert_eq!(disk.register(&mut next, 8), Ok(u64::from(NUMBER)));
    }
}

#[test]
fn a_successor_ends_what_its_lender_left() {
    for mapped in [false, true] {
        let mut rig = Rig::booted();
        let mut disk = registered(&mut rig);
        disk.map_any(&mut rig, 0, 1);
        if mapped {
            disk.map(&mut rig, NUMBER, 2, 1, BOTH, 0).unwrap();
        }
        rig.around.borrow_mut().dead.push(7);
        let mut next = successor(&rig);
        assert_eq!(pins(&next), usize::from(mapped));
        if mapped {
            wait(&mut next);
            next.server.on_quiesced();
            assert_eq!(pins(&next), 0);
        }
    }
}

#[test]
fn a_pool_has_its_own_pages_and_no_others() {
    let mut rig = Rig::booted();
    registered(&mut rig);
    let end = LENT + 8 * PAGE;
    let of = |device: u32, address: u64| rig.server.kept.lent.end_of(index(device), address);
    for (address, within) in [
        (LENT - 1, false),
        (LENT, true),
        (end - 1, true),
        (end, false),
        (0, false),
    ] {
        assert_eq!(of(DISK, address), within.then_some(end), "{address:#x}");
        assert_eq!(of(EDU, address), None);
    }
}
