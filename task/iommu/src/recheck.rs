//! Comparing the tables of an SMMU that is on with the plan: what an earlier life of the server could not have
//! written is closed before the SMMU is made to forget everything. The windows are surveyed later.

use plan::iommu::{DomainKind, SmmuEntry};
use smmu::Features;
use smmu::stream::{STE_WORDS, abort_word};

use crate::boot_refusal::Refusal;
use crate::check;
use crate::hardware::Hardware;
use crate::indices::{DomainIndex, SmmuIndex};
use crate::plan_view::PlanView;
use crate::premapped;

/// The differences between the tables and the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Altered {
    /// Domains, by bit: none of their streams translates any more.
    pub domains: u64,
    /// Entries of streams that the plan does not have.
    pub strays: u32,
}

/// Compares stream table entries, context descriptors, and all tables but the windows' entries; closes what differs.
/// A level-1 descriptor that differs cannot be mended while the SMMU is on: then it is refused.
pub fn tables<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    features: &Features,
) -> Result<Altered, Refusal> {
    let entry = plan.smmu(index);
    let mut altered = Altered::default();
    check::each_entry(hardware, entry, |hardware, at| {
        if !plan.has_entry(index, at) && hardware.load(at) != abort_word() {
            hardware.store(at, abort_word());
            altered.strays += 1;
        }
        Ok(())
    })?;
    for stream in plan.streams_to(index) {
        check::placed(hardware, entry, stream)?;
        altered.domains |= stream_entry(hardware, plan, index, stream.entry, features);
    }
    for (number, domain) in plan.indexed_domains() {
        let here = SmmuIndex::of(domain) == index && domain.kind != DomainKind::Blocked as u32;
        if here && self::domain(hardware, plan, entry, number, features).is_err() {
            altered.domains |= number.set();
        }
    }
    for device in plan.devices {
        if DomainIndex::of(device).is_some_and(|domain| domain.is_in(altered.domains)) {
            for stream in plan.streams_of(device) {
                close(hardware, plan, index, stream.entry, plan.open_word(device));
            }
        }
    }
    Ok(altered)
}

/// Mends a planned stream's entry that differs; the domains of those that use it.
fn stream_entry<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    at: u64,
    features: &Features,
) -> u64 {
    let attributes = check::planned_attributes(plan, index, at, features);
    let word = hardware.load(at);
    let mut known = word == abort_word();
    let mut domains = 0;
    for device in plan.devices {
        if plan.stream_at(device, index, at).is_some() {
            known |= plan.open_word(device) == Some(word);
            domains |= DomainIndex::of(device).map_or(0, DomainIndex::set);
        }
    }
    let mut others = (2..STE_WORDS as u64).map(|word| hardware.load(at + word * 8));
    let kept = !others.any(|word| word != 0) && hardware.load(at + 8) == attributes;
    if known && kept {
        return 0;
    }
    hardware.store(at, abort_word());
    hardware.store(at + 8, attributes);
    for word in 2..STE_WORDS as u64 {
        hardware.store(at + word * 8, 0);
    }
    domains
}

/// Closes an entry if it is open to a domain.
fn close<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    index: SmmuIndex,
    at: u64,
    open: Option<u64>,
) {
    if plan.has_entry(index, at) && Some(hardware.load(at)) == open {
        hardware.store(at, abort_word());
    }
}

fn domain<H: Hardware>(
    hardware: &mut H,
    plan: &PlanView<'_>,
    entry: &SmmuEntry,
    number: DomainIndex,
    features: &Features,
) -> Result<(), Refusal> {
    let domain = plan.domain(number).ok_or(Refusal::Inconsistent)?;
    let found = check::descriptor(hardware, entry, domain)?;
    if !found.legal(features) {
        return Err(Refusal::ContextDescriptor);
    }
    if domain.kind == DomainKind::Dma as u32 {
        check::links(hardware, entry, domain, found.input_bits)?;
    }
    let ranges = plan.premapped_of(number);
    premapped::check_beside(hardware, entry, domain, ranges, found.input_bits)
}
