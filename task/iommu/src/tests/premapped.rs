//! Domains in which the build step has mapped the owner's pool for good.

use iommu_api::*;
use plan::iommu::{DomainEntry, Invalidation, PremappedEntry, PremappedKind};
use std::vec::Vec;

use super::rig::*;
use crate::Reply;
use crate::boot_refusal::Refusal;
use crate::plan_view::PlanView;
use crate::premapped::{self, is_in_window};

const STREAM: u32 = 0x100;
/// Pages of the pool, of which the build step has mapped all.
const PAGES: u64 = 16;

/// The usual machine, the first pool of `disk`'s owner mapped from the window's first page on.
pub fn premapped_plan() -> PlanView<'static> {
    let mut plan = plan();
    let mut domains = plan.domains.to_vec();
    let number = plan.devices[DISK as usize].domain;
    domains[number as usize].invalidation = Invalidation::Premapped as u32;
    plan.domains = Vec::leak(domains);
    let mut premapped = plan.premapped.to_vec();
    premapped.push(PremappedEntry {
        domain: number,
        kind: PremappedKind::Pool as u32,
        task: 4,
        pool: 0,
        iova: BASE,
        pa: POOL,
        len: PAGES * PAGE,
        memory: vmsa::Memory::NormalWriteBack as u32,
        reserved: 0,
    });
    plan.premapped = Vec::leak(premapped);
    plan
}

fn claimed() -> (Rig, Driver) {
    let mut rig = Rig::planned(premapped_plan());
    rig.server.boot();
    assert_eq!(
        rig.reach(STREAM, BASE),
        None,
        "closed before the first claim"
    );
    let disk = rig.claim(task(4), DISK);
    (rig, disk)
}

#[test]
fn a_map_gives_the_place_that_the_pool_has() {
    let (mut rig, mut disk) = claimed();
    let page = |n: u64| BASE + n * PAGE;
    assert_eq!(rig.reach(STREAM, page(3) + 5), Some(POOL + 3 * PAGE + 5));
    for (first, pages) in [(0, 1), (3, 2), (15, 1), (0, 16)] {
        let iova = disk.map(&mut rig, 0, first, pages, MapFlags::READ_WRITE, 0);
        assert_eq!(iova, Ok(page(u64::from(first))));
    }
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    assert_eq!(
        rig.reach(STREAM, page(PAGES)),
        None,
        "nothing was mapped behind it"
    );
}

#[test]
fn an_unmap_takes_nothing_away() {
    let (mut rig, mut disk) = claimed();
    for (page, pages) in [(0, 1), (3, 2), (0, PAGES)] {
        disk.unmap(&mut rig, BASE + page * PAGE, pages).unwrap();
        assert_eq!(
            rig.reach(STREAM, BASE + page * PAGE),
            Some(POOL + page * PAGE)
        );
    }
    for (iova, pages, error) in [
        (BASE, PAGES + 1, Error::NotMapped),
        (BASE + PAGES * PAGE, 1, Error::NotMapped),
        (BASE + (PAGES - 1) * PAGE, 2, Error::NotMapped),
        (BASE + 1, 1, Error::BadRange),
        (BASE - PAGE, 1, Error::BadRange),
        (BASE, 0, Error::Malformed),
        (BASE, u64::MAX, Error::BadRange),
    ] {
        assert_eq!(
            disk.unmap(&mut rig, iova, pages),
            Err(error),
            "{iova:#x} {pages}"
        );
    }
    assert_eq!(rig.reach(STREAM, BASE), Some(POOL));
}

#[test]
fn everything_else_is_strict() {
    let (mut rig, mut disk) = claimed();
    let behind = BASE + PAGES * PAGE;
    let read = disk.map(&mut rig, 0, 2, 1, MapFlags::READ, 0).unwrap();
    assert!(read >= behind, "where it could be written");
    assert_eq!(rig.read(STREAM, read), Some(POOL + 2 * PAGE));
    assert_eq!(rig.reach(STREAM, read), None);
    let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
    let over = disk.map(&mut rig, 0, 2, 1, fixed, BASE + 2 * PAGE);
    assert_eq!(over, Err(Error::Overlap));
    let list = disk.map_list(&mut rig, &[(5, 1), (1, 1)]).unwrap();
    assert!(list >= behind);
    assert_eq!(rig.reach(STREAM, list), Some(POOL + 5 * PAGE));
    assert_eq!(
        disk.unmap_list(&mut rig, &[((BASE / PAGE) as u32, 1)]),
        Err(Error::NotMapped)
    );
    assert_eq!(rig.status(DISK).mapped_pages, 3);
    disk.unmap(&mut rig, list, 2).unwrap();
    disk.unmap(&mut rig, read, 1).unwrap();
    assert_eq!(rig.reach(STREAM, list), None);
    assert_eq!(rig.status(DISK).mapped_pages, 0);
}

