//! Remedies in the fabric: access control, resets and bus numbers.

use super::{Builder, Candidate};
use crate::change::Change;
use crate::model::{FunctionKind, Machine, NodeId, Place, Quiesce, RootId, Upstream};
use crate::solution::EdgeKind;

impl Builder<'_> {
    /// The changes of the fabric: enable ACS where it exists along the chain, or declare more about the root
    /// complex.
    pub(super) fn fabric(&self) -> Vec<Candidate> {
        let mut ports: Vec<NodeId> = Vec::new();
        for edge in self
            .diagnostic
            .chain
            .iter()
            .filter(|e| e.kind == EdgeKind::Isolation)
        {
            for end in [edge.from, edge.to] {
                if !ports.contains(&end) {
                    ports.push(end);
                }
            }
        }
        let mut candidates = self.access_control(&ports);
        let root = ports
            .iter()
            .find_map(|n| match self.machine.nodes[n.index()].place {
                Place::Slot {
                    upstream: Upstream::Root(root),
                    ..
                } if self.machine.nodes[n.index()].function.kind == FunctionKind::RootPort => {
                    Some(root)
                }
                _ => None,
            });
        if let Some(root) = root.and_then(|root| self.machine.complex(root)) {
            let roots = (0..self.machine.roots.len()).map(RootId::new);
            let several = roots
                .filter_map(|other| self.machine.complex(other))
                .any(|other| other != root);
            let of = match several {
                true => format!(" of `{}`", self.machine.roots[root.index()].name),
                false => String::new(),
            };
            candidates.push(Candidate {
                text: format!(
                    "state in the platform file that the root complex{of} never routes between root ports, if its manual says so"
                ),
                changes: vec![Change::NeverRoutes(root.index())],
            });
        }
        candidates
    }

    /// Access control on, where it exists: on the chain; with what is beside it, since a switch or a slot is one group
    /// as long as one of its ports or functions lets requests turn back; in the whole group.
    fn access_control(&self, chain: &[NodeId]) -> Vec<Candidate> {
        let is_beside = |node: &NodeId| chain.iter().any(|other| self.is_beside(*node, *other));
        let first = chain.first().map(|node| self.solution.device(*node).group);
        let in_group = |node: &NodeId| Some(self.solution.device(*node).group) == first;
        let order = || self.solution.order.iter().copied();
        let sets: [Vec<NodeId>; 3] = [
            chain.to_vec(),
            order().filter(is_beside).collect(),
            order().filter(in_group).collect(),
        ];
        let mut candidates: Vec<Candidate> = Vec::new();
        let mut most = 0;
        for set in sets {
            let off = self.switched_off(&set);
            // Each set has what the one before it has.
            if off.len() > most {
                most = off.len();
                candidates.push(enabling(self.machine, &off));
            }
        }
        candidates
    }

    /// Those with access control that could be on and is not.
    fn switched_off(&self, nodes: &[NodeId]) -> Vec<NodeId> {
        let is_off = |node: &NodeId| {
            let acs = self.machine.nodes[node.index()].function.acs;
            acs.is_some_and(|acs| acs != acs.all_enabled())
        };
        nodes.iter().copied().filter(is_off).collect()
    }

    /// Whether two are on one bus, or are one.
    fn is_beside(&self, node: NodeId, other: NodeId) -> bool {
        let bus = |node: NodeId| match self.machine.nodes[node.index()].place {
            Place::Slot { upstream, .. } => Some(upstream),
            Place::Virtual { physical, .. } => match self.machine.nodes[physical.index()].place {
                Place::Slot { upstream, .. } => Some(upstream),
                _ => None,
            },
            Place::Platform { .. } => None,
        };
        node == other || bus(node).is_some() && bus(node) == bus(other)
    }

    /// A way to quiet the devices on the chain that does not reset their neighbours.
    pub(super) fn recipe(&self) -> Vec<Candidate> {
        let mut causes: Vec<NodeId> = Vec::new();
        for edge in self
            .diagnostic
            .chain
            .iter()
            .filter(|e| e.kind == EdgeKind::Reset)
        {
            for end in [edge.from, edge.to] {
                let quiesce = self.machine.nodes[end.index()].quiesce;
                if matches!(quiesce, Quiesce::Unknown | Quiesce::BusReset) && !causes.contains(&end)
                {
                    causes.push(end);
                }
            }
        }
        if causes.is_empty() {
            return Vec::new();
        }
        vec![Candidate {
            text: format!(
                "declare a quiesce recipe for {} that resets nothing else",
                self.list(&causes)
            ),
            changes: causes.into_iter().map(Change::Quiesce).collect(),
        }]
    }

    /// ACS on for one of the parties.
    pub(super) fn enable(&self, party: usize) -> Vec<Candidate> {
        let port = self.diagnostic.nodes.get(party);
        port.into_iter()
            .map(|port| enabling(self.machine, &[*port]))
            .collect()
    }

    pub(super) fn unpin(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        if self.machine.nodes[node.index()]
            .function
            .buses
            .secondary
            .is_none()
        {
            return Vec::new();
        }
        vec![Candidate {
            text: format!("leave the bus numbers of `{}` to the plan", self.node(node)),
            changes: vec![Change::Unpin(node)],
        }]
    }
}

/// Access control on for all of `ports`.
pub(in crate::remedy) fn enabling(machine: &Machine, ports: &[NodeId]) -> Candidate {
    // Who is to enable it on all of them has to know all.
    let names: Vec<String> = ports
        .iter()
        .map(|port| format!("`{}`", machine.nodes[port.index()].name))
        .collect();
    let is_undone = |port: &NodeId| {
        let acs = machine.nodes[port.index()].function.acs;
        acs.is_some_and(|acs| acs.enabled & !acs.all_enabled().enabled != 0)
    };
    let undoing = match ports.iter().any(is_undone) {
        true => ", without egress control and direct translated requests",
        false => "",
    };
    Candidate {
        text: format!("enable ACS on {}{undoing}", names.join(", ")),
        changes: ports.iter().copied().map(Change::EnableAcs).collect(),
    }
}
