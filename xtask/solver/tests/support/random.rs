//! Machines from random numbers: valid as topologies, arbitrary as policies.
#![allow(dead_code, reason = "every test file uses another part of it")]

use solver::Machine;
use solver::model::*;

use super::*;

/// Reads choices off a list of numbers; all zeros at its end.
struct Choices<'a>(core::slice::Iter<'a, u32>);

impl Choices<'_> {
    fn below(&mut self, bound: usize) -> usize {
        self.0.next().copied().unwrap_or(0) as usize % bound
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == n - 1
    }
}

const OWNERS: usize = 4;

/// A function that the quirk table declares isolated.
pub const DECLARED: (u16, u16) = (0x8086, 0x10c9);
/// One that it says is not, whatever its ACS.
pub const DENIED: (u16, u16) = (0x8088, 0x0110);
/// The first two, and functions that use others' requester ids: function 1, the whole bus, (secondary bus, 00.0).
const QUIRKS: [(u16, u16); 6] = [
    DECLARED,
    DECLARED,
    DENIED,
    (0x1b4b, 0x9230),
    (0x10b5, 0x87b0),
    (0x1b21, 0x1080),
];

/// A machine of up to `seeds.len() / 4` functions, and the alternatives of its bays.
pub fn build(seeds: &[u32]) -> Machine {
    with(seeds, true)
}

/// The same without bays: everything in it can be there together.
pub fn without_bays(seeds: &[u32]) -> Machine {
    with(seeds, false)
}

fn with(seeds: &[u32], bays: bool) -> Machine {
    let mut c = Choices(seeds.iter());
    let mut m = machine();
    m.roots[0].bus_last = 127;
    m.roots[0].never_routes_peers = c.one_in(4);
    let mut expander = root("expander", 0, 128);
    expander.expander_of = Some(RootId(0));
    m.roots.push(expander);
    for root in &mut m.roots {
        streams(root, &mut c);
    }
    for index in 0..OWNERS {
        owner(&mut m, &format!("owner-{index}"));
    }
    let mut buses: Vec<Upstream> = vec![Upstream::Root(RootId(0)), Upstream::Root(RootId(1))];
    let mut taken = std::collections::BTreeSet::new();
    for index in 0..(seeds.len() / 4).min(60) {
        if c.one_in(12) {
            platform(&mut m, &mut c, index);
            continue;
        }
        let bus = c.below(buses.len());
        let upstream = buses[bus];
        let kind = kind_below(&m, upstream, c.below(100));
        let slot = (
            c.below(4) as u8,
            if c.one_in(3) { c.below(3) as u8 } else { 0 },
        );
        if !taken.insert((bus, slot)) {
            continue;
        }
        let mut node = node(
            &format!("n{index}"),
            kind,
            Place::Slot {
                upstream,
                device: slot.0,
                function: slot.1,
            },
        );
        node.function.acs = acs(&mut c);
        node.function.multifunction = c.one_in(6);
        if c.one_in(5) {
            let (vendor, device) = QUIRKS[c.below(QUIRKS.len())];
            node.function.identity = Identity { vendor, device };
        }
        let bridge = kind.is_bridge();
        if bridge {
            node.external = c.one_in(12);
            node.hotplug = c.one_in(3);
            node.registers = c.one_in(4);
        } else {
            policy(&mut node, &mut c);
        }
        let place = node.place.clone();
        let id = push(&mut m, node);
        if bridge {
            buses.push(Upstream::Bridge(id));
        } else if kind == FunctionKind::Endpoint && c.one_in(6) {
            virtual_function(&mut m, &mut c, id);
        }
        if c.one_in(2) && bays && in_bay(&m, upstream) {
            for alternative in 0..1 + c.below(3) {
                let mut node = super::node(
                    &format!("n{index}or{alternative}"),
                    FunctionKind::Endpoint,
                    place.clone(),
                );
                node.function.acs = acs(&mut c);
                policy(&mut node, &mut c);
                let id = push(&mut m, node);
                if c.one_in(6) {
                    virtual_function(&mut m, &mut c, id);
                }
            }
        }
    }
    owners(&mut m, &mut c);
    m
}

