//! Remedies among owners: trust, waivers, and who drives what.

use super::{Builder, Candidate};
use crate::change::Change;
use crate::model::{NodeId, OwnerId};

impl Builder<'_> {
    fn pair(&self) -> Option<(OwnerId, OwnerId)> {
        let owner = |position: usize| {
            let node = self.diagnostic.nodes.get(position)?;
            self.machine.nodes[node.index()].owner
        };
        let (a, b) = (owner(0)?, owner(1)?);
        (a != b).then_some((a, b))
    }

    fn names(&self, pair: (OwnerId, OwnerId)) -> (&str, &str) {
        (
            &self.machine.owners[pair.0.index()].name,
            &self.machine.owners[pair.1.index()].name,
        )
    }

    fn with_pair(
        &self,
        text: impl Fn(&str, &str) -> String,
        change: fn(OwnerId, OwnerId) -> Change,
    ) -> Vec<Candidate> {
        let Some(pair) = self.pair() else {
            return Vec::new();
        };
        let (a, b) = self.names(pair);
        vec![Candidate {
            text: text(a, b),
            changes: vec![change(pair.0, pair.1)],
        }]
    }

    pub(super) fn trust(&self) -> Vec<Candidate> {
        self.with_pair(
            |a, b| format!("declare that `{a}` trusts `{b}` and `{b}` trusts `{a}`"),
            Change::Trust,
        )
    }

    /// A waiver that falls short is completed; another one beside it would hide what was missing.
    pub(super) fn waive(&self) -> Vec<Candidate> {
        if let Some(short) = &self.diagnostic.short {
            return vec![Candidate {
                text: format!("name {} in the waiver, too", self.list(&short.devices)),
                changes: vec![Change::Name(short.waiver, short.devices.clone())],
            }];
        }
        self.with_pair(
            |a, b| format!("waive the pair `{a}`, `{b}` with a written reason"),
            Change::Waive,
        )
    }

    pub(super) fn contain(&self) -> Vec<Candidate> {
        self.with_pair(
            |a, b| format!("declare that `{a}` and `{b}` stop and restart together"),
            Change::Contain,
        )
    }

    /// One owner for all that the two have in common.
    pub(super) fn one_owner(&self) -> Vec<Candidate> {
        let Some((a, b)) = self.pair() else {
            return Vec::new();
        };
        let Some(first) = self.diagnostic.nodes.get(1) else {
            return Vec::new();
        };
        let group = self.solution.device(*first).group;
        let reset = self.solution.device(*first).reset_unit;
        let theirs: Vec<NodeId> = self
            .solution
            .order
            .iter()
            .copied()
            .filter(|n| self.machine.nodes[n.index()].owner == Some(b))
            .filter(|n| {
                self.solution.device(*n).group == group
                    || self.solution.device(*n).reset_unit == reset
            })
            .collect();
        let (name, _) = self.names((a, b));
        let list = self.list(&theirs);
        vec![Candidate {
            text: format!("let `{name}` drive {list} too"),
            changes: theirs
                .into_iter()
                .map(|n| Change::Owner(n, Some(a)))
                .collect(),
        }]
    }

    /// Trust in a task that has registers of the first party, by the owner of the second; or the task does without.
    pub(super) fn hold(&self) -> Vec<Candidate> {
        let [node, other, ..] = self.diagnostic.nodes.as_slice() else {
            return Vec::new();
        };
        let entry = &self.machine.nodes[node.index()];
        let named = |task: &&OwnerId| {
            let task = self.machine.owners.get(task.index());
            let text = |task: &str| format!("`{task}` has its registers");
            let mut parties = self.diagnostic.parties.iter();
            task.is_some_and(|task| parties.any(|party| party.text == text(&task.name)))
        };
        let holders: Vec<OwnerId> = entry.holders.iter().map(|holder| holder.task).collect();
        let (Some(task), Some(owner)) = (
            holders.iter().find(named),
            self.machine.nodes[other.index()].owner,
        ) else {
            return Vec::new();
        };
        let (by, of) = self.names((*task, owner));
        vec![
            Candidate {
                text: format!("declare that `{of}` trusts `{by}`"),
                changes: vec![Change::TrustIn(owner, *task)],
            },
            Candidate {
                text: format!(
                    "let `{by}` do without the registers of `{}`",
                    self.node(*node)
                ),
                changes: vec![Change::DropHolder(*node, *task)],
            },
        ]
    }

    /// The owner of the second party for the first, which nobody drives.
    pub(super) fn adopt(&self) -> Vec<Candidate> {
        let [node, other, ..] = self.diagnostic.nodes.as_slice() else {
            return Vec::new();
        };
        let owner = |node: &NodeId| self.machine.nodes[node.index()].owner;
        let (None, Some(owner)) = (owner(node), owner(other)) else {
            return Vec::new();
        };
        let Some(by) = self.machine.owners.get(owner.index()) else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!("let `{}` drive `{}` too", by.name, self.node(*node)),
            changes: vec![Change::Owner(*node, Some(owner))],
        }]
    }

    /// The driver of a device with the same StreamID for one that nobody drives.
    pub(super) fn mate(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        let set = &self.solution.alias_sets[self.solution.device(node).alias_set];
        let owner = |mate: &NodeId| self.machine.nodes[mate.index()].owner;
        let Some(owner) = set.devices.iter().find_map(owner) else {
            return Vec::new();
        };
        let Some(by) = self.machine.owners.get(owner.index()) else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!(
                "let `{}` drive `{}` too, with whose device it shares a StreamID",
                by.name,
                self.node(node)
            ),
            changes: vec![Change::Owner(node, Some(owner))],
        }]
    }
}
