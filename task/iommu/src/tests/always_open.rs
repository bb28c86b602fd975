//! Devices with direct regions.

mod allowed;
mod for_others;
mod mates;
mod restarts;

use iommu_api::*;
use pci_api::QuiesceState;
use pci_api::client::Failure;
use plan::iommu::{DomainKind, PremappedEntry, PremappedKind};
use std::vec::Vec;
use vmsa::{Memory, Permissions};

use super::rig::*;
use crate::Reply;
use crate::boot_refusal::Refusal;
use crate::plan_view::PlanView;

const STREAM: u32 = 0x018;
/// Of the domain's root, and of its level-3 table for the region.
const ROOT: u64 = 0x1_0000 + 4 * 0x8000;
const REGION: u64 = ROOT + 0x5000 + (DIRECT >> 12 & 511) * 8;
/// The entry of the stream.
const ENTRY: u64 = 0x4000 + 0x18 * 64;

fn cold() -> Rig {
    Rig::planned(always_open_plan())
}

fn booted() -> Rig {
    let mut rig = cold();
    rig.server.boot();
    rig
}

fn successor(rig: &Rig) -> Rig {
    let mut rig = Rig::with(always_open_plan(), rig.smmu.clone(), rig.around.clone());
    rig.server.boot();
    rig
}

/// It reaches its direct region, and nothing in the window.
fn assert_always_open(rig: &Rig) {
    assert!(rig.is_bus_master(DISPLAY));
    reaches_region_only(rig);
}

fn reaches_region_only(rig: &Rig) {
    for page in 0..2 {
        assert_eq!(
            rig.reach(STREAM, DIRECT + page * PAGE + 8),
            Some(DIRECT + page * PAGE + 8)
        );
    }
    for iova in [
        DIRECT - 1,
        DIRECT + 2 * PAGE,
        0,
        BASE,
        BASE + 5 * PAGE,
        POOL,
    ] {
        assert_eq!(rig.read(STREAM, iova), None, "{iova:#x}");
    }
}

fn is_cut_off(rig: &Rig) {
    assert!(!rig.is_bus_master(DISPLAY));
    assert_eq!(rig.read(STREAM, DIRECT), None);
}

#[test]
fn open_from_the_start_and_listed() {
    let mut rig = booted();
    assert_always_open(&rig);
    assert!(!rig.is_bus_master(MATE), "it has no direct region itself");
    assert!(rig.logged(
        "Direct(DirectLine { name: \"display\", pool: false, base: 1879048192, len: 8192, always_open: true })"
    ));
    assert!(rig.logged("always_open: 1"));
    let status = rig.status(DISPLAY);
    assert!(status.flags.has(StatusFlags::OPEN) && !status.flags.has(StatusFlags::CLAIMED));
    assert_eq!(rig.status(MATE).flags.0, 0);
    assert!(rig.around.borrow().started.is_empty());
}

/// A pool in the identity domain of an always-open device, below the same table of the rig.
pub const DIRECT_POOL: u64 = DIRECT + 16 * PAGE;

/// The same with its domain an identity domain, and a pool of its owner.
pub fn identity_always_open_plan() -> PlanView<'static> {
    let mut plan = always_open_plan();
    let device = plan.devices[DISPLAY as usize];
    let mut domains = plan.domains.to_vec();
    let domain = &mut domains[device.domain as usize];
    (domain.kind, domain.pages, domain.blocks) = (DomainKind::Identity as u32, 0, 0);
    plan.domains = Vec::leak(domains);
    let mut premapped = plan.premapped.to_vec();
    let region = premapped.iter().find(|range| range.domain == device.domain);
    premapped.push(PremappedEntry {
        kind: PremappedKind::Identity as u32,
        task: device.owner,
        iova: DIRECT_POOL,
        pa: DIRECT_POOL,
        len: PAGE,
        ..*region.unwrap()
    });
    plan.premapped = Vec::leak(premapped);
    plan
}

