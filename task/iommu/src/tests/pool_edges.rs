//! Pools that clients lend, with other memory right beside them, and the ends of their lenders.

use iommu_api::*;
use plan::iommu::{LentPoolEntry, PoolEntry};
use std::vec::Vec;

use super::rig::*;
use crate::hardware::Pinned;
use crate::plan_view::PlanView;

/// Pages of the lent pool.
const PAGES: u64 = 4;

/// The usual machine; the pool that is lent to a device lies between two pools of its driver's.
fn between(device: u32) -> PlanView<'static> {
    let mut plan = plan();
    let owner = plan.devices[device as usize].owner;
    let mut pools: Vec<PoolEntry> = plan.pools.to_vec();
    pools.retain(|pool| pool.task != owner && pool.task != 7);
    let pool = |task, pool, pa, pages| PoolEntry {
        task,
        pool,
        pa,
        len: pages * PAGE,
    };
    pools.push(pool(owner, 0, LENT - 8 * PAGE, 8));
    pools.push(pool(owner, 1, LENT + PAGES * PAGE, 8));
    pools.push(pool(7, 0, LENT, PAGES));
    pools.sort_by_key(|pool| (pool.task, pool.pool));
    plan.pools = pools.leak();
    plan.lent_pools = Vec::from([LentPoolEntry {
        device,
        task: 7,
        pool: 0,
        writable: 1,
        pages: PAGES,
    }])
    .leak();
    plan
}

fn registered(device: u32) -> (Rig, Driver, u16) {
    let mut rig = Rig::planned(between(device));
    rig.server.boot();
    let owner = rig.server.plan.devices[device as usize].owner;
    let mut driver = rig.claim(task(owner as u8), device);
    rig.around.borrow_mut().lease = Some(Pinned {
        slot: 0,
        pa: LENT,
        readable: true,
        writable: true,
    });
    let number = driver.register(&mut rig, PAGES as u32).unwrap() as u16;
    (rig, driver, number)
}

/// Also of a device whose pages have another mark than the first of its alias set.
#[test]
fn a_page_of_a_row_keeps_its_pool() {
    for device in [DISK, RIGHT] {
        for (own, lent, behind) in [(1, 1, 0), (8, 4, 8), (0, 1, 1), (0, 4, 0), (3, 4, 1)] {
            let (mut rig, mut driver, number) = registered(device);
            let lone = if behind > 0 { PAGES as u32 - lent } else { 0 };
            let parts = [(0, 8 - own, own), (number, lone, lent), (1, 0, behind)];
            let mut at = BASE;
            let fixed = MapFlags::READ_WRITE.with(MapFlags::FIXED);
            for (pool, first, pages) in parts.into_iter().filter(|part| part.2 > 0) {
                let mapped = driver.map(&mut rig, pool, first, pages, fixed, at);
                assert_eq!(mapped, Ok(at));
                at += u64::from(pages) * PAGE;
            }
            let given = driver.unregister(&mut rig, number);
            assert_eq!(given, Err(Error::Overlap), "{device} {own} {lent} {behind}");
            let start = BASE + u64::from(own) * PAGE;
            driver.unmap(&mut rig, start, lent.into()).unwrap();
            // What lies beside it is no part of it.
            assert_eq!(driver.unregister(&mut rig, number), Ok(0));
            assert!(rig.around.borrow().pins.is_empty());
        }
    }
}

/// A device that was taken away for a dead lender is taken away once, and nobody is woken for it again.
#[test]
fn an_overdue_pool_is_looked_at_once() {
    let (mut rig, mut driver, number) = registered(DISK);
    driver
        .map(&mut rig, number, 0, 1, MapFlags::READ_WRITE, 0)
        .unwrap();
    let _ = rig.server.take_new_deadline();
    rig.around.borrow_mut().timer = None;
    rig.around.borrow_mut().dead.push(7);
    rig.server.on_held_death();
    let due = rig.server.take_new_deadline();
    let due = due.or(rig.around.borrow_mut().timer.take()).unwrap();
    rig.smmu.0.borrow_mut().time = due;
    rig.server.on_timer();
    assert!(!rig.is_bus_master(DISK));
    assert_eq!(rig.server.take_new_deadline(), None);
    let posts = rig.around.borrow().posts.len();
    rig.server.on_timer();
    assert_eq!(rig.around.borrow().posts.len(), posts);
    assert_eq!(rig.server.take_new_deadline(), None);
}

#[test]
fn a_window_without_pages_has_no_pools() {
    let mut plan = between(DISK);
    let mut domains = plan.domains.to_vec();
    domains[0].pages = 0;
    plan.domains = domains.leak();
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    let mut disk = rig.claim(task(4), DISK);
    let none = disk.register(&mut rig, PAGES as u32);
    assert_eq!(none, Err(Error::NoSpace));
}
