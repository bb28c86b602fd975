//! Direct regions: open from the start, and nobody else's.

use crate::alternative::apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Machine, NodeId, Region};
use crate::ownership::Pairs;
use crate::solution::UsedWaiver;
use crate::topology::Topology;

/// Devices with direct regions: their streams are open from the start, for whatever else uses them, too.
pub(crate) fn exceptions(
    machine: &Machine,
    topology: &Topology,
    alias_sets: &[Vec<usize>],
    alias_of: &[usize],
    found: &mut Vec<Diagnostic>,
) -> Vec<NodeId> {
    let mut list = Vec::new();
    for &node in &topology.order {
        let entry = &machine.nodes[node];
        if entry.direct.is_empty() {
            continue;
        }
        list.push(NodeId::new(node));
        let named: Vec<String> = entry
            .direct
            .iter()
            .map(|region| format!("`{}`", region.name))
            .collect();
        let (regions, named) = match named.as_slice() {
            [one] => ("region", one.clone()),
            many => ("regions", many.join(", ")),
        };
        let mates: Vec<String> = alias_sets[alias_of[node]]
            .iter()
            .filter(|mate| **mate != node)
            .map(|mate| format!("`{}`", machine.nodes[*mate].name))
            .collect();
        let mates = match mates.as_slice() {
            [] => String::new(),
            mates => format!(
                ", and so can {}, whose requests pass the same stream",
                mates.join(", ")
            ),
        };
        let exception = Diagnostic::new(
            Code::DirectException,
            format!(
                "`{}` can reach its direct {regions} {named} from the start{mates}",
                entry.name
            ),
        );
        let exception = exception.device(machine, node, format!("`{}`", entry.name));
        found.push(entry.direct.iter().fold(exception, |exception, region| {
            exception.party(format!("direct region `{}`", region.name), region.source)
        }));
        for region in &entry.direct {
            let Some(reserved) = machine.reserved.iter().find(|r| r.overlaps(region)) else {
                continue;
            };
            let message = format!(
                "the direct region `{}` of `{}` touches `{}`",
                region.name, entry.name, reserved.name
            );
            found.push(
                Diagnostic::new(Code::DirectReserved, message)
                    .device(machine, node, format!("direct region `{}`", region.name))
                    .party(format!("`{}`", reserved.name), reserved.source),
            );
        }
    }
    list
}

/// Two devices of owners without trust that reach the same memory at any time.
pub(crate) fn overlaps(
    machine: &Machine,
    topology: &Topology,
    pairs: &Pairs<'_>,
    group_of: &[usize],
    used: &mut Vec<UsedWaiver>,
    found: &mut Vec<Diagnostic>,
) {
    let order = topology.order.iter().copied();
    let mut regions: Vec<(usize, usize, &Region)> = order
        .filter_map(|node| Some((node, pairs.owner(node)?)))
        .flat_map(|(node, owner)| {
            let direct = machine.nodes[node].direct.iter();
            direct.map(move |region| (node, owner, region))
        })
        .collect();
    regions.sort_by_key(|(_, _, region)| region.base);
    for (index, (node, owner, region)) in regions.iter().enumerate() {
        let end = region.base.saturating_add(region.len);
        let others = regions[index + 1..].iter();
        for (other, stranger, second) in others.take_while(|(_, _, second)| second.base < end) {
            if pairs.trusting(*owner, *stranger) || apart(topology, *node, *other) {
                continue;
            }
            if let Some(waiver) = pairs.waiver(*owner, *stranger, &[*node, *other]) {
                let group = group_of[*node];
                used.push(UsedWaiver { waiver, group });
                continue;
            }
            let [one, two] = [*node, *other].map(|node| &machine.nodes[node].name);
            let [a, b] = [*owner, *stranger].map(|owner| pairs.owner_name(owner));
            let message = format!(
                "the direct regions `{}` of `{one}` and `{}` of `{two}` overlap, and their owners `{a}` and `{b}` do \
                 not trust each other",
                region.name, second.name
            );
            found.push(
                Diagnostic::new(Code::DirectOverlap, message)
                    .device(machine, *node, format!("`{one}` is owned by `{a}`"))
                    .device(machine, *other, format!("`{two}` is owned by `{b}`"))
                    .party(format!("direct region {region}"), region.source)
                    .party(format!("direct region {second}"), second.source),
            );
        }
    }
}
