//! Remedies for devices that are always open though nobody drives them.

use super::{Builder, Candidate};
use crate::change::Change;
use crate::model::{NodeId, OwnerId};

impl Builder<'_> {
    /// A driver for what nobody drives, or no direct regions: of one party, and of all like it in its group.
    pub(super) fn undriven(&self) -> Vec<Candidate> {
        let [one, other, ..] = self.diagnostic.nodes.as_slice() else {
            return Vec::new();
        };
        let (node, owner) = match (self.owner_of(*one), self.owner_of(*other)) {
            (None, Some(owner)) => (*one, owner),
            (Some(owner), None) => (*other, owner),
            _ => return Vec::new(),
        };
        let Some(by) = self.machine.owners.get(owner.index()) else {
            return Vec::new();
        };
        let open = self.open_beside(node);
        let list = self.list(&open);
        let adopt = |node: &NodeId| Change::Owner(*node, Some(owner));
        let close = |node: &NodeId| Change::DropDirect(*node);
        vec![
            Candidate {
                text: format!("let `{}` drive {list} too", by.name),
                changes: open.iter().map(adopt).collect(),
            },
            Candidate {
                text: format!("remove the direct regions of {list}, if nothing needs them"),
                changes: open.iter().map(close).collect(),
            },
        ]
    }

    fn owner_of(&self, node: NodeId) -> Option<OwnerId> {
        self.machine.nodes[node.index()].owner
    }

    /// `node`, and the other devices of its group that are always open and that nobody drives.
    fn open_beside(&self, node: NodeId) -> Vec<NodeId> {
        let group = &self.solution.groups[self.solution.device(node).group].devices;
        let is_open = |other: &NodeId| {
            let set = &self.solution.alias_sets[self.solution.device(*other).alias_set].devices;
            let undriven = set.iter().all(|mate| self.owner_of(*mate).is_none());
            undriven && !self.machine.nodes[other.index()].direct.is_empty()
        };
        let members = group.iter().copied();
        members
            .filter(|other| *other == node || is_open(other))
            .collect()
    }
}
