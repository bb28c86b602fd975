//! Requests under the id of another device.

use std::collections::{BTreeMap, BTreeSet};

use crate::alternative::apart;
use crate::diagnostic::{Code, Diagnostic};
use crate::image::Scope;
use crate::isolation::Isolation;
use crate::model::Machine;
use crate::open_unowned::{self, OpenUnowned};
use crate::pairs::Pairs;
use crate::solution::UsedWaiver;
use crate::topology::Topology;
use crate::usable::{Usables, led_to};

/// The inputs of the check.
pub(crate) struct Forgery<'a> {
    pub machine: &'a Machine,
    pub topology: &'a Topology,
    pub isolation: &'a Isolation<'a>,
    pub usables: &'a Usables,
    pub pairs: &'a Pairs<'a>,
    pub open_unowned: &'a OpenUnowned,
    pub units: &'a [Vec<usize>],
    pub unit_of: &'a [usize],
    pub group_of: &'a [usize],
}

/// A party that answers for some devices of one group: an owner, or no owner for devices that
/// are always open.
struct Party {
    owner: Option<usize>,
    group: usize,
    /// The party's devices, each with the device whose StreamID leads to it. They are in order, and there is one at
    /// least.
    nodes: Vec<(usize, usize)>,
}

impl Party {
    fn nodes(&self) -> impl Iterator<Item = usize> {
        self.nodes.iter().map(|(node, _)| *node)
    }
}

