//! Alias sets, isolation groups, reset units and domains.

use std::fmt::Write;

use solver::model::NodeId;
use solver::solution::EdgeKind;

use super::{joined, name};
use crate::layout::table_pages;
use planner::planning::Plan;
use planner::read::units::show_size;
use solver::solution::Mode;

/// Writes them, each with its reasons. Sets of one are not worth a line, except domains.
pub fn write(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let solution = &plan.solution;
    let sets: Vec<(usize, &[NodeId])> = solution
        .alias_sets
        .iter()
        .enumerate()
        .map(|(index, set)| (index, set.devices.as_slice()))
        .filter(|(_, devices)| devices.len() > 1)
        .collect();
    writeln!(
        out,
        "\nalias sets: the SMMU cannot tell their members apart"
    )?;
    if sets.is_empty() {
        writeln!(out, "  none with more than one member")?;
    }
    for (index, devices) in &sets {
        let kind = solution
            .alias_sets
            .get(*index)
            .map_or("", |set| set.domain_type.text());
        writeln!(out, "  {}: domain {kind}", joined(plan, devices))?;
        edges(plan, devices, EdgeKind::Alias, out)?;
    }
    groups(plan, out)?;
    let units = solution
        .reset_units
        .iter()
        .filter(|unit| unit.devices.len() > 1);
    let units: Vec<_> = units.collect();
    writeln!(out, "\nreset units: reset together or not at all")?;
    if units.is_empty() {
        writeln!(out, "  none with more than one member")?;
    }
    for unit in units {
        writeln!(out, "  {}", joined(plan, &unit.devices))?;
        edges(plan, &unit.devices, EdgeKind::Reset, out)?;
    }
    domains(plan, out)
}

fn groups(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let heading = match plan.app.iommu.mode {
        Mode::Strict => "isolation groups: their members can reach each other below the SMMU",
        // Nothing else of a plan shows what was believed of the hardware.
        Mode::Linux => {
            "isolation groups as Linux forms them, its leniencies included: each has one domain"
        }
    };
    writeln!(out, "\n{heading}")?;
    for (index, group) in plan.solution.groups.iter().enumerate() {
        let owners: Vec<&str> = group
            .owners
            .iter()
            .filter_map(|owner| plan.machine.owners.get(owner.index()))
            .map(|owner| owner.name.as_str())
            .collect();
        let domain = plan
            .solution
            .group_domain(index)
            .map_or("mixed", |kind| kind.text());
        let owners = if owners.is_empty() {
            "nobody".to_owned()
        } else {
            owners.join(", ")
        };
        writeln!(out, "  {}: {domain}, owned by {owners}", group.name)?;
        if group.devices.len() > 1 {
            writeln!(out, "    members {}", joined(plan, &group.devices))?;
        }
        edges(plan, &group.devices, EdgeKind::Isolation, out)?;
    }
    Ok(())
}

fn edges(plan: &Plan, members: &[NodeId], kind: EdgeKind, out: &mut String) -> std::fmt::Result {
    for edge in plan.solution.edges.iter().filter(|edge| edge.kind == kind) {
        if members.contains(&edge.from) && members.contains(&edge.to) {
            let (from, to) = (name(plan, edge.from), name(plan, edge.to));
            writeln!(out, "    {from} - {to}: {}", edge.because)?;
        }
    }
    Ok(())
}

fn domains(plan: &Plan, out: &mut String) -> std::fmt::Result {
    if plan.solution.domains.is_empty() {
        return Ok(());
    }
    writeln!(out, "\ndomains")?;
    let mut total = 0;
    for (domain, planned) in plan.solution.domains.iter().zip(&plan.domains.domains) {
        let cost = table_pages(planned) * abi::layout::PAGE;
        total += cost;
        write!(
            out,
            "  {}: {}",
            joined(plan, &domain.devices),
            domain.domain_type.text()
        )?;
        for context in &domain.contexts {
            let smmu = plan.machine.smmus.get(context.smmu.index());
            let smmu = smmu.map_or("?", |smmu| &smmu.name);
            write!(out, ", ASID {} at {smmu}", context.asid)?;
        }
        if let Some(window) = domain.window {
            write!(
                out,
                ", IOVA {:#x} {} by pages",
                window.page_base,
                show_size(window.page_bytes)
            )?;
            if window.block_bytes > 0 {
                write!(
                    out,
                    ", {:#x} {} by blocks",
                    window.block_base,
                    show_size(window.block_bytes)
                )?;
            }
        }
        if planned.premaps_pools {
            write!(out, ", its owner's pools premapped")?;
        }
        if let Some(lazy) = &planned.lazy {
            write!(out, ", lazy: {}", super::reach::after_unmap(lazy.bounds))?;
        }
        writeln!(out, ", tables {}", show_size(cost))?;
        if let Some(first) = domain.devices.first() {
            writeln!(
                out,
                "    because {}",
                plan.solution.device(*first).domain_because
            )?;
        }
    }
    writeln!(out, "  all tables of domains: {}", show_size(total))?;
    kept_clear(plan, out)
}

/// The ranges that windows avoid: a request there would go to a peer's registers, or raise an
/// interrupt.
fn kept_clear(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let regions = plan.machine.reserved.iter().map(ToString::to_string);
    let regions: Vec<String> = regions.collect();
    if plan.app.platform.pci.apertures().next().is_none() {
        writeln!(
            out,
            "  no PCI aperture is described: windows keep clear of none, and no BAR has an address"
        )?;
    }
    if regions.is_empty() {
        return Ok(());
    }
    writeln!(out, "  windows keep clear of {}", regions.join(", "))
}
