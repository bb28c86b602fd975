//! What a successor finds in tables beside the windows.

use plan::iommu::DomainKind;
use smmu::context::cd;
use std::vec::Vec;

use super::rig::*;
use crate::plan_view::PlanView;

/// Boots a plan, and again after something was changed.
fn successor(plan: PlanView<'static>, spoil: impl FnOnce(&mut Rig)) -> Rig {
    let mut rig = Rig::planned(plan);
    rig.server.boot();
    rig.claim(task(4), DISK).map_any(&mut rig, 0, 1);
    spoil(&mut rig);
    let mut next = Rig::with(plan, rig.smmu.clone(), rig.around.clone());
    next.server.boot();
    assert!(next.logged("adopted: true"));
    next
}

#[test]
fn a_domain_that_is_blocked_has_no_tables() {
    let mut plan = plan();
    let mut domains = plan.domains.to_vec();
    domains[3].kind = DomainKind::Blocked as u32;
    let context = domains[3].context;
    plan.domains = Vec::leak(domains);
    let next = successor(plan, |rig| {
        rig.smmu.0.borrow_mut().put(context, &[0; 8]);
    });
    assert!(!next.logged("Altered"));
    assert!(next.reach(0x100, BASE).is_some());
}

/// Both words, and nothing beside them.
#[test]
fn an_entry_that_is_not_as_planned_is_mended() {
    let entry = plan().streams[0].entry;
    let mut before = Vec::new();
    let next = successor(plan(), |rig| {
        let mut fake = rig.smmu.0.borrow_mut();
        before = (0..16)
            .map(|word| fake.word(entry - 64 + word * 8))
            .collect();
        fake.put(entry + 8, &[0]);
    });
    assert!(next.logged("Altered"));
    let fake = next.smmu.0.borrow();
    let mut after: Vec<_> = (0..16)
        .map(|word| fake.word(entry - 64 + word * 8))
        .collect();
    assert_eq!(after[8], smmu::stream::abort_word());
    after[8] = before[8];
    assert_eq!(after, before);
    assert_ne!(after[9], 0);
}

/// The image says 44 bits, which this SMMU has; more are not what was left.
#[test]
fn a_context_with_more_bits_than_the_smmu_has_is_not_taken_over() {
    let context = domain(0).context;
    for (bits, altered) in [(5, true), (4, false), (3, false)] {
        let next = successor(plan(), |rig| {
            let mut fake = rig.smmu.0.borrow_mut();
            let word = fake.word(context) & !cd::IPS.mask() | cd::IPS.put(bits);
            fake.put(context, &[word]);
        });
        assert_eq!(next.logged("Altered"), altered, "{bits}");
        assert_eq!(next.reach(0x100, BASE).is_none(), altered, "{bits}");
    }
}

/// The entries behind the last block are none of the window.
#[test]
fn an_entry_behind_the_blocks_is_not_taken_over() {
    let domain = domain(0);
    let word = premapped_leaf(0, vmsa::Memory::NormalWriteBack, vmsa::Permissions::Read) & !2;
    for entry in [domain.blocks, domain.blocks + 1] {
        let next = successor(plan(), |rig| {
            let at = domain.block_entries + entry * 8;
            rig.smmu.0.borrow_mut().put(at, &[word]);
        });
        assert!(next.logged("Altered"), "{entry}");
        assert_eq!(next.reach(0x100, BASE), None, "{entry}");
    }
}

/// With 8 bits of ASID one domain would be taken for another.
#[test]
fn a_context_with_a_longer_asid_than_the_smmu_has_is_not_taken_over() {
    for (asid, altered) in [(0x100, true), (0xff, false)] {
        let mut plan = plan();
        let mut domains = plan.domains.to_vec();
        domains[0].asid = asid;
        plan.domains = Vec::leak(domains);
        let next = successor(plan, |rig| {
            rig.smmu.0.borrow_mut().behaviour.idr[0] &= !(1 << 12);
        });
        assert_eq!(next.logged("Altered"), altered, "{asid:#x}");
        assert_eq!(next.reach(0x100, BASE).is_none(), altered, "{asid:#x}");
    }
}