impl Forgery<'_> {
    /// Checks that the party that answers for a device is trusted, or waived, by all whose domains have a StreamID
    /// that the device may use. One error for each two; the waivers that cover something are added to `used`.
    pub fn check(&self, used: &mut Vec<UsedWaiver>, found: &mut Vec<Diagnostic>) {
        let mut place = vec![0; self.topology.placed.len()];
        for (index, node) in self.topology.order.iter().enumerate() {
            place[*node] = index;
        }
        // By what they may use, and within that by bus, both in the order of devices.
        let mut forging: BTreeMap<usize, BTreeMap<_, Vec<usize>>> = BTreeMap::new();
        for &node in &self.topology.order {
            let bus = self.topology.placed[node].parent;
            let usable = self.usables.position(self.topology, node);
            if let (Some(bus), Some(usable)) = (bus, usable.filter(|_| self.acts(node))) {
                let buses = forging.entry(usable).or_default();
                buses.entry((place[bus], bus)).or_default().push(node);
            }
        }
        for (usable, buses) in forging {
            let Some(usable) = self.usables.list().get(usable) else {
                continue;
            };
            let mut named = BTreeSet::new();
            for ((_, bus), forging) in buses {
                let users = usable.elsewhere(self.topology, bus);
                let led_to = led_to(users, self.units, self.unit_of);
                let victims = self.parties(led_to, |node| self.answers_for(node));
                let forging = forging.into_iter().map(|node| (node, node));
                for forger in self.parties(forging, |node| self.answer_for(node)) {
                    for victim in &victims {
                        self.compare(usable.scope, &forger, victim, &mut named, used, found);
                    }
                }
            }
        }
    }

    /// Somebody drives it, or it is on from the start.
    fn acts(&self, node: usize) -> bool {
        self.pairs.owner(node).is_some() || !self.machine.nodes[node].direct.is_empty()
    }

    /// The party that answers for a device in reach, if there is one.
    fn answers_for(&self, node: usize) -> Vec<Option<usize>> {
        match self.pairs.owner(node) {
            Some(owner) => vec![Some(owner)],
            None if self.open_unowned.contains(node) => vec![None],
            None => Vec::new(),
        }
    }

    /// The parties that answer for what a device does: its owner, else all whose domain it is in,
    /// else none.
    fn answer_for(&self, node: usize) -> Vec<Option<usize>> {
        let own = self.answers_for(node);
        if !own.is_empty() {
            return own;
        }
        let unit = &self.units[self.unit_of[node]];
        let owners: BTreeSet<usize> = unit.iter().filter_map(|n| self.pairs.owner(*n)).collect();
        owners.into_iter().map(Some).collect()
    }

    /// Two of them; `named` are those that were reported.
    fn compare(
        &self,
        scope: Scope,
        forger: &Party,
        victim: &Party,
        named: &mut BTreeSet<(Option<usize>, Option<usize>)>,
        used: &mut Vec<UsedWaiver>,
        found: &mut Vec<Diagnostic>,
    ) {
        let together = |one: usize| {
            let mut others = victim.nodes();
            others.any(|other| !apart(self.topology, one, other))
        };
        // Those of one group are compared as such.
        if victim.group == forger.group || !forger.nodes().any(together) {
            return;
        }
        let pair = (forger.owner, victim.owner);
        let (Some(by), Some(of)) = pair else {
            if pair != (None, None) && named.insert(pair) {
                found.extend(self.forged(forger, victim, scope));
            }
            return;
        };
        if self.pairs.trusting(by, of) {
            return;
        }
        // A waiver that names devices names all that may, and all that they reach.
        let devices: Vec<usize> = forger.nodes().chain(victim.nodes()).collect();
        if let Some(waiver) = self.pairs.waiver(by, of, &devices) {
            let group = forger.group;
            used.push(UsedWaiver { waiver, group });
        } else if named.insert(pair) {
            let error = self.forged(forger, victim, scope);
            found.extend(error.map(|error| self.pairs.falls_short((by, of), &devices, error)));
        }
    }

    /// Devices by who answers for them and group, in the order of the first of each.
    fn parties(
        &self,
        nodes: impl IntoIterator<Item = (usize, usize)>,
        who: impl Fn(usize) -> Vec<Option<usize>>,
    ) -> Vec<Party> {
        let mut known: BTreeMap<(Option<usize>, usize), usize> = BTreeMap::new();
        let mut parties: Vec<Party> = Vec::new();
        for (node, user) in nodes {
            let group = self.group_of[node];
            for owner in who(node) {
                let index = *known.entry((owner, group)).or_insert(parties.len());
                match parties.get_mut(index) {
                    Some(party) => party.nodes.push((node, user)),
                    None => parties.push(Party {
                        owner,
                        group,
                        nodes: vec![(node, user)],
                    }),
                }
            }
        }
        parties
    }

    fn forged(&self, forger: &Party, victim: &Party, scope: Scope) -> Option<Diagnostic> {
        let name = |node: usize| &self.machine.nodes[node].name;
        let (&(forging, _), &(reached, user)) = (forger.nodes.first()?, victim.nodes.first()?);
        let of = |owner: Option<usize>| {
            let owner = owner.map(|owner| self.pairs.owner_name(owner));
            owner.map_or(String::new(), |owner| format!(" of `{owner}`"))
        };
        let mut by = format!("`{}`{}", name(forging), of(forger.owner));
        if forger.owner.is_none() {
            let regions = open_unowned::regions(self.machine, forging);
            by +=
                &format!(", which nobody drives and which is on from the start for its {regions},");
        }
        let may = match scope {
            Scope::Segment(segment) => format!("any StreamID of segment {segment}, also that"),
            Scope::Below(_) => format!("{}, also the StreamID", scope.text(self.topology)),
        };
        let whose = match user == reached {
            true => format!("`{}`{}", name(reached), of(victim.owner)),
            false => format!(
                "`{}`, whose domain is that of `{}`{}",
                name(user),
                name(reached),
                of(victim.owner)
            ),
        };
        let nobody = |owner| {
            let owner = self.pairs.owner_name(owner);
            format!("there is no owner whom `{owner}` could trust")
        };
        let end = match (forger.owner, victim.owner) {
            (Some(owner), None) => format!(
                ", whose {}, and nobody drives `{}`: {}",
                open_unowned::open(self.machine, reached),
                name(reached),
                nobody(owner)
            ),
            (None, Some(owner)) => format!(": {}", nobody(owner)),
            _ => ", but their owners do not trust each other".to_owned(),
        };
        let parties = [(forging, forger.owner), (reached, victim.owner)];
        let (port, lets) = self.lets_through(forging, scope)?;
        let mut diagnostic = Diagnostic::new(
            Code::ForgedStream,
            format!("{by} may use {may} of {whose}{end}"),
        );
        for (node, owner) in parties {
            let text = match owner.map(|owner| self.pairs.owner_name(owner)) {
                // Of what is in the domain of others those are named who were not trusted.
                Some(owner) if self.pairs.owner(node).is_none() => {
                    format!("`{}` is in a domain of `{owner}`", name(node))
                }
                Some(owner) => format!("`{}` is owned by `{owner}`", name(node)),
                None => format!("`{}` is always open, and nobody drives it", name(node)),
            };
            diagnostic = diagnostic.device(self.machine, node, text);
        }
        Some(diagnostic.device(self.machine, port, format!("`{}` {lets}", name(port))))
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
