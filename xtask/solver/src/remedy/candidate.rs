//! What might solve an error.

use std::collections::BTreeSet;

use crate::change::Change;
use crate::diagnostic::{Code, Diagnostic, Remedy};
use crate::model::{DomainType, FunctionKind, Machine, NodeId, OwnerId, Place, Quiesce, Upstream};
use crate::solution::{EdgeKind, Mode, Solution};

/// A remedy that has not been tried.
type Candidate = Remedy;

/// Candidates for one error, the least change first.
pub(super) fn all(
    machine: &Machine,
    solution: &Solution,
    diagnostic: &Diagnostic,
) -> Vec<Candidate> {
    let builder = Builder {
        machine,
        solution,
        diagnostic,
    };
    match diagnostic.code {
        Code::AliasDemands => builder.same_demand(true),
        Code::GroupDemands if solution.mode == Mode::Linux => builder.same_demand(true),
        Code::GroupDemands => [
            builder.trust(),
            builder.same_demand(false),
            builder.fabric(),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Code::GroupTrust => [
            builder.trust(),
            builder.waive(),
            builder.fabric(),
            builder.one_owner(),
        ]
        .into_iter()
        .flatten()
        .collect(),
        Code::AliasTrust => [builder.trust(), builder.one_owner()]
            .into_iter()
            .flatten()
            .collect(),
        Code::ForgedStream => [builder.trust(), builder.waive(), builder.enable(2)]
            .into_iter()
            .flatten()
            .collect(),
        Code::HolderTrust => [builder.hold(), builder.fabric()].concat(),
        Code::DirectOverlap => [builder.trust(), builder.waive(), builder.adopt()].concat(),
        Code::Stranger => [builder.fabric(), builder.enable(1)].concat(),
        Code::Containment => [builder.contain(), builder.recipe(), builder.one_owner()]
            .into_iter()
            .flatten()
            .collect(),
        Code::Unowned => [builder.block(), builder.mate()].concat(),
        Code::DrivenBlocked => builder.open(),
        Code::UntrustedIdentity | Code::DirectBlocked => builder.neutral(),
        Code::Bypass => builder.translate(),
        Code::BridgeDemand => builder.bare_bridge(),
        Code::GroupSplit | Code::GroupPolicies => builder.named_group(),
        Code::NoWindow | Code::WindowTooLarge | Code::WindowBases => builder.window(),
        Code::BusNumbers => builder.unpin(),
        _ => Vec::new(),
    }
}

struct Builder<'a> {
    machine: &'a Machine,
    solution: &'a Solution,
    diagnostic: &'a Diagnostic,
}

impl Builder<'_> {
    fn node(&self, node: NodeId) -> &str {
        &self.machine.nodes[node.index()].name
    }

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

    fn trust(&self) -> Vec<Candidate> {
        self.with_pair(
            |a, b| format!("declare that `{a}` trusts `{b}` and `{b}` trusts `{a}`"),
            Change::Trust,
        )
    }

    fn waive(&self) -> Vec<Candidate> {
        self.with_pair(
            |a, b| format!("waive the pair `{a}`, `{b}` with a written reason"),
            Change::Waive,
        )
    }

    fn contain(&self) -> Vec<Candidate> {
        self.with_pair(
            |a, b| format!("declare that `{a}` and `{b}` stop and restart together"),
            Change::Contain,
        )
    }

    /// One owner for all that the two have in common.
    fn one_owner(&self) -> Vec<Candidate> {
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

    fn list(&self, nodes: &[NodeId]) -> String {
        let names: Vec<String> = nodes
            .iter()
            .take(6)
            .map(|n| format!("`{}`", self.node(*n)))
            .collect();
        let more = if nodes.len() > 6 {
            format!(" and {} more", nodes.len() - 6)
        } else {
            String::new()
        };
        names.join(", ") + &more
    }

    /// The same demand for all that demand another: in the whole unit, or of the two parties only.
    fn same_demand(&self, whole_unit: bool) -> Vec<Candidate> {
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

    /// What the fabric could do: enable ACS where it exists along the chain, or know more of the root complex.
    fn fabric(&self) -> Vec<Candidate> {
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
        if let Some(root) = root.filter(|r| r.index() < self.machine.roots.len()) {
            let main = self.machine.roots[root.index()].expander_of.unwrap_or(root);
            if main.index() < self.machine.roots.len() {
                candidates.push(Candidate {
                    text: "state in the platform file that the root complex never routes between root ports, \
                           if its manual says so"
                        .into(),
                    changes: vec![Change::NeverRoutes(main.index())],
                });
            }
        }
        candidates
    }

    /// A way to quiet the devices on the chain that does not reset their neighbours.
    fn recipe(&self) -> Vec<Candidate> {
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

    /// What else has to be said of access control that is enabled, but undone.
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
    fn enable(&self, party: usize) -> Vec<Candidate> {
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

    /// Trust in a task that has registers of the first party, by the owner of the second; or the task does without.
    fn hold(&self) -> Vec<Candidate> {
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
    fn adopt(&self) -> Vec<Candidate> {
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
    fn mate(&self) -> Vec<Candidate> {
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

    fn open(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!("let `{}` demand `dma`", self.node(node)),
            changes: vec![Change::Demand(node, Some(DomainType::Dma))],
        }]
    }

    fn block(&self) -> Vec<Candidate> {
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

    fn neutral(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!("take the demand off `{}`", self.node(node)),
            changes: vec![Change::Demand(node, None)],
        }]
    }

    fn translate(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        let mut candidates = vec![Candidate {
            text: format!("take `unsafe-bypass` off `{}`", self.node(node)),
            changes: vec![Change::Translate(node)],
        }];
        if self.machine.nodes[node.index()].demand.is_some() {
            candidates.extend(self.neutral());
        }
        candidates
    }

    fn bare_bridge(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        vec![Candidate {
            text: format!("take owner and demand off `{}`", self.node(node)),
            changes: vec![Change::Owner(node, None), Change::Demand(node, None)],
        }]
    }

    fn named_group(&self) -> Vec<Candidate> {
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
                text: format!("take {} out of group `{}`", self.list(&stray), group.name),
                changes: stray
                    .into_iter()
                    .map(|n| Change::DropMember(index, n))
                    .collect(),
            });
        }
        candidates
    }

    fn window(&self) -> Vec<Candidate> {
        let Some(&node) = self.diagnostic.nodes.first() else {
            return Vec::new();
        };
        let Some(domain) = self.solution.device(node).domain else {
            return Vec::new();
        };
        let members = &self.solution.domains[domain].devices;
        vec![Candidate {
            text: format!(
                "ask for smaller windows for {}, at no fixed address",
                self.list(members)
            ),
            changes: members.iter().map(|n| Change::SmallWindow(*n)).collect(),
        }]
    }

    fn unpin(&self) -> Vec<Candidate> {
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
