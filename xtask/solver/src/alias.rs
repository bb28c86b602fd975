//! Requester ids, StreamIDs, and who shares them.

use std::collections::HashMap;

use crate::alternative;
use crate::model::{FunctionKind, Machine, Place, RootBus, SmmuId};
use crate::quirk::{self, Effect};
use crate::relation::Edges;
use crate::solution::{EdgeKind, Requester, Stream};
use crate::topology::Topology;

/// The ids of one node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ids {
    /// Requester ids, its own first.
    pub aliases: Vec<Requester>,
    /// The StreamIDs that the requester ids are mapped to.
    pub streams: Vec<Stream>,
    /// The first of the requester ids that no stream mapping covers.
    pub unmapped: Option<Requester>,
    /// Bridges that issue its requests under an id of theirs, nearest first.
    pub taken_by: Vec<usize>,
}

/// The ids of all nodes.
pub(crate) fn ids(machine: &Machine, topology: &Topology) -> Vec<Ids> {
    let mut ids: Vec<Ids> = (0..machine.nodes.len())
        .map(|node| walk(machine, topology, node))
        .collect();
    for (node, ids) in ids.iter_mut().enumerate() {
        ids.streams = match &machine.nodes[node].place {
            Place::Platform { streams } => streams
                .iter()
                .map(|(smmu, id)| Stream {
                    smmu: *smmu,
                    id: *id,
                })
                .collect(),
            _ => ids
                .aliases
                .iter()
                .filter_map(|r| stream_of(machine, topology, node, *r))
                .collect(),
        };
        let uncovered = |r: &&Requester| stream_of(machine, topology, node, **r).is_none();
        ids.unmapped = ids.aliases.iter().find(uncovered).copied();
        dedup(&mut ids.streams);
    }
    ids
}

/// The ids that requests of `node` may carry. PCIe ports pass an id on; a bridge to a conventional bus
/// replaces it, since such a bus has no requester ids (PCI Express to PCI/PCI-X Bridge Specification,
/// section 2.3).
fn walk(machine: &Machine, topology: &Topology, node: usize) -> Ids {
    let placed = &topology.placed[node];
    let Some(own) = placed.requester else {
        return Ids::default();
    };
    let mut aliases = vec![own];
    let function = &machine.nodes[node].function;
    for devfn in quirk::dma_aliases(function.identity, function.kind, own.devfn()) {
        aliases.push(Requester {
            id: own.id & 0xff00 | u16::from(devfn),
            ..own
        });
    }
    let mut taken_by = Vec::new();
    let mut at = placed.parent;
    while let Some(bridge) = at {
        let above = &topology.placed[bridge];
        let function = &machine.nodes[bridge].function;
        let quirk = |effect| quirk::has(function.identity, function.kind, effect);
        if quirk(Effect::TranslatesHere) {
            break;
        }
        let secondary = above.buses.map(|b| Requester {
            id: u16::from(b.secondary) << 8,
            ..own
        });
        let taken = match function.kind {
            FunctionKind::PcieToPci => [secondary, None],
            FunctionKind::PciToPcie => [above.requester, None],
            // Emulations of such a bridge use its own id all the same, so both are expected.
            FunctionKind::ConventionalBridge
                if quirk(Effect::UsesSecondary) && below_link(machine, topology, bridge) =>
            {
                [secondary, above.requester]
            }
            FunctionKind::ConventionalBridge => [above.requester, None],
            _ => [None, None],
        };
        if taken[0].is_some() {
            aliases.extend(taken.into_iter().flatten());
            taken_by.push(bridge);
        }
        at = above.parent;
    }
    dedup(&mut aliases);
    Ids {
        aliases,
        taken_by,
        ..Ids::default()
    }
}

/// True if the bus above `bridge` is a PCIe link.
fn below_link(machine: &Machine, topology: &Topology, bridge: usize) -> bool {
    topology.placed[bridge].parent.is_some_and(|above| {
        let kind = machine.nodes[above].function.kind;
        kind.is_bridge()
            && !matches!(
                kind,
                FunctionKind::PcieToPci | FunctionKind::ConventionalBridge
            )
    })
}