/// In an identity domain the owner's pools are in the tables that translate from the start.
#[test]
fn the_pools_of_an_identity_domain_are_open_and_listed_too() {
    let pool = DIRECT_POOL;
    let mut rig = Rig::planned(identity_always_open_plan());
    rig.server.boot();
    assert_eq!(rig.reach(STREAM, pool), Some(pool));
    assert_eq!(rig.read(STREAM, pool + PAGE), None);
    let line =
        std::format!("name: \"display\", pool: true, base: {pool}, len: 4096, always_open: true");
    assert!(rig.logged(&line));
}

#[test]
fn bus_mastering_comes_after_the_smmu_is_on() {
    let mut rig = cold();
    rig.smmu.0.borrow_mut().behaviour.stuck = true;
    rig.server.boot();
    assert!(!rig.is_bus_master(DISPLAY));
    assert!(rig.around.borrow().bus_master.iter().all(|(_, on)| !on));
}

fn refused(why: Refusal, offset: u64, value: u64) {
    let mut rig = cold();
    rig.smmu.0.borrow_mut().put(offset, &[value]);
    rig.server.boot();
    let lines = &rig.around.borrow().lines;
    assert!(
        lines
            .iter()
            .any(|l| l.contains(&std::format!("why: {why:?}"))),
        "{offset:#x}: {lines:?}"
    );
    assert_eq!(rig.smmu.0.borrow().get(smmu::registers::CR0) & 1, 0);
    assert!(!rig.is_bus_master(DISPLAY));
}

#[test]
fn refuses_an_image_that_maps_anything_else() {
    let leaf = |pa| premapped_leaf(pa, Memory::NormalWriteBack, Permissions::ReadWrite);
    // A page more, one less, another one, one twice.
    refused(Refusal::PageTables, REGION + 16, leaf(DIRECT + 2 * PAGE));
    refused(Refusal::PageTables, REGION, 0);
    refused(Refusal::PageTables, REGION, leaf(DIRECT + 8 * PAGE));
    refused(Refusal::PageTables, REGION, leaf(DIRECT + PAGE));
    // Other rights, another memory type, another mark.
    let read_only = premapped_leaf(DIRECT, Memory::NormalWriteBack, Permissions::Read);
    refused(Refusal::PageTables, REGION, read_only);
    let device = premapped_leaf(DIRECT, Memory::DeviceNgnre, Permissions::ReadWrite);
    refused(Refusal::PageTables, REGION, device);
    refused(Refusal::PageTables, REGION, leaf(DIRECT) & !(0xf << 55));
    // Something in the window, in a window of another domain, a block, a loop, what is no entry at all.
    refused(Refusal::PageTables, ROOT + 0x2000 + 8, leaf(POOL));
    refused(Refusal::PageTables, 0x1_0000 + 0x2000, leaf(POOL));
    refused(
        Refusal::PageTables,
        ROOT + 0x4000,
        0x4000_0000 | 0x0060_0000_0000_0f41,
    );
    let root = vmsa::table(vmsa::Granule::Size4K, super::fake::TABLES_PA + ROOT);
    refused(Refusal::PageTables, ROOT + 0x4000 + 8, root);
    refused(Refusal::PageTables, REGION + 16, 2);
    // The entry of the stream: invalid, untranslated, of another domain, of another version or descriptor, with bits
    // of stage 2; a stream that must be closed. One that aborts is what a life leaves that held it back.
    refused(Refusal::StreamTable, ENTRY, 0);
    refused(Refusal::StreamTable, ENTRY, smmu::stream::bypass_word());
    let plan = always_open_plan();
    let other = plan.open_word(&plan.devices[1]).unwrap();
    refused(Refusal::StreamTable, ENTRY, other);
    let own = plan.open_word(&plan.devices[DISPLAY as usize]).unwrap();
    for bit in 0..64 {
        refused(Refusal::StreamTable, ENTRY, own ^ 1 << bit);
    }
    refused(Refusal::StreamTable, ENTRY + 24, 1 << 4);
    refused(Refusal::StreamTable, 0x8000, other);
    refused(
        Refusal::StreamTable,
        0x4000 + 0x19 * 64,
        plan.open_word(&plan.devices[6]).unwrap(),
    );
}