/// Every combination of ACS bits, the usual ones and those with one bit of theirs turned more often.
fn acs(c: &mut Choices<'_>) -> Option<Acs> {
    match c.below(8) {
        0 => None,
        1 => Some(Acs::OFF),
        2 => {
            let implemented = c.below(0x100) as u16;
            let enabled = Acs::controls(implemented) & c.below(0x2000) as u16;
            Some(Acs {
                implemented,
                enabled,
            })
        }
        3 => Some(Acs {
            implemented: 0xff,
            enabled: Acs::WANTED ^ 1 << c.below(13),
        }),
        4 => Some(Acs {
            implemented: Acs::WANTED ^ 1 << c.below(5),
            enabled: Acs::WANTED,
        }),
        _ => Some(Acs::ON),
    }
}

/// A map that has holes, that makes several ids one, or that is empty.
fn streams(root: &mut RootBus, c: &mut Choices<'_>) {
    match c.below(8) {
        0 => root.stream_mask = 0xfff8,
        1 => root.stream_mask = 0xff00,
        2 => root.streams.clear(),
        3 => root.streams[0].len = 0x300,
        _ => {}
    }
}

fn in_bay(m: &Machine, upstream: Upstream) -> bool {
    matches!(upstream, Upstream::Bridge(bridge) if m.nodes[bridge.index()].hotplug)
}

fn virtual_function(m: &mut Machine, c: &mut Choices<'_>, physical: NodeId) {
    let mut node = super::node(
        &format!("{}v", m.nodes[physical.index()].name),
        FunctionKind::Endpoint,
        Place::Virtual {
            physical,
            offset: 0x80,
        },
    );
    if c.one_in(2) {
        node.function.acs = acs(c);
    }
    policy(&mut node, c);
    push(m, node);
}

fn kind_below(m: &Machine, upstream: Upstream, choice: usize) -> FunctionKind {
    use FunctionKind::*;
    let above = match upstream {
        Upstream::Root(_) => None,
        Upstream::Bridge(bridge) => Some(m.nodes[bridge.index()].function.kind),
    };
    let list: &[FunctionKind] = match above {
        None => &[
            RootPort,
            RootPort,
            RootComplexEndpoint,
            Conventional,
            PcieToPci,
            ConventionalBridge,
        ],
        Some(RootPort | DownstreamPort | PciToPcie) => &[
            Endpoint,
            Endpoint,
            Endpoint,
            UpstreamPort,
            PcieToPci,
            ConventionalBridge,
        ],
        Some(UpstreamPort) => &[DownstreamPort, DownstreamPort, Endpoint],
        Some(_) => &[Conventional, Conventional, ConventionalBridge, PciToPcie],
    };
    list[choice % list.len()]
}

fn platform(m: &mut Machine, c: &mut Choices<'_>, index: usize) {
    let streams = (0..1 + c.below(2))
        .map(|_| {
            // Now and then a StreamID that functions have.
            let first = if c.one_in(3) { 0x100 } else { 0x9000 };
            (SmmuId(0), first + c.below(4) as u32)
        })
        .collect();
    let mut node = node(
        &format!("n{index}"),
        FunctionKind::default(),
        Place::Platform { streams },
    );
    policy(&mut node, c);
    push(m, node);
}

fn policy(node: &mut Node, c: &mut Choices<'_>) {
    if !c.one_in(5) {
        node.owner = Some(OwnerId::new(c.below(OWNERS)));
    }
    node.demand = match c.below(8) {
        0 => Some(DomainType::Dma),
        1 => Some(DomainType::Identity),
        2 => Some(DomainType::Blocked),
        _ => None,
    };
    node.quiesce = [
        Quiesce::FunctionReset,
        Quiesce::Own,
        Quiesce::BusReset,
        Quiesce::Unknown,
    ][c.below(4)];
    if c.one_in(8) {
        let task = OwnerId::new(c.below(OWNERS));
        if node.owner != Some(task) {
            let source = Source(6);
            node.holders.push(Holder { task, source });
        }
    }
    if c.one_in(10) {
        node.direct.push(region(
            "direct",
            0x2_0000_0000 + ((c.below(8) as u64) << 21),
            0x1000,
        ));
    }
}