#[test]
fn beyond_the_pool_is_bad_memory() {
    let (mut rig, mut disk) = claimed();
    let pages = (rig.server.plan.pools[0].len / PAGE) as u32;
    for (first, count) in [(pages, 1), (pages - 1, 2), (u32::MAX, 1), (1, u32::MAX)] {
        let beyond = disk.map(&mut rig, 0, first, count, MapFlags::READ_WRITE, 0);
        assert_eq!(beyond, Err(Error::BadMemory));
    }
    let iova = disk.map(&mut rig, 0, 0, 1, MapFlags::READ_WRITE, BASE);
    assert_eq!(iova, Err(Error::Malformed), "an IOVA that is not asked for");
}

#[test]
fn a_release_makes_it_quiet_and_keeps_the_entries() {
    let (mut rig, mut disk) = claimed();
    assert_eq!(
        disk.release(&mut rig),
        Reply::Later,
        "though no request mapped anything"
    );
    assert_eq!(rig.reach(STREAM, BASE), None);
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    rig.claim(task(4), DISK);
    assert_eq!(rig.reach(STREAM, BASE), Some(POOL));
}

#[test]
fn a_death_is_contained_and_a_restart_goes_on() {
    let (mut rig, _) = claimed();
    rig.die(4);
    assert_eq!(rig.reach(STREAM, BASE), None);
    assert!(
        rig.is_held(DISK),
        "its pool can be written until the device is quiet"
    );
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    rig.around.borrow_mut().holds.clear();
    rig.claim(task(4), DISK);
    assert_eq!(rig.reach(STREAM, BASE), Some(POOL));
}

