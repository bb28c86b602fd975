//! Requests under the id of another device.

use std::collections::{BTreeMap, BTreeSet};

use crate::alias::Ids;
use crate::diagnostic::{Code, Diagnostic};
use crate::image::Image;
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
    /// Whoever drives a device that may use any StreamID of its segment is trusted, or waived, by all who have one.
    /// One error for each two owners; the waivers that cover something are added to `used`.
    pub fn check(&self, used: &mut Vec<UsedWaiver>, found: &mut Vec<Diagnostic>) {
        let segment = |node: &usize| {
            self.isolation.unvalidated(*node)?;
            Some(self.topology.placed[*node].requester?.segment)
        };
        let driven = || {
            let order = self.topology.order.iter().copied();
            order.filter(|node| self.pairs.owner(*node).is_some())
        };
        let mut forging: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for node in driven() {
            if let Some(segment) = segment(&node) {
                forging.entry(segment).or_default().push(node);
            }
        }
        if forging.is_empty() {
            return;
        }
        let users = self.users(driven());
        for (segment, forging) in forging {
            let victims = self.victims(segment, &users);
            let mut named = BTreeSet::new();
            for forger in self.stands(forging) {
                // Those of one group are compared as such.
                for victim in victims.iter().filter(|v| v.group != forger.group) {
                    if self.pairs.trusting(forger.owner, victim.owner) {
                        continue;
                    }
                    // A waiver that names devices names all that may, and all whose ids they may use.
                    let devices = [forger.nodes.as_slice(), victim.nodes.as_slice()].concat();
                    if let Some(waiver) = self.pairs.waiver(forger.owner, victim.owner, &devices) {
                        let group = forger.group;
                        used.push(UsedWaiver { waiver, group });
                    } else if named.insert((forger.owner, victim.owner)) {
                        found.extend(self.forged(&forger, victim, segment));
                    }
                }
            }
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

    /// The devices with a StreamID of `segment`.
    fn victims(&self, segment: u16, users: &BTreeMap<(SmmuId, u64, usize), usize>) -> Vec<Stand> {
        let image = Image::of_segment(self.machine, segment);
        let found: BTreeMap<usize, usize> = image
            .ranges()
            .flat_map(|(smmu, first, end)| users.range((smmu, first, 0)..(smmu, end, 0)))
            .map(|((_, _, place), node)| (*place, *node))
            .collect();
        self.stands(found.into_values())
    }

    fn forged(&self, forger: &Stand, victim: &Stand, segment: u16) -> Option<Diagnostic> {
        let name = |node: usize| &self.machine.nodes[node].name;
        let (forging, reached) = (*forger.nodes.first()?, *victim.nodes.first()?);
        let port = self.isolation.unvalidated(forging)?;
        let [by, of] = [forger.owner, victim.owner].map(|owner| self.pairs.owner_name(owner));
        let message = format!(
            "`{}` of `{by}` may use any StreamID of segment {segment}, that of `{}` of `{of}` included, without trust in \
             each other",
            name(forging),
            name(reached)
        );
        let owned = |node: usize, owner: &str| format!("`{}` is owned by `{owner}`", name(node));
        let why = format!(
            "`{}` does not check the ids of what is below it",
            name(port)
        );
        let diagnostic = Diagnostic::new(Code::ForgedStream, message)
            .device(self.machine, forging, owned(forging, by))
            .device(self.machine, reached, owned(reached, of));
        Some(diagnostic.device(self.machine, port, why))
    }
}
