//! The rules of `docs/reference/plan.md`, written from the page: slow, pair by pair, no shortcut.
#![allow(dead_code, reason = "every test file uses another part of it")]

use std::collections::{BTreeMap, BTreeSet};

use solver::Machine;
use solver::model::*;
use solver::solution::Solution;

/// What two nodes may have in common: a StreamID of an SMMU, or an id that no mapping covers.
pub type Key = (Option<SmmuId>, u32);

/// Requester ids: of one root bus, or of all of the segment; the segment; the first bus, and the last.
pub type Usable = (Option<usize>, u16, u8, u8);

/// What an id comes to at a root bus.
fn key(root: &RootBus, id: u16) -> Key {
    let looked_at = match root.stream_mask {
        0 => u32::from(id),
        mask => u32::from(id & mask),
    };
    let row = root.streams.iter().find(|row| {
        (u32::from(row.requester)..u32::from(row.requester) + row.len).contains(&looked_at)
    });
    match row {
        Some(row) => (
            Some(row.smmu),
            row.stream + (looked_at - u32::from(row.requester)),
        ),
        None => (None, u32::from(root.segment) << 16 | u32::from(id)),
    }
}

/// One machine, as the page sees it.
pub struct Hand<'a> {
    m: &'a Machine,
    /// Requester ids with their segment.
    id: Vec<Option<(u16, u16)>>,
    /// Bus below each bridge, and the last below it.
    secondary: Vec<Option<u8>>,
    subordinate: Vec<Option<u8>>,
    keys: Vec<BTreeSet<Key>>,
}

impl<'a> Hand<'a> {
    pub fn new(m: &'a Machine, s: &Solution) -> Self {
        let id = s
            .devices
            .iter()
            .map(|d| d.requester.map(|r| (r.segment, r.id)));
        let secondary = s.devices.iter().map(|d| d.buses.map(|b| b.secondary));
        let subordinate = s.devices.iter().map(|d| d.buses.map(|b| b.subordinate));
        let mut hand = Self {
            m,
            id: id.collect(),
            secondary: secondary.collect(),
            subordinate: subordinate.collect(),
            keys: Vec::new(),
        };
        hand.keys = (0..m.nodes.len()).map(|node| hand.keys(node)).collect();
        hand
    }

    fn kind(&self, node: usize) -> FunctionKind {
        self.m.nodes[node].function.kind
    }

    fn identity(&self, node: usize) -> (u16, u16) {
        let identity = self.m.nodes[node].function.identity;
        (identity.vendor, identity.device)
    }

    /// The physical function of a virtual one.
    fn physical(&self, node: usize) -> Option<usize> {
        match self.m.nodes[node].place {
            Place::Virtual { physical, .. } => Some(physical.index()),
            _ => None,
        }
    }

    /// The slot of a function, that of the physical one if it is virtual.
    fn slot(&self, node: usize) -> Option<(Upstream, u8, u8)> {
        match self.m.nodes[node].place {
            Place::Slot {
                upstream,
                device,
                function,
            } => Some((upstream, device, function)),
            Place::Virtual { physical, .. } => self.slot(physical.index()),
            Place::Platform { .. } => None,
        }
    }

    pub fn bridge_above(&self, node: usize) -> Option<usize> {
        match self.slot(node)?.0 {
            Upstream::Bridge(bridge) => Some(bridge.index()),
            Upstream::Root(_) => None,
        }
    }

    /// Bridges above, nearest first.
    pub fn way_up(&self, node: usize) -> Vec<usize> {
        let mut way = Vec::new();
        let mut at = self.bridge_above(node);
        while let Some(bridge) = at {
            way.push(bridge);
            at = self.bridge_above(bridge);
        }
        way
    }

    fn root(&self, node: usize) -> Option<&RootBus> {
        let top = self.way_up(node).last().copied().unwrap_or(node);
        match self.slot(top)?.0 {
            Upstream::Root(root) => self.m.roots.get(root.index()),
            Upstream::Bridge(_) => None,
        }
    }

    /// Step 2: the ids that requests may carry.
    fn requester_ids(&self, node: usize) -> Vec<u16> {
        let Some((_, own)) = self.id[node] else {
            return Vec::new();
        };
        let mut ids = vec![own];
        match self.identity(node) {
            (0x1b4b, 0x9230) => ids.push(own & !7 | 1),
            (0x10b5, 0x87b0) => ids.extend((0..=0xff).map(|devfn| own & 0xff00 | devfn)),
            _ => {}
        }
        for bridge in self.way_up(node) {
            let own = self.id[bridge].map(|(_, id)| id);
            let secondary = self.secondary[bridge].map(|bus| u16::from(bus) << 8);
            let on_link = self.bridge_above(bridge).is_some_and(|above| {
                use FunctionKind::*;
                matches!(
                    self.kind(above),
                    RootPort | UpstreamPort | DownstreamPort | PciToPcie
                )
            });
            match self.kind(bridge) {
                FunctionKind::PcieToPci => ids.extend(secondary),
                FunctionKind::PciToPcie => ids.extend(own),
                FunctionKind::ConventionalBridge => {
                    if self.identity(bridge) == (0x1b21, 0x1080) && on_link {
                        ids.extend(secondary);
                    }
                    ids.extend(own);
                }
                _ => {}
            }
        }
        ids
    }

    fn keys(&self, node: usize) -> BTreeSet<Key> {
        if let Place::Platform { streams } = &self.m.nodes[node].place {
            return streams
                .iter()
                .map(|(smmu, id)| (Some(*smmu), *id))
                .collect();
        }
        let Some(root) = self.root(node) else {
            return BTreeSet::new();
        };
        let ids = self.requester_ids(node).into_iter();
        ids.map(|id| key(root, id)).collect()
    }

