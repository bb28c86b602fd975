//! What the worst message of each kind costs: words of table memory looked at and written, and waits for the SMMU.

use std::vec::Vec;

use iommu_api::*;
use smmu::Command;

use super::rig::*;

const WINDOW: u64 = 1024;

/// Loads, stores and CMD_SYNCs so far.
fn spent(rig: &Rig) -> [u64; 3] {
    let fake = rig.smmu.0.borrow();
    let syncs = fake.commands.iter().filter(|c| **c == Command::Sync);
    [fake.loads, fake.stores, syncs.count() as u64]
}

/// What something costs.
fn cost(rig: &mut Rig, act: impl FnOnce(&mut Rig)) -> [u64; 3] {
    let before = spent(rig);
    act(rig);
    let after = spent(rig);
    [0, 1, 2].map(|at| after[at] - before[at])
}

/// The disk with its window full, through the same pages of its pool again and again.
fn full() -> (Rig, Driver) {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    for _ in 0..WINDOW / 64 {
        disk.map_any(&mut rig, 0, 64);
    }
    assert_eq!(rig.status(DISK).mapped_pages, WINDOW);
    (rig, disk)
}

const FIRST: u32 = (BASE >> 12) as u32;

#[test]
fn a_list_that_names_the_window_again_and_again_costs_one_window() {
    let (mut rig, mut disk) = full();
    let whole = [(FIRST, WINDOW as u32); 510];
    let [loads, stores, syncs] = cost(&mut rig, |rig| {
        let refused = disk.unmap_list(rig, &whole);
        assert_eq!(refused, Err(Error::NotMapped));
    });
    assert!(loads <= WINDOW, "{loads}");
    assert_eq!((stores, syncs), (0, 0));
    // Nothing was unmapped.
    assert_eq!(rig.status(DISK).mapped_pages, WINDOW);
    // In two halves, the second of them twice: the first wrong word still decides.
    let half = WINDOW as u32 / 2;
    let halves = [(FIRST, half), (FIRST + half, half), (FIRST + half, half)];
    assert_eq!(disk.unmap_list(&mut rig, &halves), Err(Error::NotMapped));
    for (wrong, error) in [
        ((FIRST, 0), Error::Malformed),
        ((FIRST + half, half + 1), Error::BadRange),
        ((7, 1), Error::BadRange),
    ] {
        let list = [whole.as_slice(), &[wrong]].concat();
        let list = &list[list.len() - 3..];
        assert_eq!(disk.unmap_list(&mut rig, list), Err(error));
    }
    assert_eq!(disk.unmap_list(&mut rig, &halves[..2]), Ok(0));
}

#[test]
fn a_list_in_any_order_finds_a_page_that_is_named_twice() {
    let (mut rig, mut disk) = full();
    let odd = |n: u32| (FIRST + (n * 7) % 510 * 2, 1);
    let mut list: Vec<(u32, u32)> = (0..510).map(odd).collect();
    list[509] = list[13];
    assert_eq!(disk.unmap_list(&mut rig, &list), Err(Error::NotMapped));
    // One that reaches into another, from either side.
    for (one, other) in [((4, 3), (6, 2)), ((6, 2), (4, 3)), ((4, 4), (5, 1))] {
        let list = [one, other].map(|(first, pages)| (FIRST + first, pages));
        assert_eq!(disk.unmap_list(&mut rig, &list), Err(Error::NotMapped));
    }
    assert_eq!(rig.status(DISK).mapped_pages, WINDOW);
    list[509] = odd(509);
    let [loads, stores, syncs] = cost(&mut rig, |rig| {
        assert_eq!(disk.unmap_list(rig, &list), Ok(0));
    });
    assert_eq!(loads, 510);
    // One, and one whenever the queue of 16 is full.
    assert!(syncs <= 1 + 510 / 15, "{syncs}");
    // Entries, and 16 bytes a command.
    assert!(stores <= 510 + 2 * (510 + syncs), "{stores}");
}

