//! Owners: who may share what with whom.

use std::collections::BTreeMap;

use crate::alternative::apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::edge::Edge;
use crate::model::{Machine, NodeId};
use crate::open_unowned::{self, OpenUnowned};
use crate::pairs::Pairs;
use crate::relation::Chains;
use crate::solution::{EdgeKind, Mode, UsedWaiver};
use crate::topology::Topology;

/// The sets to check.
pub(crate) struct Ownership<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub chains: &'a Chains<'a>,
    pub pairs: &'a Pairs<'a>,
    pub open_unowned: &'a OpenUnowned,
    pub mode: Mode,
    /// The units: nodes with one domain. They are alias sets, in `linux` mode groups.
    pub units: &'a [Vec<usize>],
    pub unit_of: &'a [usize],
    pub groups: &'a [Vec<usize>],
    /// Closure of units and reset units.
    pub containment: &'a [Vec<usize>],
}

impl Ownership<'_> {
    /// Checks every set; the waivers that were needed.
    pub fn check(&self, found: &mut Vec<Diagnostic>) -> Vec<UsedWaiver> {
        self.bridges(found);
        for unit in self.units {
            self.unit(unit, found);
        }
        let mut used = Vec::new();
        for (group, set) in self.groups.iter().enumerate() {
            self.group(group, set, &mut used, found);
            self.open_unowned_in_group(set, found);
        }
        for set in self.containment {
            self.containment_unit(set, found);
        }
        used
    }

    fn owner_text(&self, owner: usize) -> &str {
        self.machine
            .owners
            .get(owner)
            .map_or("?", |o| o.name.as_str())
    }

    /// Pairs of different owners in `set`, each with the first device of both for which `counts` holds; by name
    /// of the owners.
    fn pairs_in(
        &self,
        set: &[usize],
        counts: impl Fn(usize, usize) -> bool,
    ) -> Vec<(usize, usize, usize, usize)> {
        let mut devices: BTreeMap<(&str, usize), Vec<usize>> = BTreeMap::new();
        for &node in set {
            if let Some(owner) = self.pairs.owner(node) {
                let name = self.pairs.owner_name(owner);
                devices.entry((name, owner)).or_default().push(node);
            }
        }
        let owners: Vec<_> = devices.into_iter().collect();
        let mut pairs = Vec::new();
        for (index, ((_, owner), nodes)) in owners.iter().enumerate() {
            for ((_, other), others) in &owners[index + 1..] {
                let pair = nodes
                    .iter()
                    .flat_map(|a| others.iter().map(move |b| (*a, *b)))
                    .find(|(a, b)| counts(*a, *b));
                if let Some((a, b)) = pair {
                    pairs.push((*owner, *other, a, b));
                }
            }
        }
        pairs
    }

    /// True if the two can be there together.
    fn meet(&self, a: usize, b: usize) -> bool {
        !apart(self.topology, a, b)
    }

    fn shared(
        &self,
        code: Code,
        message: String,
        pair: (usize, usize, usize, usize),
        kinds: &[EdgeKind],
    ) -> Diagnostic {
        let (owner, other, a, b) = pair;
        let (first, second) = (&self.machine.nodes[a], &self.machine.nodes[b]);
        let mut diagnostic = Diagnostic::new(code, message)
            .device(
                self.machine,
                a,
                format!("`{}` is owned by `{}`", first.name, self.owner_text(owner)),
            )
            .device(
                self.machine,
                b,
                format!("`{}` is owned by `{}`", second.name, self.owner_text(other)),
            );
        diagnostic.chain = self.chains.find(NodeId::new(a), NodeId::new(b), kinds);
        diagnostic
    }

    /// One domain has the pools of all its owners, also of those whose devices are never there together.
    fn unit(&self, set: &[usize], found: &mut Vec<Diagnostic>) {
        let (what, kinds): (_, &[EdgeKind]) = match self.mode {
            Mode::Strict => ("share a StreamID", &[EdgeKind::Alias]),
            Mode::Linux => (
                "share a group, which in `linux` mode has one domain",
                &[EdgeKind::Alias, EdgeKind::Isolation],
            ),
        };
        for pair in self.pairs_in(set, |_, _| true) {
            if !self.pairs.trusting(pair.0, pair.1) {
                let message = format!(
                    "`{}` and `{}` own devices that {what}, but do not trust each other",
                    self.owner_text(pair.0),
                    self.owner_text(pair.1)
                );
                found.push(self.shared(Code::AliasTrust, message, pair, kinds));
            }
        }
    }

    fn group(
        &self,
        group: usize,
        set: &[usize],
        used: &mut Vec<UsedWaiver>,
        found: &mut Vec<Diagnostic>,
    ) {
        for pair in self.pairs_in(set, |a, b| self.meet(a, b)) {
            if self.pairs.trusting(pair.0, pair.1) {
                continue;
            }
            let theirs = |node: &usize| {
                let owner = self.pairs.owner(*node);
                owner == Some(pair.0) || owner == Some(pair.1)
            };
            let devices: Vec<usize> = set.iter().copied().filter(theirs).collect();
            if let Some(waiver) = self.pairs.waiver(pair.0, pair.1, &devices) {
                used.push(UsedWaiver { waiver, group });
                continue;
            }
            // In `linux` mode a group is a unit, and was found to be without trust as one.
            if self.mode == Mode::Linux {
                continue;
            }
            let message = format!(
                "`{}` and `{}` own devices that can reach each other, but do not trust each other",
                self.owner_text(pair.0),
                self.owner_text(pair.1)
            );
            let kinds = [EdgeKind::Alias, EdgeKind::Isolation];
            let error = self.shared(Code::GroupTrust, message, pair, &kinds);
            let error = self.pairs.falls_short((pair.0, pair.1), &devices, error);
            found.push(error);
        }
    }

    /// A device that is always open and that nobody drives acts on what it can reach, and on whatever writes to its
    /// registers. There is one error for each group.
    fn open_unowned_in_group(&self, set: &[usize], found: &mut Vec<Diagnostic>) {
        let open = set.iter().filter(|node| self.open_unowned.contains(**node));
        let driven: Vec<(usize, usize)> = set
            .iter()
            .filter_map(|node| Some((*node, self.pairs.owner(*node)?)))
            .collect();
        let met = open.copied().find_map(|node| {
            let mut driven = driven.iter();
            let met = driven.find(|(other, _)| self.meet(node, *other))?;
            Some((node, *met))
        });
        let Some((node, (other, owner))) = met else {
            return;
        };
        let name = |node: usize| &self.machine.nodes[node].name;
        let (open, driven, owner) = (name(node), name(other), self.pairs.owner_name(owner));
        let message = format!(
            "`{driven}` of `{owner}` and `{open}` can reach each other, and nobody drives `{open}`, whose {}: there is \
             no owner whom `{owner}` could trust",
            open_unowned::open(self.machine, node)
        );
        let text = format!("`{open}` is always open, and nobody drives it");
        let mut diagnostic = Diagnostic::new(Code::GroupTrust, message)
            .device(self.machine, node, text)
            .device(
                self.machine,
                other,
                format!("`{driven}` is owned by `{owner}`"),
            );
        let kinds = [EdgeKind::Alias, EdgeKind::Isolation];
        diagnostic.chain = self
            .chains
            .find(NodeId::new(node), NodeId::new(other), &kinds);
        found.push(diagnostic);
    }

    fn containment_unit(&self, set: &[usize], found: &mut Vec<Diagnostic>) {
        let kinds: &[EdgeKind] = match self.mode {
            Mode::Strict => &[EdgeKind::Alias, EdgeKind::Reset],
            Mode::Linux => &[EdgeKind::Alias, EdgeKind::Isolation, EdgeKind::Reset],
        };
        let together = |a: usize, b: usize| self.unit_of[a] == self.unit_of[b] || self.meet(a, b);
        for pair in self.pairs_in(set, together) {
            if !self.pairs.contained(pair.0, pair.1) {
                let message = format!(
                    "`{}` and `{}` own devices that cannot be contained apart, but are not declared to restart together",
                    self.owner_text(pair.0),
                    self.owner_text(pair.1)
                );
                let mut error = self.shared(Code::Containment, message, pair, kinds);
                error.presumes = self.domains_between(pair.2, pair.3, &error.chain);
                found.push(error);
            }
        }
    }

    /// The devices on the way between two whose domain ties them to the next; none if resets alone tie the two.
    fn domains_between(&self, a: usize, b: usize, chain: &[Edge]) -> Vec<usize> {
        let resets = self
            .chains
            .find(NodeId::new(a), NodeId::new(b), &[EdgeKind::Reset]);
        if !resets.is_empty() {
            return Vec::new();
        }
        let by_domain = chain.iter().filter(|edge| edge.kind != EdgeKind::Reset);
        by_domain.map(|edge| edge.from.index()).collect()
    }

    fn bridges(&self, found: &mut Vec<Diagnostic>) {
        for &node in &self.topology.order {
            let entry = &self.machine.nodes[node];
            let on_pci = self.topology.placed[node].requester.is_some();
            if on_pci
                && entry.function.kind.is_bridge()
                && (entry.owner.is_some() || entry.demand.is_some())
            {
                found.push(
                    Diagnostic::new(
                        Code::BridgeDemand,
                        format!(
                            "`{}` is a {} and has an owner or a demand",
                            entry.name,
                            entry.function.kind.text()
                        ),
                    )
                    .device(self.machine, node, format!("`{}`", entry.name)),
                );
            }
        }
    }
}
