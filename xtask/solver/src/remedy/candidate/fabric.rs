//! Remedies in the fabric: access control, resets and bus numbers.

use super::{Builder, Candidate};
use crate::change::Change;
use crate::model::{FunctionKind, NodeId, Place, Quiesce, RootId, Upstream};
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
        let off: Vec<NodeId> = ports
            .iter()
            .copied()
            .filter(|n| {
                self.machine.nodes[n.index()]
                    .function
                    .acs
                    .is_some_and(|acs| acs != acs.all_enabled())
            })
            .collect();
        let mut candidates = Vec::new();
        if !off.is_empty() {
            candidates.push(Candidate {
                text: format!("enable ACS on {}{}", self.list(&off), self.undoing(&off)),
                changes: off.into_iter().map(Change::EnableAcs).collect(),
            });
        }
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

    /// The rest of the remedy for access control that is enabled, but undone.
    fn undoing(&self, ports: &[NodeId]) -> &'static str {
        let undone = ports.iter().any(|port| {
            let acs = self.machine.nodes[port.index()].function.acs;
            acs.is_some_and(|acs| acs.enabled & !acs.all_enabled().enabled != 0)
        });
        match undone {
            true => ", without egress control and direct translated requests",
            false => "",
        }
    }

    /// ACS on for one of the parties.
    pub(super) fn enable(&self, party: usize) -> Vec<Candidate> {
        let Some(&port) = self.diagnostic.nodes.get(party) else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!(
                "enable ACS on `{}`{}",
                self.node(port),
                self.undoing(&[port])
            ),
            changes: vec![Change::EnableAcs(port)],
        }]
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