#[test]
fn a_fragmented_window_is_emptied_with_one_wait() {
    for dies in [false, true] {
        let (mut rig, mut disk) = full();
        let holes: Vec<(u32, u32)> = (0..WINDOW as u32 / 2).map(|n| (FIRST + n * 2, 1)).collect();
        for part in holes.chunks(500) {
            disk.unmap_list(&mut rig, part).unwrap();
        }
        if dies {
            rig.die(4);
        } else {
            disk.release(&mut rig);
        }
        let [loads, stores, syncs] = cost(&mut rig, |rig| rig.server.on_quiesced());
        assert!(!rig.is_held(DISK));
        assert!(loads <= WINDOW + WINDOW / 2 + 16, "{loads}");
        assert!(stores <= WINDOW / 2 + 32, "{stores}");
        // Closing the streams has two of its own.
        assert!(syncs <= 4, "{syncs}");
        assert_eq!(rig.status(DISK).mapped_pages, 0);
    }
}

#[test]
fn what_is_emptied_is_forgotten_by_the_smmu_too() {
    let (mut rig, mut disk) = full();
    for page in 0..WINDOW {
        assert!(rig.reach(0x100, BASE + page * 4096).is_some());
    }
    disk.release(&mut rig);
    rig.server.on_quiesced();
    rig.claim(task(4), DISK);
    for page in 0..WINDOW {
        assert_eq!(rig.reach(0x100, BASE + page * 4096), None, "{page}");
    }
}

#[test]
fn a_search_looks_at_each_entry_once_at_most() {
    let (mut rig, mut disk) = full();
    let none = |rig: &mut Rig, disk: &mut Driver, pages| {
        cost(rig, |rig| {
            let refused = disk.map(rig, 0, 0, pages, MapFlags::READ, 0);
            assert_eq!(refused, Err(Error::NoSpace));
        })
    };
    // Full: there is nothing to look for.
    assert_eq!(none(&mut rig, &mut disk, 1), [0, 0, 0]);
    for page in [0, 100, 500, 800, 1023] {
        disk.unmap(&mut rig, BASE + page * 4096, 1).unwrap();
    }
    // More than there is.
    assert_eq!(none(&mut rig, &mut disk, 6), [0, 0, 0]);
    let [loads, ..] = none(&mut rig, &mut disk, 2);
    assert!(loads <= WINDOW, "{loads}");
    // And again, as nothing has been given back.
    assert_eq!(none(&mut rig, &mut disk, 2), [0, 0, 0]);
    disk.unmap(&mut rig, BASE + 501 * 4096, 1).unwrap();
    let iova = disk.map(&mut rig, 0, 0, 2, MapFlags::READ, 0);
    assert_eq!(iova, Ok(BASE + 500 * 4096));
}

#[test]
fn a_run_around_the_place_where_the_search_began_is_found() {
    let mut rig = Rig::booted();
    let mut disk = rig.claim(task(4), DISK);
    let page = |n: u64| BASE + n * 4096;
    let fixed = MapFlags::READ.with(MapFlags::FIXED);
    for first in (600..WINDOW).step_by(8) {
        disk.map(&mut rig, 0, 0, 8, fixed, page(first)).unwrap();
    }
    // Looks as far ahead as it likes; the next search goes on there, in the middle of what is free.
    assert_eq!(disk.map_any(&mut rig, 0, 1), page(0));
    let pages = |count: u64| -> Vec<(u32, u32)> { (0..count / 8).map(|_| (0, 8)).collect() };
    assert_eq!(disk.map_list(&mut rig, &pages(608)), Err(Error::NoSpace));
    let [loads, ..] = cost(&mut rig, |rig| {
        assert_eq!(disk.map_list(rig, &pages(400)), Ok(page(1)));
    });
    assert!(loads <= WINDOW, "{loads}");
}