fn owners(m: &mut Machine, c: &mut Choices<'_>) {
    for from in 0..OWNERS {
        for to in 0..OWNERS {
            if from != to && c.one_in(2) {
                m.trust.push(Trust {
                    from: OwnerId::new(from),
                    to: OwnerId::new(to),
                    source: Source(1),
                });
            }
        }
    }
    for _ in 0..c.below(3) {
        let devices = (0..c.below(3) * m.nodes.len().min(1))
            .map(|_| NodeId::new(c.below(m.nodes.len())))
            .collect();
        let pair = (OwnerId::new(c.below(OWNERS)), OwnerId::new(c.below(OWNERS)));
        m.waivers.push(Waiver {
            pair,
            reason: "random".into(),
            devices,
            source: Source(2),
        });
    }
    if c.one_in(2) {
        let owners = vec![OwnerId::new(c.below(OWNERS)), OwnerId::new(c.below(OWNERS))];
        m.containment.push(Containment {
            name: "c".into(),
            owners,
            source: Source(3),
        });
    }
    if !m.nodes.is_empty() {
        for name in ["g0", "g1"] {
            if c.one_in(3) {
                let members = vec![NodeId::new(c.below(m.nodes.len()))];
                let default_domain =
                    [None, Some(DomainType::Dma), Some(DomainType::Identity)][c.below(3)];
                m.groups.push(GroupPolicy {
                    name: name.into(),
                    members,
                    default_domain,
                    source: Source(4),
                });
            }
        }
    }
    m.policy.unowned = if c.one_in(2) {
        Unowned::Block
    } else {
        Unowned::Refuse
    };
    m.policy.default_domain = if c.one_in(4) {
        DomainType::Identity
    } else {
        DomainType::Dma
    };
}

/// The same machine with its nodes, owners, root buses and policies in another order.
pub fn permuted(m: &Machine, keys: &[u32]) -> Machine {
    let order = |len: usize| {
        let mut order: Vec<usize> = (0..len).collect();
        order.sort_by_key(|i| {
            keys.get(*i % keys.len().max(1))
                .map(|k| k.rotate_left(*i as u32 % 31))
        });
        order
    };
    let nodes = order(m.nodes.len());
    let owners = order(m.owners.len());
    let inverse = |order: &[usize]| {
        let mut inverse = vec![0; order.len()];
        for (new, old) in order.iter().enumerate() {
            inverse[*old] = new;
        }
        inverse
    };
    let (new_node, new_owner) = (inverse(&nodes), inverse(&owners));
    let node_id = |n: NodeId| NodeId::new(new_node[n.index()]);
    let owner_id = |o: OwnerId| OwnerId::new(new_owner[o.index()]);
    let mut p = m.clone();
    p.nodes = nodes.iter().map(|i| m.nodes[*i].clone()).collect();
    p.owners = owners.iter().map(|i| m.owners[*i].clone()).collect();
    for node in &mut p.nodes {
        node.owner = node.owner.map(owner_id);
        for holder in &mut node.holders {
            holder.task = owner_id(holder.task);
        }
        match &mut node.place {
            Place::Slot {
                upstream: Upstream::Bridge(bridge),
                ..
            } => *bridge = node_id(*bridge),
            Place::Virtual { physical, .. } => *physical = node_id(*physical),
            _ => {}
        }
    }
    for trust in &mut p.trust {
        (trust.from, trust.to) = (owner_id(trust.from), owner_id(trust.to));
    }
    p.trust.reverse();
    for waiver in &mut p.waivers {
        waiver.pair = (owner_id(waiver.pair.0), owner_id(waiver.pair.1));
        waiver.devices.iter_mut().for_each(|n| *n = node_id(*n));
    }
    for unit in &mut p.containment {
        unit.owners.iter_mut().for_each(|o| *o = owner_id(*o));
    }
    for group in &mut p.groups {
        group.members.iter_mut().for_each(|n| *n = node_id(*n));
    }
    p.groups.reverse();
    p.waivers.reverse();
    p.containment.reverse();
    let last = p.roots.len() - 1;
    let root_id = |root: RootId| RootId::new(last - root.index());
    p.roots.reverse();
    for root in &mut p.roots {
        root.expander_of = root.expander_of.map(root_id);
    }
    for node in &mut p.nodes {
        if let Place::Slot {
            upstream: Upstream::Root(root),
            ..
        } = &mut node.place
        {
            *root = root_id(*root);
        }
    }
    p
}
