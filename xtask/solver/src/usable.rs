//! Whose StreamIDs a device may use: looked up once for each range of ids that ports let through.

use std::collections::{BTreeMap, BTreeSet};

use crate::alias::Ids;
use crate::image::Scope;
use crate::isolation::Isolation;
use crate::model::{Machine, SmmuId};
use crate::topology::Topology;

/// The StreamIDs that a device may use under ids that are not its own.
pub(crate) struct Usable {
    pub scope: Scope,
    /// All with a StreamID that one of the ids comes to, in order; the devices that may use them are among these.
    pub users: Vec<usize>,
}

/// The usable StreamIDs of every device.
pub(crate) struct Usables {
    list: Vec<Usable>,
    /// Position in the list, by the bridge that a device is directly below.
    below: Vec<Option<usize>>,
}

impl Usables {
    pub fn new(
        machine: &Machine,
        topology: &Topology,
        isolation: &Isolation<'_>,
        ids: &[Ids],
    ) -> Self {
        let mut scopes: Vec<Scope> = Vec::new();
        let mut known: BTreeMap<(Option<u16>, usize), usize> = BTreeMap::new();
        let mut below = vec![None; machine.nodes.len()];
        for &bridge in &topology.order {
            if topology.children[bridge].is_empty() {
                continue;
            }
            below[bridge] = Scope::of(topology, isolation, bridge).map(|scope| {
                let key = match scope {
                    Scope::Segment(segment) => (Some(segment), 0),
                    Scope::Below(port) => (None, port),
                };
                *known.entry(key).or_insert_with(|| {
                    scopes.push(scope);
                    scopes.len() - 1
                })
            });
        }
        let by_stream = match scopes.is_empty() {
            true => BTreeMap::new(),
            false => by_stream(topology, ids),
        };
        let list = scopes.into_iter().map(|scope| {
            let image = scope.image(machine, topology);
            let found: BTreeMap<usize, usize> = image
                .ranges()
                .flat_map(|(smmu, first, end)| by_stream.range((smmu, first, 0)..(smmu, end, 0)))
                .map(|((_, _, place), node)| (*place, *node))
                .collect();
            let users = found.into_values().collect();
            Usable { scope, users }
        });
        Self {
            list: list.collect(),
            below,
        }
    }

    /// Position in [`Self::list`] of what `node` may use, if ports say anything of its ids.
    pub fn position(&self, topology: &Topology, node: usize) -> Option<usize> {
        self.below[topology.placed[node].parent?]
    }

    pub fn of(&self, topology: &Topology, node: usize) -> Option<&Usable> {
        self.list.get(self.position(topology, node)?)
    }

    /// The ids that devices may use, one entry for each scope, in the order of the first bridge that each is of.
    pub fn list(&self) -> &[Usable] {
        &self.list
    }
}

impl Usable {
    /// The users of `users` that are not directly below the bridge `bus`. Nothing looks at the ids of one bus: that
    /// its functions use their own is taken on trust.
    pub fn elsewhere(&self, topology: &Topology, bus: usize) -> impl Iterator<Item = usize> {
        let users = self.users.iter().copied();
        users.filter(move |user| topology.placed[*user].parent != Some(bus))
    }
}

/// The nodes that have each StreamID, with their position in the order of devices.
fn by_stream(topology: &Topology, ids: &[Ids]) -> BTreeMap<(SmmuId, u64, usize), usize> {
    let placed = topology.order.iter().enumerate();
    placed
        .flat_map(|(place, node)| {
            let streams = ids[*node].streams.iter();
            streams.map(move |s| ((s.smmu, u64::from(s.id), place), *node))
        })
        .collect()
}

/// All in the domains that the StreamIDs of `users` lead to, each with a user of such a StreamID: first the users, each with
/// itself.
pub(crate) fn led_to(
    users: impl Iterator<Item = usize>,
    units: &[Vec<usize>],
    unit_of: &[usize],
) -> Vec<(usize, usize)> {
    let mut all: Vec<(usize, usize)> = users.map(|user| (user, user)).collect();
    let own: BTreeSet<usize> = all.iter().map(|(user, _)| *user).collect();
    let mut by_unit: BTreeMap<usize, usize> = BTreeMap::new();
    for (user, _) in &all {
        by_unit.entry(unit_of[*user]).or_insert(*user);
    }
    for (unit, user) in by_unit {
        let mates = units[unit].iter().filter(|node| !own.contains(node));
        all.extend(mates.map(|node| (*node, user)));
    }
    all
}
