//! Direct regions: open from the start, and nobody else's.

use crate::alternative::apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Machine, NodeId, Region};
use crate::pairs::Pairs;
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
                "the direct region `{}` of `{}` overlaps `{}`",
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

/// The inputs of the check for overlaps.
pub(crate) struct Overlaps<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub pairs: &'a Pairs<'a>,
    /// The units: nodes with one domain, and so with all direct regions of its members.
    pub units: &'a [Vec<usize>],
    pub unit_of: &'a [usize],
    pub group_of: &'a [usize],
}

impl Overlaps<'_> {
    /// Two domains that reach the same memory at any time. All owners of the one and of the other trust each other, or
    /// are waived; of a domain that nobody drives there is nobody whom they could trust.
    pub fn check(&self, used: &mut Vec<UsedWaiver>, found: &mut Vec<Diagnostic>) {
        let order = self.topology.order.iter().copied();
        let mut regions: Vec<(usize, &Region)> = order
            .flat_map(|node| {
                let direct = self.machine.nodes[node].direct.iter();
                direct.map(move |region| (node, region))
            })
            .collect();
        regions.sort_by_key(|(_, region)| region.base);
        for (index, (node, region)) in regions.iter().enumerate() {
            let end = region.base.saturating_add(region.len);
            let others = regions[index + 1..].iter();
            for (other, second) in others.take_while(|(_, second)| second.base < end) {
                let one_domain = self.unit_of[*node] == self.unit_of[*other];
                if !one_domain && !apart(self.topology, *node, *other) {
                    self.pair((*node, region), (*other, second), used, found);
                }
            }
        }
    }

    /// Owners of a device's domain, each with a device of it, in order.
    fn owners(&self, node: usize) -> Vec<(usize, usize)> {
        let mut owners: Vec<(usize, usize)> = Vec::new();
        for &member in &self.units[self.unit_of[node]] {
            if let Some(owner) = self.pairs.owner(member)
                && owners.iter().all(|(known, _)| *known != owner)
            {
                owners.push((owner, member));
            }
        }
        owners
    }

    fn pair(
        &self,
        one: (usize, &Region),
        other: (usize, &Region),
        used: &mut Vec<UsedWaiver>,
        found: &mut Vec<Diagnostic>,
    ) {
        let (owners, others) = (self.owners(one.0), self.owners(other.0));
        match (owners.first(), others.first()) {
            // Over nobody's memory: the report lists what is open from the start.
            (None, None) => {}
            (None, Some(by)) => found.push(self.undriven(one, other, *by)),
            (Some(by), None) => found.push(self.undriven(other, one, *by)),
            (Some(_), Some(_)) => {}
        }
        for (a, by_a) in &owners {
            for (b, by_b) in &others {
                if self.pairs.trusting(*a, *b) {
                    continue;
                }
                let devices = self.devices(&[one.0, other.0], &[*a, *b]);
                if let Some(waiver) = self.pairs.waiver(*a, *b, &devices) {
                    let group = self.group_of[one.0];
                    used.push(UsedWaiver { waiver, group });
                } else {
                    let error = self.overlap(one, other, [(*a, *by_a), (*b, *by_b)]);
                    found.push(self.pairs.falls_short((*a, *b), &devices, error));
                }
            }
        }
    }

    /// Devices of `owners` in the domains of `nodes`, which a waiver that names devices has to name.
    fn devices(&self, nodes: &[usize], owners: &[usize]) -> Vec<usize> {
        let members = nodes
            .iter()
            .flat_map(|node| &self.units[self.unit_of[*node]]);
        let theirs = |node: &usize| {
            let owner = self.pairs.owner(*node);
            owner.is_some_and(|owner| owners.contains(&owner))
        };
        members.copied().filter(theirs).collect()
    }

    fn regions(&self, one: (usize, &Region), other: (usize, &Region)) -> String {
        let [first, second] = [one.0, other.0].map(|node| &self.machine.nodes[node].name);
        let (region, over) = (&one.1.name, &other.1.name);
        format!("the direct regions `{region}` of `{first}` and `{over}` of `{second}` overlap")
    }

    fn overlap(
        &self,
        one: (usize, &Region),
        other: (usize, &Region),
        owners: [(usize, usize); 2],
    ) -> Diagnostic {
        let [a, b] = owners.map(|(owner, _)| self.pairs.owner_name(owner));
        let message = format!(
            "{}, and `{a}` and `{b}`, whose devices reach them, do not trust each other",
            self.regions(one, other)
        );
        let diagnostic = Diagnostic::new(Code::DirectOverlap, message);
        let [(a, by_a), (b, by_b)] = owners;
        diagnostic
            .device(self.machine, by_a, self.owned(a, by_a))
            .device(self.machine, by_b, self.owned(b, by_b))
            .party(format!("direct region {}", one.1), one.1.source)
            .party(format!("direct region {}", other.1), other.1.source)
    }

    fn owned(&self, owner: usize, node: usize) -> String {
        let (name, owner) = (&self.machine.nodes[node].name, self.pairs.owner_name(owner));
        format!("`{name}` is owned by `{owner}`")
    }

    /// `one` is of a domain without an owner, `other` of one with the owner and device `by`.
    fn undriven(
        &self,
        one: (usize, &Region),
        other: (usize, &Region),
        by: (usize, usize),
    ) -> Diagnostic {
        let name = &self.machine.nodes[one.0].name;
        let message = format!(
            "{}, and nobody drives `{name}`: there is no owner whom `{}` could trust",
            self.regions(one, other),
            self.pairs.owner_name(by.0)
        );
        Diagnostic::new(Code::DirectOverlap, message)
            .device(self.machine, one.0, format!("nobody drives `{name}`"))
            .device(self.machine, by.1, self.owned(by.0, by.1))
            .party(format!("direct region {}", one.1), one.1.source)
            .party(format!("direct region {}", other.1), other.1.source)
    }
}