#[test]
fn a_successor_finds_nothing_of_a_claim_in_it() {
    let (rig, _) = claimed();
    let mut next = Rig::with(premapped_plan(), rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert_eq!(next.reach(STREAM, BASE), Some(POOL));
    assert_eq!(next.status(DISK).mapped_pages, 0);
    next.die(4);
    next.server.on_quiesced();
    assert_eq!(next.reach(STREAM, BASE), None);
}

/// What the build step mapped is compared by a successor: each entry, and that none is missing.
#[test]
fn a_pool_that_is_not_mapped_as_planned_closes_the_domain() {
    let leaf = |rig: &Rig, page: u64| {
        let offset = rig.server.plan.domains[0].leaf + page * 8;
        (offset, rig.smmu.0.borrow().word(offset))
    };
    type Spoil = fn(u64, u64) -> u64;
    let spoils: [(u64, Spoil); 6] = [
        (3, |_, _| 0),
        (PAGES - 1, |_, _| 0),
        (3, |word, _| word + PAGE),
        (3, |word, _| word ^ 1 << 7),
        (PAGES, |_, before| before + PAGE),
        (PAGES + 4, |_, before| before + PAGE),
    ];
    for (page, spoil) in spoils {
        let (rig, _) = claimed();
        let (_, before) = leaf(&rig, PAGES - 1);
        let (offset, word) = leaf(&rig, page);
        let spoilt = spoil(word, before);
        rig.smmu.0.borrow_mut().put(offset, &[spoilt]);
        let mut next = Rig::with(premapped_plan(), rig.smmu.clone(), rig.around.clone());
        next.server.boot();
        assert!(next.logged("Altered"), "page {page}: {word:#x} {spoilt:#x}");
        assert_eq!(next.reach(STREAM, BASE), None);
        assert!(next.status(DISK).flags.has(StatusFlags::STORM));
        assert!(next.is_held(DISK) && !next.is_bus_master(DISK));
    }
}

/// Two pools that are mapped for good: each has its own place.
#[test]
fn a_map_gives_the_place_of_its_own_pool() {
    const MORE: u64 = POOL + 0x8_0000;
    let mut plan = premapped_plan();
    let mut pools = plan.pools.to_vec();
    let second = plan::iommu::PoolEntry {
        pool: 1,
        pa: MORE,
        len: 4 * PAGE,
        ..pools[0]
    };
    pools.insert(1, second);
    plan.pools = Vec::leak(pools);
    let mut premapped = plan.premapped.to_vec();
    premapped.push(PremappedEntry {
        pool: 1,
        iova: BASE + PAGES * PAGE,
        pa: MORE,
        len: 4 * PAGE,
        ..premapped[0]
    });
    plan.premapped = Vec::leak(premapped);
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    let mut disk = rig.claim(task(4), DISK);
    for (pool, first, place) in [(0, 1, 1), (1, 1, PAGES + 1), (1, 3, PAGES + 3)] {
        let iova = disk.map(&mut rig, pool, first, 1, MapFlags::READ_WRITE, 0);
        assert_eq!(iova, Ok(BASE + place * PAGE));
    }
    assert_eq!(
        rig.reach(STREAM, BASE + (PAGES + 1) * PAGE),
        Some(MORE + PAGE)
    );
    // The first pool is larger than what is mapped of it, the second has no fifth page.
    let beyond = disk
        .map(&mut rig, 0, PAGES as u32, 1, MapFlags::READ_WRITE, 0)
        .unwrap();
    assert!(beyond >= BASE + (PAGES + 4) * PAGE, "a page of its own");
    let none = disk.map(&mut rig, 1, 4, 1, MapFlags::READ_WRITE, 0);
    assert_eq!(none, Err(Error::BadMemory));
}

/// Two domains of one owner have its pool at two places.
#[test]
fn a_map_gives_the_place_in_its_own_domain() {
    const BEHIND: u64 = 8;
    let mut plan = plan();
    let mut domains = plan.domains.to_vec();
    let range = |domain: u32, page: u64| PremappedEntry {
        domain,
        kind: PremappedKind::Pool as u32,
        task: 5,
        pool: 0,
        iova: BASE + page * PAGE,
        pa: POOL + 0x10_0000,
        len: PAGES * PAGE,
        memory: vmsa::Memory::NormalWriteBack as u32,
        reserved: 0,
    };
    let [first, second] = [EDU, LEFT].map(|device| plan.devices[device as usize].domain);
    for domain in [first, second] {
        domains[domain as usize].invalidation = Invalidation::Premapped as u32;
    }
    plan.domains = Vec::leak(domains);
    plan.premapped = Vec::leak([range(first, 0), range(second, BEHIND)].to_vec());
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    for (device, stream, place) in [(EDU, 0x008, 0), (LEFT, 0x010, BEHIND)] {
        let mut driver = rig.claim(task(5), device);
        let iova = driver.map(&mut rig, 0, 3, 2, MapFlags::READ_WRITE, 0);
        assert_eq!(iova, Ok(BASE + (place + 3) * PAGE));
        let page = POOL + 0x10_0000 + 3 * PAGE;
        assert_eq!(rig.reach(stream, iova.unwrap()), Some(page));
        // Where the other domain has the pool, or only that one, nothing is mapped here.
        let beside = if place == 0 { PAGES } else { 0 };
        let iova = BASE + beside * PAGE;
        assert_eq!(driver.unmap(&mut rig, iova, 1), Err(Error::NotMapped));
        assert_eq!(driver.unmap(&mut rig, BASE + PAGES / 2 * PAGE, 1), Ok(0));
    }
}

#[test]
fn a_range_is_of_the_window_from_its_first_page_to_its_last() {
    let plan = premapped_plan();
    let (domain, range) = (&plan.domains[0], &plan.premapped[0]);
    let pages = domain.pages;
    for (page, within) in [
        (0, true),
        (pages - 1, true),
        (pages, false),
        (pages + 9, false),
    ] {
        let iova = BASE + page * PAGE;
        let range = PremappedEntry { iova, ..*range };
        assert_eq!(is_in_window(domain, &range), within, "{page}");
    }
    let below = PremappedEntry {
        iova: BASE - PAGE,
        ..*range
    };
    assert!(!is_in_window(domain, &below));
}

#[test]
fn a_table_lies_in_table_memory_to_its_end() {
    let rig = Rig::booted();
    let (mut hardware, smmu) = (rig.smmu.clone(), plan().smmus[0]);
    let mut check = |root| {
        let domain = DomainEntry { root, ..domain(0) };
        premapped::check(&mut hardware, &smmu, &domain, [].iter(), 39)
    };
    assert_eq!(check(smmu.tables_len - 0x1000), Ok(()));
    for beyond in [8, 0x800, 0x1000] {
        let refused = check(smmu.tables_len - 0x1000 + beyond);
        assert_eq!(refused, Err(Refusal::PageTables), "{beyond:x}");
    }
}

/// Behind the entries of a window come others, which are as the build step left them.
#[test]
fn an_entry_behind_a_window_is_compared() {
    for beyond in [None, Some(4), Some(5)] {
        let mut rig = Rig::booted();
        let mut edu = rig.claim(task(5), EDU);
        let flags = MapFlags::READ_WRITE.with(MapFlags::BLOCKS);
        let iova = edu.map(&mut rig, 1, 0, 512, flags, 0).unwrap();
        if let Some(entry) = beyond {
            let first = rig.server.plan.domains[1].block_entries;
            let word = rig.smmu.0.borrow().word(first);
            rig.smmu.0.borrow_mut().put(first + entry * 8, &[word]);
        }
        let mut next = Rig::over(rig.smmu.clone(), rig.around.clone());
        next.server.boot();
        assert_eq!(next.reach(0x008, iova).is_some(), beyond.is_none());
    }
}

/// Nothing is mapped right behind what stays mapped, nor far behind it.
#[test]
fn an_unmap_behind_the_pool_finds_nothing() {
    let (mut rig, mut disk) = claimed();
    assert_eq!(disk.unmap(&mut rig, BASE + 15 * PAGE, 1), Ok(0));
    for (page, pages) in [(16, 1), (20, 1), (15, 2), (1023, 1)] {
        let none = disk.unmap(&mut rig, BASE + page * PAGE, pages);
        assert_eq!(none, Err(Error::NotMapped), "{page} {pages}");
    }
}