#[test]
fn what_is_not_as_planned_is_not_opened() {
    let mut rig = cold();
    rig.around.borrow_mut().blocked = Some(DISPLAY);
    rig.server.boot();
    is_cut_off(&rig);
    assert!(rig.logged("always_open: false"));
    let mut rig = cold();
    rig.around.borrow_mut().refused = true;
    rig.server.boot();
    is_cut_off(&rig);
}

#[test]
fn a_claim_makes_it_quiet_and_maps_beside_the_region() {
    let mut rig = booted();
    assert!(matches!(
        rig.ask(task(6), Operation::Claim, &[u64::from(DISPLAY)]),
        Reply::Later
    ));
    is_cut_off(&rig);
    rig.server.on_quiesced();
    let mut display = rig.claim(task(6), DISPLAY);
    assert_always_open(&rig);
    let iova = display.map_any(&mut rig, 0, 1);
    assert_eq!(rig.reach(STREAM, iova), Some(POOL + 0x20_0000));
    assert_eq!(rig.reach(STREAM, DIRECT), Some(DIRECT));
    // The region is no part of the window.
    assert_eq!(
        display.map(&mut rig, 0, 0, 1, MapFlags(7), DIRECT),
        Err(Error::BadRange)
    );
    assert_eq!(display.unmap(&mut rig, DIRECT, 1), Err(Error::BadRange));
    assert_eq!(rig.status(DISPLAY).mapped_pages, 1);
}

#[test]
fn a_release_with_nothing_mapped_leaves_it_open() {
    let mut rig = booted();
    let mut display = rig.claim(task(6), DISPLAY);
    let iova = display.map_any(&mut rig, 0, 1);
    display.unmap(&mut rig, iova, 1).unwrap();
    let before = rig.around.borrow().bus_master.len();
    assert!(matches!(
        display.release(&mut rig),
        Reply::Now { code: 0, .. }
    ));
    assert_eq!(
        rig.around.borrow().bus_master.len(),
        before,
        "not even for a moment"
    );
    assert_always_open(&rig);
    assert!(!rig.is_held(DISPLAY));
    // The same life by its word; another one not.
    let claim = rig.ask(task(6), Operation::Claim, &[u64::from(DISPLAY)]);
    assert!(matches!(claim, Reply::Now { code: 0, .. }));
}

#[test]
fn a_release_with_mappings_cuts_it_off_until_it_is_quiet() {
    let mut rig = booted();
    let mut display = rig.claim(task(6), DISPLAY);
    let iova = display.map_any(&mut rig, 0, 1);
    assert!(matches!(display.release(&mut rig), Reply::Later));
    is_cut_off(&rig);
    rig.server.on_quiesced();
    assert_always_open(&rig);
    assert_eq!(rig.read(STREAM, iova), None);
    assert!(!rig.is_held(DISPLAY));
}

#[test]
fn a_death_cuts_it_off_until_it_is_quiet() {
    let mut rig = booted();
    let mut display = rig.claim(task(6), DISPLAY);
    let iova = display.map_any(&mut rig, 0, 1);
    rig.die(6);
    is_cut_off(&rig);
    assert!(rig.is_held(DISPLAY));
    rig.server.on_quiesced();
    assert_always_open(&rig);
    assert_eq!(rig.read(STREAM, iova), None);
    assert!(!rig.is_held(DISPLAY));
}

#[test]
fn what_cannot_be_made_quiet_stays_cut_off() {
    let mut rig = booted();
    rig.claim(task(6), DISPLAY).map_any(&mut rig, 0, 1);
    rig.fail_quiesce();
    rig.die(6);
    rig.server.on_quiesced();
    rig.server.on_pci_up();
    is_cut_off(&rig);
    assert!(rig.is_held(DISPLAY));
}