    /// Hardware that means harm: the ids that a device below `bridge` may use, as its root bus or its whole segment, and a
    /// range of buses; none where no port could validate any.
    pub fn usable_below(&self, bridge: usize) -> Option<Usable> {
        let way = std::iter::once(bridge).chain(self.way_up(bridge));
        let ports: Vec<usize> = way
            .filter(|port| {
                let kind = self.kind(*port);
                matches!(kind, FunctionKind::RootPort | FunctionKind::DownstreamPort)
            })
            .collect();
        let validates = |port: &&usize| {
            let acs = self.m.nodes[**port].function.acs;
            acs.is_some_and(|acs| acs.implemented & acs.enabled & Acs::SOURCE_VALIDATION != 0)
        };
        match ports.iter().find(validates) {
            Some(port) => self.buses_of(*port),
            None => {
                let (segment, _) = self.id[*ports.first()?]?;
                Some((None, segment, 0, u8::MAX))
            }
        }
    }

    /// All buses below a port.
    pub fn buses_of(&self, port: usize) -> Option<Usable> {
        let (segment, _) = self.id[port]?;
        let (first, last) = (self.secondary[port]?, self.subordinate[port]?);
        let top = self.way_up(port).last().copied().unwrap_or(port);
        match self.slot(top)?.0 {
            Upstream::Root(root) => Some((Some(root.index()), segment, first, last)),
            Upstream::Bridge(_) => None,
        }
    }

    /// The StreamIDs that a range of ids comes to.
    pub fn image(&self, usable: Usable) -> BTreeSet<Key> {
        let (of, segment, first, last) = usable;
        let roots = self.m.roots.iter().enumerate();
        let roots =
            roots.filter(|(index, root)| of.map_or(root.segment == segment, |of| of == *index));
        let ids = u16::from(first) << 8..=u16::from(last) << 8 | 0xff;
        let keys = roots.flat_map(|(_, root)| ids.clone().map(|id| key(root, id)));
        keys.filter(|(smmu, _)| smmu.is_some()).collect()
    }

    /// True if one of the StreamIDs is `node`'s.
    pub fn has_one_of(&self, node: usize, image: &BTreeSet<Key>) -> bool {
        !self.keys[node].is_disjoint(image)
    }

    pub fn share_a_stream(&self, a: usize, b: usize) -> bool {
        !self.keys[a].is_disjoint(&self.keys[b])
    }

    /// Alternatives of one slot of a hotplug port, and what hangs on them.
    pub fn never_together(&self, a: usize, b: usize) -> bool {
        let chain = |node: usize| -> Vec<usize> {
            let mut chain = vec![node];
            chain.extend(self.physical(node));
            chain.extend(self.way_up(node));
            chain
        };
        let in_bay = |node: usize| {
            self.bridge_above(node)
                .is_some_and(|bridge| self.m.nodes[bridge].hotplug)
        };
        chain(a).iter().any(|x| {
            chain(b).iter().any(|y| {
                x != y
                    && self.physical(*x).is_none()
                    && self.physical(*y).is_none()
                    && self.slot(*x).is_some()
                    && self.slot(*x) == self.slot(*y)
                    && in_bay(*x)
            })
        })
    }

    /// Step 5: a reset of `a` takes `b` along.
    pub fn reset_together(&self, a: usize, b: usize) -> bool {
        if self.physical(b) == Some(a) {
            return true;
        }
        let kind = self.kind(a);
        let endpoint = !kind.is_bridge()
            && !matches!(
                kind,
                FunctionKind::HostBridge | FunctionKind::EventCollector
            );
        let by_bus = matches!(
            self.m.nodes[a].quiesce,
            Quiesce::BusReset | Quiesce::Unknown
        );
        let below = self
            .bridge_above(a)
            .is_some_and(|bridge| self.way_up(b).contains(&bridge));
        endpoint && by_bus && below && !self.never_together(a, b)
    }

    pub fn trusting(&self, a: OwnerId, b: OwnerId) -> bool {
        let says = |from, to| self.m.trust.iter().any(|t| t.from == from && t.to == to);
        a == b || says(a, b) && says(b, a)
    }

    /// A waiver of the two that names none or all of their devices in `set`.
    pub fn waived(&self, a: OwnerId, b: OwnerId, set: &[NodeId]) -> bool {
        let theirs = |node: &&NodeId| {
            let owner = self.m.nodes[node.index()].owner;
            owner == Some(a) || owner == Some(b)
        };
        let covers = |devices: &[NodeId]| {
            devices.is_empty() || set.iter().filter(theirs).all(|n| devices.contains(n))
        };
        let mut waivers = self.m.waivers.iter();
        waivers.any(|w| (w.pair == (a, b) || w.pair == (b, a)) && covers(&w.devices))
    }

    pub fn contained(&self, a: OwnerId, b: OwnerId) -> bool {
        let mut units = self.m.containment.iter();
        units.any(|unit| unit.owners.contains(&a) && unit.owners.contains(&b))
    }
}

/// The finest partition in which related nodes are together.
pub fn partition(
    nodes: usize,
    related: impl Fn(usize, usize) -> bool,
) -> BTreeSet<BTreeSet<usize>> {
    let mut set_of: Vec<usize> = (0..nodes).collect();
    for a in 0..nodes {
        for b in 0..nodes {
            if a != b && set_of[a] != set_of[b] && related(a, b) {
                let (from, to) = (set_of[a], set_of[b]);
                set_of
                    .iter_mut()
                    .filter(|s| **s == from)
                    .for_each(|s| *s = to);
            }
        }
    }
    let mut sets: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (node, set) in set_of.into_iter().enumerate() {
        sets.entry(set).or_default().insert(node);
    }
    sets.into_values().collect()
}
