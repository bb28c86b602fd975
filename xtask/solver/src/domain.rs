//! The domain type of each unit: an alias set in `strict` mode, a group in `linux` mode.
//!
//! All members are known before anything is decided, so no member is first.

mod by_demand;

use std::collections::BTreeMap;

use crate::alternative::apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::model::{DomainType, Machine, NodeId, Source};
use crate::named_group;
use crate::pairs::Pairs;
use crate::relation::Chains;
use crate::solution::{EdgeKind, Mode};
use crate::topology::Topology;

/// The demand of one device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Demand {
    node: usize,
    domain_type: DomainType,
    /// The external port that forces it, if it did not ask itself.
    forced_by: Option<usize>,
}

/// The decision for one unit.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub domain_type: DomainType,
    pub because: String,
    /// The unit's members contradict each other, which was reported.
    pub conflict: bool,
}

impl Decision {
    fn new(domain_type: DomainType, because: impl Into<String>) -> Self {
        Self {
            domain_type,
            because: because.into(),
            conflict: false,
        }
    }
}

/// The inputs of the decision.
pub(crate) struct Domains<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub chains: &'a Chains<'a>,
    pub pairs: &'a Pairs<'a>,
    pub mode: Mode,
    /// Members of each unit.
    pub units: &'a [Vec<usize>],
    /// Number of each node's unit.
    pub unit_of: &'a [usize],
    /// Members of each group.
    pub groups: &'a [Vec<usize>],
    /// Number of each node's group.
    pub group_of: &'a [usize],
}

