//! The solver's part of `plan.json`.

use serde_json::{Value, json as object};
use solver::Severity;
use solver::model::NodeId;
use solver::solution::{Edge, Mode};

use super::{Owner, hex};
use crate::layout::table_pages;
use crate::show::name;
use planner::planning::Plan;

/// How much the hardware was believed.
pub fn mode(plan: &Plan) -> &'static str {
    match plan.solution.mode {
        Mode::Strict => "strict",
        Mode::Linux => "linux",
    }
}

/// Devices with direct regions.
pub fn exceptions(plan: &Plan) -> Vec<String> {
    names(plan, &plan.solution.exceptions)
}

fn device(plan: &Plan, node: NodeId) -> Value {
    let found = plan.solution.device(node);
    let streams: Vec<u32> = found.streams.iter().map(|stream| stream.id).collect();
    let smmus: Vec<&str> = found
        .streams
        .iter()
        .filter_map(|stream| plan.machine.smmus.get(stream.smmu.index()))
        .map(|smmu| smmu.name.as_str())
        .collect();
    object!({
        "name": name(plan, node),
        "rid": found.requester.map(|requester| requester.to_string()),
        "streams": streams,
        "smmus": smmus,
        "domain": found.domain_type.text(),
        "coherent": plan.is_coherent(node),
        "because": found.domain_because,
    })
}

fn names(plan: &Plan, nodes: &[NodeId]) -> Vec<String> {
    nodes
        .iter()
        .map(|node| name(plan, *node).to_owned())
        .collect()
}

fn edges(plan: &Plan, members: &[NodeId]) -> Vec<Value> {
    let inside = |edge: &&Edge| members.contains(&edge.from) && members.contains(&edge.to);
    let edges = plan.solution.edges.iter().filter(inside);
    edges
        .map(|edge| {
            object!({
                "kind": edge.kind.text(),
                "from": name(plan, edge.from),
                "to": name(plan, edge.to),
                "because": edge.because,
            })
        })
        .collect()
}

pub fn groups(plan: &Plan) -> Value {
    let groups = plan.solution.groups.iter().enumerate();
    groups
        .map(|(index, group)| {
            let owners: Vec<Owner> = group
                .owners
                .iter()
                .filter_map(|owner| plan.machine.owners.get(owner.index()))
                .map(|owner| Owner::task(owner.name.as_str()))
                .collect();
            let devices: Vec<Value> = group.devices.iter().map(|n| device(plan, *n)).collect();
            object!({
                "name": group.name,
                "default-domain": plan.solution.group_domain(index).map_or("mixed", |d| d.text()),
                "owners": owners,
                "devices": devices,
                "edges": edges(plan, &group.devices),
            })
        })
        .collect()
}

pub fn alias_sets(plan: &Plan) -> Value {
    let sets = plan.solution.alias_sets.iter();
    sets.map(|set| {
        object!({
            "devices": names(plan, &set.devices),
            "domain": set.domain_type.text(),
        })
    })
    .collect()
}

pub fn reset_units(plan: &Plan) -> Value {
    let units = plan.solution.reset_units.iter();
    units
        .map(|unit| {
            object!({
                "devices": names(plan, &unit.devices),
                "edges": edges(plan, &unit.devices),
            })
        })
        .collect()
}

pub fn registers(plan: &Plan) -> Value {
    let holders = plan.register_holders();
    let rows = holders.iter().flat_map(|(device, of)| {
        of.iter().map(move |(access, task)| {
            object!({ "device": device, "task": task, "access": access.text() })
        })
    });
    rows.collect()
}

/// Bus addresses that no window covers.
pub fn kept_clear(plan: &Plan) -> Value {
    let regions = plan.machine.reserved.iter();
    regions
        .map(|region| {
            object!({
                "name": region.name,
                "base": hex(region.base),
                "bytes": region.len,
            })
        })
        .collect()
}

pub fn waivers(plan: &Plan) -> Value {
    let used = plan.solution.waivers.iter();
    used.filter_map(|used| {
        let waiver = plan.machine.waivers.get(used.waiver)?;
        let owner =
            |owner: solver::model::OwnerId| Some(&plan.machine.owners.get(owner.index())?.name);
        Some(object!({
            "group": plan.solution.groups.get(used.group)?.name,
            "tasks": [owner(waiver.pair.0)?, owner(waiver.pair.1)?],
            "devices": names(plan, &waiver.devices),
            "reason": waiver.reason,
        }))
    })
    .collect()
}

pub fn warnings(plan: &Plan) -> Value {
    let found = plan.solution.diagnostics.iter();
    found
        .filter(|found| found.severity == Severity::Warning)
        .map(|found| {
            object!({
                "code": found.code.to_string(),
                "message": found.message,
                "devices": names(plan, &found.nodes),
            })
        })
        .collect()
}

pub fn table_bytes(plan: &Plan) -> u64 {
    let pages: u64 = plan.domains.domains.iter().map(table_pages).sum();
    pages * abi::layout::PAGE
}
