//! Remedies in what a device or group asks for: its domain, its window, its policy.

use std::collections::BTreeSet;

use super::{Builder, Candidate};
use crate::change::Change;
use crate::diagnostic::Code;
use crate::model::{DomainType, NodeId};
use crate::solution::Mode;

impl Builder<'_> {
    /// One demand for all that demand another: in the whole unit, or of the two parties only.
    pub(super) fn same_demand(&self, whole_unit: bool) -> Vec<Candidate> {
        let Some(&first) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        let members: Vec<NodeId> = match (whole_unit, self.solution.mode) {
            (false, _) => self.diagnostic.nodes.clone(),
            (true, Mode::Strict) => self.solution.alias_sets[self.solution.device(first).alias_set]
                .devices
                .clone(),
            (true, Mode::Linux) => self.solution.groups[self.solution.device(first).group]
                .devices
                .clone(),
        };
        let demand = |n: &NodeId| self.machine.nodes[n.index()].demand;
        let types: BTreeSet<DomainType> = members.iter().filter_map(demand).collect();
        types
            .into_iter()
            .map(|wanted| {
                let others: Vec<NodeId> = members
                    .iter()
                    .copied()
                    .filter(|n| demand(n).is_some_and(|d| d != wanted))
                    .collect();
                Candidate {
                    text: format!(
                        "let {} demand `{}`, or nothing",
                        self.list(&others),
                        wanted.text()
                    ),
                    changes: others
                        .into_iter()
                        .map(|n| Change::Demand(n, Some(wanted)))
                        .collect(),
                }
            })
            .collect()
    }

    pub(super) fn open(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!("let `{}` demand `dma`", self.node(node)),
            changes: vec![Change::Demand(node, Some(DomainType::Dma))],
        }]
    }

    pub(super) fn block(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!(
                "give `{0}` an owner, or `domain = \"blocked\"`",
                self.node(node)
            ),
            changes: vec![Change::Demand(node, Some(DomainType::Blocked))],
        }]
    }

    pub(super) fn neutral(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!("remove the demand of `{}`", self.node(node)),
            changes: vec![Change::Demand(node, None)],
        }]
    }

    pub(super) fn translate(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        let mut candidates = vec![Candidate {
            text: format!("remove `unsafe-bypass` of `{}`", self.node(node)),
            changes: vec![Change::Translate(node)],
        }];
        if self.machine.nodes[node.index()].demand.is_some() {
            candidates.extend(self.neutral());
        }
        candidates
    }

    pub(super) fn bare_bridge(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!("remove the owner and the demand of `{}`", self.node(node)),
            changes: vec![Change::Owner(node, None), Change::Demand(node, None)],
        }]
    }

    pub(super) fn named_group(&self) -> Vec<Candidate> {
        let mut candidates = Vec::new();
        for (index, group) in self.machine.groups.iter().enumerate() {
            if !self
                .diagnostic
                .parties
                .iter()
                .any(|p| p.text == format!("group `{}`", group.name))
            {
                continue;
            }
            if self.diagnostic.code == Code::GroupPolicies {
                candidates.push(Candidate {
                    text: format!("take the default domain off group `{}`", group.name),
                    changes: vec![Change::DropPolicy(index)],
                });
                continue;
            }
            let Some(&first) = group.members.first() else {
                continue;
            };
            let home = self.solution.device(first).group;
            let stray: Vec<NodeId> = group
                .members
                .iter()
                .copied()
                .filter(|m| self.solution.device(*m).group != home)
                .collect();
            candidates.push(Candidate {
                text: format!("remove {} from group `{}`", self.list(&stray), group.name),
                changes: stray
                    .into_iter()
                    .map(|n| Change::DropMember(index, n))
                    .collect(),
            });
        }
        candidates
    }

    pub(super) fn window(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        let Some(domain) = self.solution.device(node).domain else {
            return Vec::new();
        };
        let members = &self.solution.domains[domain].devices;
        vec![Candidate {
            text: format!(
                "declare smaller windows for {}, without `window-base`",
                self.list(members)
            ),
            changes: members.iter().map(|n| Change::SmallWindow(*n)).collect(),
        }]
    }
}
