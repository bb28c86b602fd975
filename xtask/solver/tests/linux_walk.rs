//! `linux` mode is a relation; Linux itself probes one function after the other and looks for a group that
//! exists already. This is that walk, written down independently, and both must form the same partition.

#[path = "support/random.rs"]
mod random;
mod support;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use solver::Machine;
use solver::model::*;
use solver::solution::Solution;
use support::*;

type Partition = BTreeSet<BTreeSet<usize>>;

struct Walk<'a> {
    machine: &'a Machine,
    solution: &'a Solution,
    group: BTreeMap<usize, usize>,
}

impl Walk<'_> {
    fn function(&self, node: usize) -> &Function {
        &self.machine.nodes[node].function
    }

    fn is_virtual(&self, node: usize) -> bool {
        matches!(self.machine.nodes[node].place, Place::Virtual { .. })
    }

    /// The bridge above; a virtual function has that of its physical one.
    fn bridge(&self, node: usize) -> Option<usize> {
        match self.machine.nodes[node].place {
            Place::Slot {
                upstream: Upstream::Bridge(bridge),
                ..
            } => Some(bridge.index()),
            Place::Virtual { physical, .. } => self.bridge(physical.index()),
            _ => None,
        }
    }

    fn slot(&self, node: usize) -> (u16, u16) {
        let id = self.solution.devices[node]
            .requester
            .expect("a PCI function");
        (id.segment, id.id >> 3)
    }

    fn slot_mates(&self, node: usize) -> Vec<usize> {
        (0..self.machine.nodes.len())
            .filter(|n| !self.is_virtual(*n) && self.slot(*n) == self.slot(node))
            .collect()
    }

    /// A scan takes what it finds at a number above 0 for one of several, whatever the header says.
    fn multifunction(&self, node: usize) -> bool {
        let several = |mate: &usize| {
            let id = self.solution.devices[*mate].requester;
            self.function(*mate).multifunction || id.is_some_and(|id| id.id & 7 != 0)
        };
        !self.is_virtual(node) && self.slot_mates(node).iter().any(several)
    }

    fn acs(&self, node: usize) -> bool {
        let function = self.function(node);
        let flags = || {
            function
                .acs
                .is_some_and(|acs| acs.enabled & acs.implemented & 0x1d == acs.implemented & 0x1d)
        };
        let identity = (function.identity.vendor, function.identity.device);
        if identity == random::DENIED {
            return false;
        }
        if identity == random::DECLARED
            || function.identity.vendor == 0x8086
                && function.kind == FunctionKind::RootComplexEndpoint
        {
            return true;
        }
        match function.kind {
            FunctionKind::RootPort | FunctionKind::DownstreamPort => flags(),
            FunctionKind::Endpoint
            | FunctionKind::UpstreamPort
            | FunctionKind::RootComplexEndpoint => !self.multifunction(node) || flags(),
            _ => false,
        }
    }

    fn path_isolated(&self, node: usize) -> bool {
        self.acs(node)
            && self
                .bridge(node)
                .is_none_or(|above| self.path_isolated(above))
    }

    /// The group for `node`: an existing one on the way, or a new one.
    fn probe(&mut self, node: usize) {
        let mut last = node;
        let mut above = self.bridge(node);
        while let Some(bridge) = above {
            if matches!(
                self.function(bridge).kind,
                FunctionKind::PcieToPci
                    | FunctionKind::PciToPcie
                    | FunctionKind::ConventionalBridge
            ) {
                last = bridge;
                if let Some(group) = self.group.get(&bridge) {
                    self.group.insert(node, *group);
                    return;
                }
            }
            above = self.bridge(bridge);
        }
        let mut above = self.bridge(last);
        while let Some(bridge) = above {
            if self.path_isolated(bridge) {
                break;
            }
            last = bridge;
            if let Some(group) = self.group.get(&bridge) {
                self.group.insert(node, *group);
                return;
            }
            above = self.bridge(bridge);
        }
        if self.multifunction(last) && !self.acs(last) {
            let mate = self
                .slot_mates(last)
                .into_iter()
                .find(|n| *n != last && !self.acs(*n) && self.group.contains_key(n));
            if let Some(mate) = mate {
                self.group.insert(node, self.group[&mate]);
                return;
            }
        }
        self.group.insert(node, node);
    }
}

fn walked(machine: &Machine, solution: &Solution) -> Partition {
    let mut walk = Walk {
        machine,
        solution,
        group: BTreeMap::new(),
    };
    for node in &solution.order {
        walk.probe(node.index());
    }
    let mut sets: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (node, group) in &walk.group {
        sets.entry(*group).or_default().insert(*node);
    }
    sets.into_values().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn the_relation_is_what_the_walk_finds(seeds in proptest::collection::vec(any::<u32>(), 16..480)) {
        let mut m = random::without_bays(&seeds);
        m.groups.clear();
        // Nor does Linux look at StreamIDs.
        for root in &mut m.roots {
            *root = RootBus { streams: machine().roots[0].streams.clone(), stream_mask: 0, ..root.clone() };
        }
        // With ids that functions share by themselves, what Linux forms depends on the order.
        for node in &mut m.nodes {
            let identity = (node.function.identity.vendor, node.function.identity.device);
            if identity != random::DECLARED && identity != random::DENIED {
                node.function.identity = Identity::default();
            }
        }
        // Platform devices come in none of Linux's PCI rules; keeping the indices of the others means
        // turning them into functions of segments of their own.
        for segment in 1..9 {
            let mut former = root(&format!("former-{segment}"), segment, 0);
            former.streams[0].stream = u32::from(segment) << 16;
            m.roots.push(former);
        }
        for (index, node) in m.nodes.iter_mut().enumerate() {
            if matches!(node.place, Place::Platform { .. }) {
                node.place = Place::Slot { upstream: Upstream::Root(RootId(2 + index as u32 / 32)), device: index as u8 % 32, function: 0 };
                node.function.kind = FunctionKind::RootComplexEndpoint;
                node.name = format!("former-{index}");
            }
        }
        let solution = linux(&m);
        let found: Partition = solution
            .groups
            .iter()
            .map(|g| g.devices.iter().map(|n| n.index()).collect())
            .collect();
        prop_assert_eq!(found, walked(&m, &solution));
    }
}