#[test]
fn a_claim_that_fails_leaves_it_cut_off_until_one_succeeds() {
    let mut rig = booted();
    rig.fail_quiesce();
    let claim = [u64::from(DISPLAY)];
    assert!(matches!(
        rig.ask(task(6), Operation::Claim, &claim),
        Reply::Later
    ));
    rig.server.on_quiesced();
    let code = rig.around.borrow_mut().replies.pop().unwrap().1;
    assert_eq!(Error::from_code(code), Some(Error::NotQuiet));
    is_cut_off(&rig);
    assert!(!rig.is_held(DISPLAY));
    rig.around.borrow_mut().result = None;
    rig.claim(task(6), DISPLAY);
    assert_always_open(&rig);
}

fn storm(rig: &mut Rig) {
    for _ in 0..crate::limits::STORM_FAULTS / 8 {
        for _ in 0..8 {
            assert_eq!(rig.read(STREAM, 0x1000), None);
        }
        rig.server.on_interrupt(1 << 16);
    }
}

#[test]
fn a_storm_of_a_free_device_cuts_it_off_until_it_is_claimed() {
    let mut rig = booted();
    storm(&mut rig);
    is_cut_off(&rig);
    assert_eq!(rig.around.borrow().storms, [DISPLAY]);
    rig.server.on_quiesced();
    rig.server.on_pci_up();
    is_cut_off(&rig);
    let mut display = rig.claim(task(6), DISPLAY);
    assert_always_open(&rig);
    display.release(&mut rig);
    assert_always_open(&rig);
}

#[test]
fn a_storm_of_a_claimant_ends_with_its_release() {
    let mut rig = booted();
    let mut display = rig.claim(task(6), DISPLAY);
    storm(&mut rig);
    is_cut_off(&rig);
    rig.server.on_quiesced();
    is_cut_off(&rig);
    assert!(matches!(display.release(&mut rig), Reply::Later));
    is_cut_off(&rig);
    rig.server.on_quiesced();
    assert_always_open(&rig);
}

#[test]
fn a_restart_of_the_pci_task_turns_it_on_again() {
    let mut rig = booted();
    rig.around.borrow_mut().bus_master.clear();
    rig.server.on_pci_up();
    assert_always_open(&rig);
}

/// The boot may be refused while a device is claimed: another SMMU is turned on later, and is not the planned one.
#[test]
fn a_claimant_is_told_when_nothing_may_be_always_open_any_more() {
    let mut rig = booted();
    rig.claim(task(6), DISPLAY);
    rig.server.forbid_always_open();
    is_cut_off(&rig);
    assert!(rig.server.is_at_rest());
    assert_eq!(rig.around.borrow().posts, [6]);
}

/// A PCI task that is there and refuses to say has said enough; one that is not there is asked again.
#[test]
fn what_the_pci_task_does_not_vouch_for_is_closed() {
    for (failure, open) in [
        (Failure::Down, true),
        (Failure::Dead, true),
        (Failure::Retired, false),
        (Failure::Refused(pci_api::Error::NoSuchDevice), false),
    ] {
        let mut rig = booted();
        assert_always_open(&rig);
        rig.around.borrow_mut().describe_error = Some(failure);
        rig.server.on_pci_up();
        assert_eq!(rig.reach(STREAM, DIRECT).is_some(), open, "{failure:?}");
        assert_eq!(rig.is_bus_master(DISPLAY), open);
    }
}

/// Bus mastering that was lost is turned on again, by the next life if this one says nothing.
#[test]
fn lost_bus_mastering_is_asked_for_until_it_is_refused() {
    for (failure, open) in [
        (Failure::Down, true),
        (Failure::Dead, true),
        (Failure::Refused(pci_api::Error::Blocked), false),
    ] {
        let mut rig = booted();
        let mut around = rig.around.borrow_mut();
        around.bus_master.push((DISPLAY, false));
        around.bus_master_error = Some(failure);
        drop(around);
        rig.server.on_pci_up();
        let life = rig.server.devices[index(DISPLAY)].life();
        assert_eq!(life.is_always_open(), open, "{failure:?}");
        assert!(!rig.is_bus_master(DISPLAY));
        rig.around.borrow_mut().bus_master_error = None;
        rig.server.on_pci_up();
        assert_always_open(&rig);
    }
}
