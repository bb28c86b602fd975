//! Images whose tables are off by little: what the checks at the start must not overlook.

use iommu_api::*;
use plan::iommu::SmmuEntry;
use std::vec::Vec;
use vmsa::{Memory, Permissions};

use super::fake::{TABLES_LEN, TABLES_PA};
use super::rig::*;
use crate::boot_refusal::Refusal;
use crate::plan_view::PlanView;
use crate::premapped;

/// Of the domain of the always-open device: its root, and its level-3 table for the direct region.
const ROOT: u64 = 0x1_0000 + 4 * 0x8000;
const REGION: u64 = ROOT + 0x5000 + (DIRECT >> 12 & 511) * 8;

/// Boots with a plan and tables of which something was changed, and expects the SMMU to be refused for a reason.
fn refused(why: Refusal, plan: PlanView<'static>, spoil: impl FnOnce(&mut Rig)) {
    let mut rig = Rig::planned(plan);
    spoil(&mut rig);
    rig.server.boot();
    assert!(
        rig.logged(&std::format!("why: {why:?}")),
        "{:?}",
        rig.around.borrow().lines
    );
    assert_eq!(rig.smmu.0.borrow().get(smmu::registers::CR0) & 1, 0);
}

fn with_smmu(change: impl FnOnce(&mut SmmuEntry)) -> PlanView<'static> {
    let mut plan = plan();
    let mut smmus = plan.smmus.to_vec();
    change(&mut smmus[0]);
    plan.smmus = Vec::leak(smmus);
    plan
}

fn leaf(pa: u64) -> u64 {
    premapped_leaf(pa, Memory::NormalWriteBack, Permissions::ReadWrite)
}

/// As many pages as planned, each leading where it should if the region went on: another page than planned is open.
#[test]
fn a_page_beside_a_region_is_not_one_of_it() {
    refused(Refusal::PageTables, always_open_plan(), |rig| {
        rig.smmu
            .0
            .borrow_mut()
            .put(REGION + 8, &[0, leaf(DIRECT + 2 * PAGE)]);
    });
    refused(Refusal::PageTables, always_open_plan(), |rig| {
        rig.smmu
            .0
            .borrow_mut()
            .put(REGION - 8, &[leaf(DIRECT - PAGE), 0]);
    });
}

/// An SMMU with 8 bits takes ASID 0x100 for 0, and so one domain for another.
#[test]
fn asids_fit_the_smmu() {
    let plan = |asid: u32| {
        let mut plan = plan();
        let mut domains = plan.domains.to_vec();
        domains[1].asid = asid;
        plan.domains = Vec::leak(domains);
        plan
    };
    let short = |rig: &mut Rig| rig.smmu.0.borrow_mut().behaviour.idr[0] &= !(1 << 12);
    refused(Refusal::AsidBits, plan(0x100), short);
    for (asid, shorten) in [(0xff, true), (0x100, false)] {
        let mut rig = Rig::planned(plan(asid));
        if shorten {
            short(&mut rig);
        }
        rig.server.boot();
        assert!(rig.logged("adopted: false"), "{asid:#x}");
    }
}

#[test]
fn tables_end_within_their_memory() {
    let end = plan().smmus[0].tables_len;
    for change in [
        |smmu: &mut SmmuEntry, end: u64| smmu.command_queue = end,
        |smmu: &mut SmmuEntry, end: u64| smmu.event_queue = end,
        |smmu: &mut SmmuEntry, end: u64| smmu.stream_l1 = end,
    ] {
        refused(
            Refusal::TableMemory,
            with_smmu(|smmu| change(smmu, end)),
            |_| (),
        );
    }
}

/// The SMMU leaves out the low bits of its address, and would read another one.
#[test]
fn context_descriptors_are_aligned() {
    for context in [0xc008, 0xc020, 0xc1a0] {
        let mut plan = plan();
        let mut domains = plan.domains.to_vec();
        domains[3].context = context;
        plan.domains = Vec::leak(domains);
        refused(Refusal::ContextDescriptor, plan, |_| ());
    }
}

/// A window's pages end where the next address is none of them.
#[test]
fn a_range_behind_the_pages_of_a_window_is_not_in_it() {
    let domain = domain(0);
    let end = domain.pages * PAGE;
    for (iova, inside) in [
        (BASE - PAGE, false),
        (BASE, true),
        (BASE + end - PAGE, true),
        (BASE + end, false),
    ] {
        let mut range = always_open_plan().premapped[0];
        range.iova = iova;
        assert_eq!(
            premapped::is_in_window(&domain, &range),
            inside,
            "{iova:#x}"
        );
    }
}

/// A block that begins within a region and ends behind it; as much is missing at the region's beginning.
#[test]
fn a_block_that_goes_on_behind_its_region_is_not_as_planned() {
    let mut plan = always_open_plan();
    let mut region = plan.premapped[0];
    (region.iova, region.pa) = (DIRECT - PAGE, DIRECT - PAGE);
    region.len = 2 << 20;
    plan.premapped = Vec::leak(std::vec![region]);
    refused(Refusal::PageTables, plan, |rig| {
        let at = ROOT + 0x4000 + (DIRECT >> 21 & 511) * 8;
        let word = premapped::leaf_of(&region, 2, DIRECT).unwrap();
        rig.smmu.0.borrow_mut().put(at - 8, &[0, word]);
    });
}

/// More tables than there is memory for, because one is linked often: the walk ends, and says so.
#[test]
fn tables_are_visited_no_oftener_than_there_are_pages() {
    // A table without any entry, below so many entries of the root.
    let with = |links: u64| {
        let empty = vmsa::table(vmsa::Granule::Size4K, TABLES_PA + TABLES_LEN - PAGE);
        move |rig: &mut Rig| {
            let words = std::vec![empty; links as usize];
            rig.smmu.0.borrow_mut().put(ROOT + 64 * 8, &words);
        }
    };
    refused(
        Refusal::PageTables,
        always_open_plan(),
        with(TABLES_LEN / PAGE),
    );
    // The last page of the memory is such a table; the one behind it is not.
    let mut rig = Rig::planned(always_open_plan());
    with(1)(&mut rig);
    rig.server.boot();
    assert!(rig.logged("adopted: false"));
    refused(Refusal::PageTables, always_open_plan(), |rig| {
        let beyond = vmsa::table(vmsa::Granule::Size4K, TABLES_PA + TABLES_LEN);
        rig.smmu.0.borrow_mut().put(ROOT + 64 * 8, &[beyond]);
    });
    // Nor is one of which the memory has not all.
    let mut plan = always_open_plan();
    let mut smmus = plan.smmus.to_vec();
    smmus[0].tables_len = TABLES_LEN - 8;
    plan.smmus = Vec::leak(smmus);
    refused(Refusal::PageTables, plan, with(1));
}