/// The StreamID of a requester id, by the mapping of the root bus that `node` is below.
fn stream_of(
    machine: &Machine,
    topology: &Topology,
    node: usize,
    requester: Requester,
) -> Option<Stream> {
    let root = topology.placed[node].root?.index();
    mapped(&machine.roots[root], requester.id)
}

/// The StreamID of a requester id, by the mapping of a root bus.
pub(crate) fn mapped(root: &RootBus, requester: u16) -> Option<Stream> {
    let id = u32::from(requester & mask(root));
    let row = root.streams.iter().find(|row| {
        let first = u32::from(row.requester);
        id >= first && id - first < row.len
    })?;
    let stream = row.stream.checked_add(id - u32::from(row.requester))?;
    Some(Stream {
        smmu: row.smmu,
        id: stream,
    })
}

/// Bits of a requester id that the mapping of a root bus looks at.
fn mask(root: &RootBus) -> u16 {
    match root.stream_mask {
        0 => u16::MAX,
        mask => mask,
    }
}

fn dedup<T: PartialEq + Copy>(list: &mut Vec<T>) {
    // Lists are as long as the chain of bridges above a device.
    let mut kept: Vec<T> = Vec::with_capacity(list.len());
    for item in list.drain(..) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    *list = kept;
}

/// The things that two nodes may have in common.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    Stream(SmmuId, u32),
    /// An id that no stream mapping covers still belongs to all who use it.
    Requester(Requester),
}

/// Everybody who uses one key, each with the requester id that led to it.
#[derive(Default)]
struct Users {
    nodes: Vec<usize>,
    by: HashMap<usize, Option<Requester>>,
}

/// Alias edges: the users of a key that can be there together are one to the SMMU.
pub(crate) fn edges(machine: &Machine, topology: &Topology, ids: &[Ids], edges: &mut Edges) {
    let mut found: HashMap<Key, usize> = HashMap::new();
    let mut users: Vec<(Key, Users)> = Vec::new();
    for &node in &topology.order {
        for (key, requester) in keys(machine, topology, ids, node) {
            let index = *found.entry(key).or_insert_with(|| {
                users.push((key, Users::default()));
                users.len() - 1
            });
            let (_, users) = &mut users[index];
            if users.nodes.last() != Some(&node) {
                users.by.insert(node, requester);
                users.nodes.push(node);
            }
        }
    }
    let mut spanning = Vec::new();
    for (key, users) in &users {
        alternative::span(topology, &users.nodes, &users.nodes, |one, other| {
            let because = because(*key, users.by[&one], users.by[&other]);
            spanning.push((one, other, because));
        });
    }
    // By node, as everything is that reports list.
    let mut rank = vec![0; machine.nodes.len()];
    for (index, node) in topology.order.iter().enumerate() {
        rank[*node] = index;
    }
    spanning.sort_by_key(|(one, other, _)| rank[*one].max(rank[*other]));
    for (one, other, because) in spanning {
        edges.add(EdgeKind::Alias, one, other, because);
    }
}

/// The keys that `node` may have in common with others.
fn keys(
    machine: &Machine,
    topology: &Topology,
    ids: &[Ids],
    node: usize,
) -> Vec<(Key, Option<Requester>)> {
    if topology.placed[node].requester.is_none() {
        let streams = ids[node].streams.iter();
        return streams.map(|s| (Key::Stream(s.smmu, s.id), None)).collect();
    }
    let aliases = ids[node].aliases.iter();
    let key = |requester: &Requester| match stream_of(machine, topology, node, *requester) {
        Some(s) => Key::Stream(s.smmu, s.id),
        None => Key::Requester(*requester),
    };
    aliases.map(|r| (key(r), Some(*r))).collect()
}

/// Why two nodes are one to the SMMU, by the ids that led to `key`.
fn because(key: Key, one: Option<Requester>, other: Option<Requester>) -> String {
    match (key, one, other) {
        (Key::Requester(id), _, _) => format!("both issue requests as {id}"),
        (Key::Stream(_, stream), Some(a), Some(b)) if a == b => {
            format!("both issue requests as {a}, StreamID {stream:#x}")
        }
        (Key::Stream(_, stream), Some(a), Some(b)) => {
            format!("the iommu-map makes {a} and {b} one StreamID, {stream:#x}")
        }
        (Key::Stream(_, stream), _, _) => format!("both use StreamID {stream:#x}"),
    }
}
