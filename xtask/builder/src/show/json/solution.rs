//! The solver's part of `plan.json`; `docs/reference/plan-json.md` is its schema.

use serde_json::{Map, Value, json as object};
use solver::model::NodeId;
use solver::solution::{Edge, Mode};
use solver::{Reach, Severity};

use crate::show::{bypasses, name};
use crate::tables::table_pages;
use planner::planning::Plan;

/// Version of the schema: a key that goes, or changes its meaning, makes it larger by one.
const VERSION: u32 = 1;

/// Adds the keys to a plan's object.
pub fn add(plan: &Plan, value: &mut Map<String, Value>) {
    let solution = &plan.solution;
    let mode = match solution.mode {
        Mode::Strict => "strict",
        Mode::Linux => "linux",
    };
    let exceptions: Vec<&str> = solution.exceptions.iter().map(|n| name(plan, *n)).collect();
    for (key, part) in [
        ("version", object!(VERSION)),
        ("mode", object!(mode)),
        ("groups", groups(plan)),
        ("alias_sets", alias_sets(plan)),
        ("reset_units", reset_units(plan)),
        ("reach", reach(plan)),
        ("registers", registers(plan)),
        ("kept_clear", kept_clear(plan)),
        ("waivers", waivers(plan)),
        ("bypasses", object!(bypasses(plan))),
        ("exceptions", object!(exceptions)),
        ("warnings", warnings(plan)),
        ("table_bytes", object!(table_bytes(plan))),
    ] {
        value.insert(key.to_owned(), part);
    }
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
        "stream_ids": streams,
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

fn groups(plan: &Plan) -> Value {
    let groups = plan.solution.groups.iter().enumerate();
    groups
        .map(|(index, group)| {
            let owners: Vec<&str> = group
                .owners
                .iter()
                .filter_map(|owner| plan.machine.owners.get(owner.index()))
                .map(|owner| owner.name.as_str())
                .collect();
            let devices: Vec<Value> = group.devices.iter().map(|n| device(plan, *n)).collect();
            object!({
                "name": group.name,
                "default_domain": plan.solution.group_domain(index).map_or("mixed", |d| d.text()),
                "owners": owners,
                "devices": devices,
                "edges": edges(plan, &group.devices),
            })
        })
        .collect()
}

fn alias_sets(plan: &Plan) -> Value {
    let sets = plan.solution.alias_sets.iter();
    sets.map(|set| {
        object!({
            "devices": names(plan, &set.devices),
            "domain": set.domain_type.text(),
        })
    })
    .collect()
}

fn reset_units(plan: &Plan) -> Value {
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

fn reach(plan: &Plan) -> Value {
    let summary = solver::summary(&plan.machine, &plan.solution);
    let devices: Map<String, Value> = summary
        .iter()
        .map(|(device, reach)| {
            let value = object!({
                "domain": reach.domain.text(),
                "untranslated": reach.untranslated,
                "doorbell": reach.untranslated,
                "owners": reach.owners,
                "lenders": crate::show::reach::lenders(plan, reach),
                "pools": pools(plan, reach),
                "pins": crate::show::reach::pins(plan, device, reach),
                "stream_ids": stream_ids(plan, device),
                "domain_mates": reach.domain_mates,
                "peers": reach.peers,
                "ports": reach.ports,
                "forges": reach.forges,
                "direct": reach.direct,
            });
            (device.clone(), value)
        })
        .collect();
    Value::Object(devices)
}

/// The pools of a device's owners, with their sizes.
fn pools(plan: &Plan, reach: &Reach) -> Vec<Value> {
    let owners = reach.owners.iter().filter_map(|owner| plan.app.task(owner));
    let pools = owners.flat_map(|(_, task)| task.pools.iter().map(move |pool| (task, pool)));
    pools
        .map(|(task, (name, len))| {
            object!({ "task": task.name.value, "pool": name.value, "bytes": len })
        })
        .collect()
}

fn stream_ids(plan: &Plan, device: &str) -> Vec<u32> {
    let nodes = plan.machine.nodes.iter().zip(&plan.solution.devices);
    let mut found = nodes.filter(|(node, _)| node.name == device);
    let streams = found.next().map(|(_, found)| &found.streams);
    streams
        .into_iter()
        .flatten()
        .map(|stream| stream.id)
        .collect()
}

fn registers(plan: &Plan) -> Value {
    let holders = plan.register_holders();
    let rows = holders.iter().flat_map(|(device, of)| {
        of.iter().map(move |(access, task)| {
            object!({ "device": device, "task": task, "access": access.text() })
        })
    });
    rows.collect()
}

/// Bus addresses that no window covers.
fn kept_clear(plan: &Plan) -> Value {
    let regions = plan.machine.reserved.iter();
    regions
        .map(|region| {
            object!({
                "name": region.name,
                "base": format!("{:#x}", region.base),
                "bytes": region.len,
            })
        })
        .collect()
}

fn waivers(plan: &Plan) -> Value {
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

fn warnings(plan: &Plan) -> Value {
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

fn table_bytes(plan: &Plan) -> u64 {
    let pages: u64 = plan.domains.domains.iter().map(table_pages).sum();
    pages * abi::layout::PAGE
}
