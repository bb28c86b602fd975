//! A domain in which a device reaches its owner's pools without a request.

use iommu_api::*;
use plan::iommu::{DomainKind, PremappedEntry, PremappedKind};
use std::vec::Vec;
use vmsa::{Granule, Memory};

use super::fake::TABLES_PA;
use super::rig::*;
use crate::Reply;
use crate::plan_view::PlanView;

const STREAM: u32 = 0x100;
const PAGES: u64 = 64;
/// The root table of the disk's domain.
const ROOT: u64 = 0x1_0000;

/// A place of the pool that a level-1 table does not reach.
const FAR: u64 = (3 << 39) + POOL;

/// The disk's domain is one.
pub fn identity_plan() -> PlanView<'static> {
    identity_plan_at(POOL)
}

fn identity_plan_at(pa: u64) -> PlanView<'static> {
    let mut plan = plan();
    let mut domains = plan.domains.to_vec();
    domains[0].kind = DomainKind::Identity as u32;
    domains[0].pages = 0;
    domains[0].blocks = 0;
    plan.domains = Vec::leak(domains);
    plan.premapped = Vec::leak(std::vec![PremappedEntry {
        domain: 0,
        kind: PremappedKind::Identity as u32,
        task: 4,
        pool: 0,
        iova: pa,
        pa,
        len: PAGES * PAGE,
        memory: Memory::NormalWriteBack as u32,
        reserved: 0,
    }]);
    plan
}

#[test]
fn open_from_claim_to_release_over_the_pool() {
    open_from_claim_to_release(POOL);
}

#[test]
fn memory_beyond_39_bits_is_open_in_the_same_way() {
    open_from_claim_to_release(FAR);
}

#[test]
fn what_is_mapped_beside_far_memory_is_seen() {
    for (at, word) in [
        // The same tables below another entry of the root, and a table of the window's that is not linked.
        (
            ROOT + 4 * 8,
            vmsa::table(Granule::Size4K, TABLES_PA + ROOT + 0x7000),
        ),
        (ROOT, 0),
        (ROOT + 3 * 8, 0),
    ] {
        let mut rig = Rig::planned(with_window(identity_plan_at(FAR)));
        rig.smmu.0.borrow_mut().put(at, &[word]);
        rig.server.boot();
        assert!(rig.logged("why: PageTables"), "{at:#x} {word:#x}");
    }
    let mut rig = Rig::planned(with_window(identity_plan_at(FAR)));
    rig.server.boot();
    assert!(!rig.logged("why:"));
}

/// The same range in a domain with a window, as one of a direct region.
fn with_window(mut plan: PlanView<'static>) -> PlanView<'static> {
    let mut domains = plan.domains.to_vec();
    domains[0] = domain(0);
    plan.domains = Vec::leak(domains);
    let mut ranges = plan.premapped.to_vec();
    ranges[0].kind = PremappedKind::Direct as u32;
    plan.premapped = Vec::leak(ranges);
    plan
}

fn booted() -> Rig {
    let mut rig = Rig::planned(identity_plan());
    rig.server.boot();
    rig
}

fn open_from_claim_to_release(pool: u64) {
    let mut rig = Rig::planned(identity_plan_at(pool));
    rig.server.boot();
    assert_eq!(rig.read(STREAM, pool), None);
    assert!(!rig.is_bus_master(DISK));
    let mut disk = rig.claim(task(4), DISK);
    for page in [0, PAGES - 1] {
        let at = pool + page * PAGE;
        assert_eq!(rig.reach(STREAM, at), Some(at));
    }
    for outside in [pool - PAGE, pool + PAGES * PAGE, BASE, 0] {
        assert_eq!(rig.read(STREAM, outside), None);
    }
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags::READ_WRITE, 0),
        Err(Error::NoSpace)
    );
    assert_eq!(disk.unmap(&mut rig, pool, 1), Err(Error::BadRange));
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    // By no word of its owner: the pool was within reach all the time.
    assert!(matches!(disk.release(&mut rig), Reply::Later));
    assert_eq!(rig.read(STREAM, pool), None);
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.read(STREAM, pool), None);
}

#[test]
fn a_successor_does_not_let_go_what_was_not_made_quiet() {
    let mut rig = booted();
    let mut disk = rig.claim(task(4), DISK);
    assert!(matches!(disk.release(&mut rig), Reply::Later));
    let mut next = Rig::with(identity_plan(), rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert!(next.is_held(DISK));
    assert_eq!(next.read(STREAM, POOL), None);
    let mut disk = next.claim(task(4), DISK);
    let mapped = disk.map(&mut next, 0, 0, 1, MapFlags::READ_WRITE, 0);
    assert_eq!(mapped, Err(Error::StreamBlocked));
    assert!(matches!(disk.release(&mut next), Reply::Later));
    next.server.on_quiesced();
    assert!(!next.is_held(DISK));
}
