//! Requests under the id of another device.

use std::collections::{BTreeMap, BTreeSet};

use crate::alias::Ids;
use crate::alternative::apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::image::Scope;
use crate::isolation::Isolation;
use crate::model::{Machine, SmmuId};
use crate::ownership::Pairs;
use crate::solution::UsedWaiver;
use crate::topology::Topology;

/// The inputs of the check.
pub(crate) struct Forgery<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub isolation: &'a Isolation<'a>,
    pub ids: &'a [Ids],
    pub pairs: &'a Pairs<'a>,
    pub group_of: &'a [usize],
}

/// The devices of one owner in one group, in order. There is one at least.
struct Stand {
    owner: usize,
    group: usize,
    nodes: Vec<usize>,
}

impl Forgery<'_> {
    /// Whoever drives a device is trusted, or waived, by all who have a StreamID that the device may use.
    /// One error for each two owners; the waivers that cover something are added to `used`.
    pub fn check(&self, used: &mut Vec<UsedWaiver>, found: &mut Vec<Diagnostic>) {
        let driven = || {
            let order = self.topology.order.iter().copied();
            order.filter(|node| self.pairs.owner(*node).is_some())
        };
        let mut place = vec![0; self.topology.placed.len()];
        for (index, node) in self.topology.order.iter().enumerate() {
            place[*node] = index;
        }
        // By what they may use, and within that by bus, both in the order of devices.
        let mut forging: BTreeMap<_, (Scope, BTreeMap<_, Vec<usize>>)> = BTreeMap::new();
        for node in driven() {
            let Some(bridge) = self.topology.placed[node].parent else {
                continue;
            };
            if let Some(scope) = Scope::of(self.topology, self.isolation, bridge) {
                let key = match scope {
                    Scope::Segment(segment) => (Some(segment), 0),
                    Scope::Below(port) => (None, place[port]),
                };
                let (_, buses) = forging.entry(key).or_insert((scope, BTreeMap::new()));
                let bus = buses.entry((place[bridge], bridge)).or_default();
                bus.push(node);
            }
        }
        if forging.is_empty() {
            return;
        }
        let users = self.users(driven());
        for (scope, buses) in forging.into_values() {
            let having = self.having(scope, &users);
            let mut named = BTreeSet::new();
            for ((_, bus), forging) in buses {
                // Nothing looks at the ids of one bus: that its functions use their own is taken on trust.
                let beside = |node: &usize| self.topology.placed[*node].parent == Some(bus);
                let victims = self.stands(having.iter().copied().filter(|node| !beside(node)));
                for forger in self.stands(forging) {
                    for victim in &victims {
                        self.compare(scope, &forger, victim, &mut named, used, found);
                    }
                }
            }
        }
    }

    /// Two owners; `named` are those that were reported.
    fn compare(
        &self,
        scope: Scope,
        forger: &Stand,
        victim: &Stand,
        named: &mut BTreeSet<(usize, usize)>,
        used: &mut Vec<UsedWaiver>,
        found: &mut Vec<Diagnostic>,
    ) {
        let together = |one: usize| {
            let mut others = victim.nodes.iter();
            others.any(|other| !apart(self.topology, one, *other))
        };
        // Those of one group are compared as such.
        if victim.group == forger.group
            || self.pairs.trusting(forger.owner, victim.owner)
            || !forger.nodes.iter().any(|node| together(*node))
        {
            return;
        }
        // A waiver that names devices names all that may, and all whose ids they may use.
        let devices = [forger.nodes.as_slice(), victim.nodes.as_slice()].concat();
        if let Some(waiver) = self.pairs.waiver(forger.owner, victim.owner, &devices) {
            let group = forger.group;
            used.push(UsedWaiver { waiver, group });
        } else if named.insert((forger.owner, victim.owner)) {
            let pair = (forger.owner, victim.owner);
            let error = self.forged(forger, victim, scope);
            found.extend(error.map(|error| self.pairs.falls_short(pair, &devices, error)));
        }
    }

    /// Devices by owner and group, in the order of the first of each.
    fn stands(&self, nodes: impl IntoIterator<Item = usize>) -> Vec<Stand> {
        let mut known: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut stands: Vec<Stand> = Vec::new();
        for node in nodes {
            let Some(owner) = self.pairs.owner(node) else {
                continue;
            };
            let group = self.group_of[node];
            let index = *known.entry((owner, group)).or_insert(stands.len());
            match stands.get_mut(index) {
                Some(stand) => stand.nodes.push(node),
                None => stands.push(Stand {
                    owner,
                    group,
                    nodes: vec![node],
                }),
            }
        }
        stands
    }

    /// Who has which StreamID, with the position in the order of devices.
    fn users(&self, nodes: impl Iterator<Item = usize>) -> BTreeMap<(SmmuId, u64, usize), usize> {
        let placed = nodes.enumerate();
        placed
            .flat_map(|(place, node)| {
                let streams = self.ids[node].streams.iter();
                streams.map(move |s| ((s.smmu, u64::from(s.id), place), node))
            })
            .collect()
    }

    /// The devices with a StreamID of `scope`.
    fn having(&self, scope: Scope, users: &BTreeMap<(SmmuId, u64, usize), usize>) -> Vec<usize> {
        let image = scope.image(self.machine, self.topology);
        let found: BTreeMap<usize, usize> = image
            .ranges()
            .flat_map(|(smmu, first, end)| users.range((smmu, first, 0)..(smmu, end, 0)))
            .map(|((_, _, place), node)| (*place, *node))
            .collect();
        found.into_values().collect()
    }

    fn forged(&self, forger: &Stand, victim: &Stand, scope: Scope) -> Option<Diagnostic> {
        let name = |node: usize| &self.machine.nodes[node].name;
        let (forging, reached) = (*forger.nodes.first()?, *victim.nodes.first()?);
        let [by, of] = [forger.owner, victim.owner].map(|owner| self.pairs.owner_name(owner));
        let may = match scope {
            Scope::Segment(segment) => format!("any StreamID of segment {segment}, that"),
            Scope::Below(_) => format!("{}, the StreamID", scope.text(self.topology)),
        };
        let message = format!(
            "`{}` of `{by}` may use {may} of `{}` of `{of}` included, without trust in each other",
            name(forging),
            name(reached)
        );
        let owned = |node: usize, owner: &str| format!("`{}` is owned by `{owner}`", name(node));
        let (port, why) = self.lets_through(forging, scope)?;
        let why = format!("`{}` {why}", name(port));
        let diagnostic = Diagnostic::new(Code::ForgedStream, message)
            .device(self.machine, forging, owned(forging, by))
            .device(self.machine, reached, owned(reached, of));
        Some(diagnostic.device(self.machine, port, why))
    }

    /// The port that could narrow what `node` may use, and what it does instead.
    fn lets_through(&self, node: usize, scope: Scope) -> Option<(usize, &'static str)> {
        const UNCHECKED: &str = "does not check the ids of what is below it";
        if let Some(port) = self.isolation.unvalidated(node) {
            return Some((port, UNCHECKED));
        }
        let nearest = self
            .isolation
            .first_checking(self.topology.placed[node].parent?)?;
        let why = match scope == Scope::Below(nearest) {
            true => "checks the bus number of ids only",
            false => UNCHECKED,
        };
        Some((nearest, why))
    }
}