impl Domains<'_> {
    /// Decides all units, by number.
    pub fn decide(&self, found: &mut Vec<Diagnostic>) -> Vec<Decision> {
        let policies = named_group::policies(self.machine, self.chains, self.group_of, found);
        let mut decided: Vec<Option<Decision>> = vec![None; self.units.len()];
        for (unit, members) in self.units.iter().enumerate() {
            decided[unit] = self.by_demand(members, found);
        }
        for (group, members) in self.groups.iter().enumerate() {
            let demands = self.demands(members);
            if self.mode == Mode::Strict {
                self.check_group(&demands, found);
            }
            let mut units: Vec<usize> = members.iter().map(|n| self.unit_of[*n]).collect();
            units.sort_unstable();
            units.dedup();
            let policy = policies.get(&group);
            let mut neutral = Vec::new();
            for unit in units {
                if decided[unit].is_none() {
                    neutral.push((unit, self.deciding(unit, &demands)));
                    decided[unit] = Some(self.neutral(unit, &demands, policy, found));
                }
            }
            if let Some((index, domain_type)) = policy {
                let conflict = |node: &usize| {
                    decided[self.unit_of[*node]]
                        .as_ref()
                        .is_some_and(|d| d.conflict)
                };
                if !members.iter().any(conflict) {
                    self.check_policy((*index, *domain_type), members, &neutral, found);
                }
            }
        }
        let blocked = || Decision::new(DomainType::Blocked, "nothing is known of it");
        decided
            .into_iter()
            .map(|d| d.unwrap_or_else(blocked))
            .collect()
    }

    fn name(&self, node: usize) -> &str {
        &self.machine.nodes[node].name
    }

    /// The demands of `members`, in their order. A device that is blocked because nobody drives it asks
    /// nothing of its neighbours.
    fn demands(&self, members: &[usize]) -> Vec<Demand> {
        let mut demands = Vec::new();
        for &node in members {
            let entry = &self.machine.nodes[node];
            if entry.function.kind.is_bridge() {
                continue;
            }
            let external = self.topology.placed[node].external;
            match (entry.demand, external) {
                (Some(domain_type), _) => demands.push(Demand {
                    node,
                    domain_type,
                    forced_by: None,
                }),
                (None, Some(port)) if entry.owner.is_some() => {
                    demands.push(Demand {
                        node,
                        domain_type: DomainType::Dma,
                        forced_by: Some(port),
                    });
                }
                _ => {}
            }
        }
        demands
    }

    fn party(&self, diagnostic: Diagnostic, demand: Demand) -> Diagnostic {
        let mut diagnostic = diagnostic.device(self.machine, demand.node, self.demand_text(demand));
        let source = self.machine.nodes[demand.node].demand_source;
        if let (None, Some(party)) = (demand.forced_by, diagnostic.parties.last_mut())
            && source != Source::default()
        {
            party.source = source;
        }
        diagnostic
    }

    fn demand_text(&self, demand: Demand) -> String {
        let kind = demand.domain_type.text();
        match demand.forced_by {
            Some(port) => {
                format!(
                    "`{}` must be `{kind}`, as it is behind the external port `{}`",
                    self.name(demand.node),
                    self.name(port)
                )
            }
            None => format!("`{}` demands `{kind}`", self.name(demand.node)),
        }
    }

    /// Demands of `demands` that may shape a neutral unit: of devices that somebody drives whom all its owners
    /// trust, and that can be there together with it. A waiver says nothing about what one device may decide for
    /// another. That somebody blocks a device of his own concerns nobody else.
    fn shaping<'d>(&self, unit: usize, demands: &'d [Demand]) -> impl Iterator<Item = &'d Demand> {
        let members = move || self.units[unit].iter().copied();
        let may = move |demand: &&Demand| {
            self.pairs.owner(demand.node).is_some_and(|owner| {
                demand.domain_type != DomainType::Blocked
                    && members().any(|node| !apart(self.topology, node, demand.node))
                    && members()
                        .filter_map(|node| self.pairs.owner(node))
                        .all(|other| self.pairs.trusting(owner, other))
            })
        };
        demands.iter().filter(may)
    }

    /// Demands that shape a group: those of devices that somebody drives.
    fn owned<'d>(&self, demands: &'d [Demand]) -> impl Iterator<Item = &'d Demand> {
        demands
            .iter()
            .filter(|d| self.machine.nodes[d.node].owner.is_some())
    }

    /// Different demands in one group stand if their owners trust each other.
    fn check_group(&self, demands: &[Demand], found: &mut Vec<Diagnostic>) {
        let mut seen: BTreeMap<(DomainType, usize), Vec<Demand>> = BTreeMap::new();
        for demand in self.owned(demands) {
            if let Some(owner) = self.machine.nodes[demand.node].owner {
                let key = (demand.domain_type, owner.index());
                seen.entry(key).or_default().push(*demand);
            }
        }
        let list: Vec<_> = seen.into_iter().collect();
        for (index, ((kind, owner), firsts)) in list.iter().enumerate() {
            for ((other_kind, other_owner), seconds) in &list[index + 1..] {
                if kind == other_kind || self.pairs.trusting(*owner, *other_owner) {
                    continue;
                }
                // One pair for each two owners and types, so that large groups stay readable.
                let pair = firsts
                    .iter()
                    .flat_map(|first| seconds.iter().map(move |second| (*first, *second)))
                    .find(|(first, second)| {
                        self.unit_of[first.node] != self.unit_of[second.node]
                            && !apart(self.topology, first.node, second.node)
                    });
                if let Some((first, second)) = pair {
                    self.group_conflict(first, second, found);
                }
            }
        }
    }

    fn group_conflict(&self, first: Demand, second: Demand, found: &mut Vec<Diagnostic>) {
        let (first, second) = if first.node_order(self.topology) <= second.node_order(self.topology)
        {
            (first, second)
        } else {
            (second, first)
        };
        let mut diagnostic = Diagnostic::new(
            Code::GroupDemands,
            format!(
                "`{}` is to be `{}` and `{}` is to be `{}`, but they can reach each other and their owners do not trust each other",
                self.name(first.node),
                first.domain_type.text(),
                self.name(second.node),
                second.domain_type.text()
            ),
        );
        diagnostic = self.party(self.party(diagnostic, first), second);
        diagnostic.chain = self.chains.find(
            NodeId::new(first.node),
            NodeId::new(second.node),
            &[EdgeKind::Alias, EdgeKind::Isolation],
        );
        found.push(diagnostic);
    }

    /// The demand that decides for a neutral unit: the one type that those demand which may shape it.
    fn deciding(&self, unit: usize, demands: &[Demand]) -> Option<Demand> {
        let mut shaping = self.shaping(unit, demands);
        let first = shaping.next().copied()?;
        shaping
            .all(|demand| demand.domain_type == first.domain_type)
            .then_some(first)
    }

    /// Reports a named group's policy that has no effect, as demands decide for `neutral` units, each with the one that
    /// does, or as there are none.
    fn check_policy(
        &self,
        (index, domain_type): (usize, DomainType),
        members: &[usize],
        neutral: &[(usize, Option<Demand>)],
        found: &mut Vec<Diagnostic>,
    ) {
        let group = &self.machine.groups[index];
        let is_driven = |node: &usize| self.machine.nodes[*node].owner.is_some();
        let policy = format!("`{}` of group `{}`", domain_type.text(), group.name);
        let report = |message: String| {
            let text = format!("the policy of group `{}`", group.name);
            Diagnostic::new(Code::PolicyWithoutEffect, message).party(text, group.source)
        };
        let overrides = |demand: &Demand| demand.domain_type != domain_type;
        let overridden = neutral
            .iter()
            .find_map(|(unit, demand)| Some((*unit, demand.filter(overrides)?)));
        if let Some((unit, demand)) = overridden {
            let mut unit = self.units[unit].iter().copied();
            let node = unit.find(is_driven).unwrap_or(demand.node);
            let message = format!(
                "the policy {policy} has no effect on `{}`, as {}",
                self.name(node),
                self.demand_text(demand)
            );
            let text = format!("`{}` demands nothing", self.name(node));
            found.push(self.party(report(message).device(self.machine, node, text), demand));
        } else if !members.iter().any(is_driven) {
            let message =
                format!("the policy {policy} has no effect, as nobody drives a device of it");
            let first = group.members.first().map_or(0, |node| node.index());
            let text = format!("nobody drives `{}`", self.name(first));
            found.push(report(message).device(self.machine, first, text));
        } else if neutral.is_empty() {
            let demands = self.demands(members);
            if let Some(demand) = self.owned(&demands).copied().find(overrides) {
                let message = format!(
                    "the policy {policy} has no effect, as none of its devices is neutral: {}",
                    self.demand_text(demand)
                );
                found.push(self.party(report(message), demand));
            }
        }
    }

    /// Decides a unit that somebody owns and that demands nothing.
    fn neutral(
        &self,
        unit: usize,
        demands: &[Demand],
        policy: Option<&(usize, DomainType)>,
        found: &mut Vec<Diagnostic>,
    ) -> Decision {
        let mut shaping = self.shaping(unit, demands).copied();
        let first = shaping.next();
        let other = first.and_then(|first| shaping.find(|d| d.domain_type != first.domain_type));
        if let (Some(demand), None) = (first, other) {
            let absent = match self.topology.placed[demand.node].hangs_on.as_slice() {
                [] => "",
                _ => " whether it is plugged in or not",
            };
            let because = format!(
                "neutral, and {}{absent}, the one demand of an owner it trusts in its group",
                self.demand_text(demand)
            );
            return Decision::new(demand.domain_type, because);
        }
        let (mut domain_type, mut because, source) = match policy {
            Some((index, domain_type)) => {
                let group = &self.machine.groups[*index];
                (
                    *domain_type,
                    format!("neutral, by the policy of group `{}`", group.name),
                    group.source,
                )
            }
            None => {
                let policy = &self.machine.policy;
                (
                    policy.default_domain,
                    "neutral, by the global policy".into(),
                    policy.source,
                )
            }
        };
        let members = &self.units[unit];
        if let (Some(first), Some(other)) = (first, other) {
            let node = members
                .iter()
                .copied()
                .find(|n| self.machine.nodes[*n].owner.is_some())
                .unwrap_or(first.node);
            let entry = &self.machine.nodes[node];
            let diagnostic = Diagnostic::new(
                Code::MixedNeutral,
                format!(
                    "neutral `{}` shares a group with demands of `{}` and `{}`; the policy makes it `{}`",
                    entry.name,
                    first.domain_type.text(),
                    other.domain_type.text(),
                    domain_type.text()
                ),
            )
            .device(self.machine, node, format!("`{}` demands nothing", entry.name));
            found.push(
                self.party(self.party(diagnostic, first), other)
                    .party("the policy", source),
            );
        }
        let direct = members
            .iter()
            .any(|n| !self.machine.nodes[*n].direct.is_empty());
        if domain_type == DomainType::Blocked && direct {
            domain_type = DomainType::Dma;
            because.push_str(", but never `blocked`, as it has direct regions");
        }
        Decision::new(domain_type, because)
    }
}

impl Demand {
    fn node_order(&self, topology: &Topology) -> (bool, u16, u16, usize) {
        let requester = topology.placed[self.node].requester;
        (
            requester.is_none(),
            requester.map_or(0, |r| r.segment),
            requester.map_or(0, |r| r.id),
            if requester.is_none() { self.node } else { 0 },
        )
    }
}
