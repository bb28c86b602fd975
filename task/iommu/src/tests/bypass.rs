//! Devices whose streams are not translated.

use iommu_api::*;
use plan::iommu::{DomainEntry, DomainKind};
use std::vec::Vec;

use super::rig::*;
use crate::Reply;
use crate::plan_view::PlanView;

const STREAM: u32 = 0x100;
/// An address that nothing in the plan names.
const ANYWHERE: u64 = 0x1234_5678;

/// The usual machine, `disk` untranslated.
pub fn bypass_plan() -> PlanView<'static> {
    let mut plan = plan();
    let mut domains: Vec<DomainEntry> = plan.domains.to_vec();
    let number = plan.devices[DISK as usize].domain as usize;
    domains[number] = DomainEntry {
        kind: DomainKind::Bypass as u32,
        pages: 0,
        blocks: 0,
        iova_base: 0,
        block_base: 0,
        ..domains[number]
    };
    plan.domains = Vec::leak(domains);
    plan
}

fn booted() -> Rig {
    let mut rig = Rig::planned(bypass_plan());
    rig.server.boot();
    rig
}

fn is_cut_off(rig: &Rig) {
    assert!(!rig.is_bus_master(DISK));
    assert_eq!(rig.reach(STREAM, ANYWHERE), None);
}

#[test]
fn a_bypass_is_open_from_claim_to_release() {
    let mut rig = booted();
    is_cut_off(&rig);
    let mut disk = rig.claim(task(4), DISK);
    assert_eq!(rig.reach(STREAM, ANYWHERE), Some(ANYWHERE));
    assert_eq!(rig.reach(0x008, BASE), None, "another stream is closed");
    assert_eq!(
        disk.release(&mut rig),
        Reply::Later,
        "made quiet, though nothing is mapped"
    );
    is_cut_off(&rig);
    assert!(rig.is_held(DISK), "until it is quiet");
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
    is_cut_off(&rig);
}

#[test]
fn nothing_can_be_mapped() {
    let mut rig = booted();
    let mut disk = rig.claim(task(4), DISK);
    let any = disk.map(&mut rig, 0, 0, 1, MapFlags::READ, 0);
    assert_eq!(any, Err(Error::NoSpace));
    let fixed = MapFlags::READ.with(MapFlags::FIXED);
    assert_eq!(
        disk.map(&mut rig, 0, 0, 1, fixed, POOL),
        Err(Error::BadRange)
    );
    assert_eq!(disk.unmap(&mut rig, POOL, 1), Err(Error::BadRange));
    assert_eq!(
        rig.reach(STREAM, ANYWHERE),
        Some(ANYWHERE),
        "and nothing changed"
    );
}

#[test]
fn the_death_of_a_bypassing_driver_cuts_off_first() {
    let mut rig = booted();
    rig.claim(task(4), DISK);
    let begun = rig.around.borrow().started.len();
    rig.die(4);
    is_cut_off(&rig);
    assert_eq!(
        rig.around.borrow().started.len(),
        begun + 1,
        "being made quiet"
    );
    assert!(rig.is_held(DISK));
    rig.server.on_quiesced();
    assert!(!rig.is_held(DISK));
}

#[test]
fn one_that_is_not_quiet_stays_held() {
    let mut rig = booted();
    rig.claim(task(4), DISK);
    rig.fail_quiesce();
    rig.die(4);
    rig.server.on_quiesced();
    is_cut_off(&rig);
    assert!(rig.is_held(DISK));
}

#[test]
fn a_successor_goes_on() {
    let mut rig = booted();
    rig.claim(task(4), DISK);
    let mut next = Rig::with(bypass_plan(), rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert_eq!(next.reach(STREAM, ANYWHERE), Some(ANYWHERE));
    assert!(next.is_bus_master(DISK) && next.is_held(DISK));
    next.die(4);
    is_cut_off(&next);
}
