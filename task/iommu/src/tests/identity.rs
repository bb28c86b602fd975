//! A domain in which a device reaches its owner's pools without a request.

use iommu_api::*;
use plan::iommu::{DomainKind, PremappedEntry, PremappedKind};
use std::vec::Vec;
use vmsa::Memory;

use super::rig::*;
use crate::Reply;
use crate::plan_view::PlanView;

const STREAM: u32 = 0x100;
const PAGES: u64 = 64;

/// The disk's domain is one.
pub fn identity_plan() -> PlanView<'static> {
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
        iova: POOL,
        pa: POOL,
        len: PAGES * PAGE,
        memory: Memory::NormalWriteBack as u32,
        reserved: 0,
    }]);
    plan
}

fn booted() -> Rig {
    let mut rig = Rig::planned(identity_plan());
    rig.server.boot();
    rig
}

#[test]
fn open_from_claim_to_release_over_the_pool() {
    let mut rig = booted();
    assert_eq!(rig.read(STREAM, POOL), None);
    assert!(!rig.is_bus_master(DISK));
    let mut disk = rig.claim(task(4), DISK);
    for page in [0, PAGES - 1] {
        let at = POOL + page * PAGE;
        assert_eq!(rig.reach(STREAM, at), Some(at));
    }
    for outside in [POOL - PAGE, POOL + PAGES * PAGE, BASE, 0] {
        assert_eq!(rig.read(STREAM, outside), None);
    }
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, MapFlags::READ_WRITE, 0),
        Err(Error::NoSpace)
    );
    assert_eq!(disk.unmap(&mut rig, POOL, 1), Err(Error::BadRange));
    assert_eq!(rig.status(DISK).mapped_pages, 0);
    // By no word of its owner: the pool was within reach all the time.
    assert!(matches!(disk.release(&mut rig), Reply::Later));
    assert_eq!(rig.read(STREAM, POOL), None);
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    assert_eq!(rig.read(STREAM, POOL), None);
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
