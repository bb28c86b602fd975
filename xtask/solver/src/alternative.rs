//! Alternatives: devices that may appear in one hotplug slot, of which at most one is there.
//!
//! Whether two devices can be there together is asked here and nowhere else. It is a question about a pair: a
//! third device may share something with each of two alternatives, and then one relation joins all three.

use crate::disjoint::Disjoint;
use crate::topology::{Placed, Topology};

/// True if `a` and `b` are never there together: one is, or hangs on, an alternative of a slot, and the other
/// on another alternative of it.
pub(crate) fn apart(topology: &Topology, a: usize, b: usize) -> bool {
    placed_apart(&topology.placed, a, b)
}

/// Whether two nodes are alternatives of each other, before the topology is whole.
pub(crate) fn placed_apart(placed: &[Placed], a: usize, b: usize) -> bool {
    let (one, other) = (&placed[a].hangs_on, &placed[b].hangs_on);
    one.iter().any(|x| {
        other.iter().any(|y| {
            let (left, right) = (&placed[*x], &placed[*y]);
            x != y && left.parent == right.parent && left.requester == right.requester
        })
    })
}

/// Calls `edge` for edges that span all pairs of a hub and a member that can be present together. If a hub can
/// be present with all members, there is one edge for each member. Otherwise an edge is left out if the edges
/// before it make it needless.
pub(crate) fn span(
    topology: &Topology,
    hubs: &[usize],
    members: &[usize],
    mut edge: impl FnMut(usize, usize),
) {
    let with_all = |hub: &&usize| members.iter().all(|node| !apart(topology, **hub, *node));
    if let Some(&hub) = hubs.iter().find(with_all) {
        members.iter().for_each(|node| edge(hub, *node));
        return;
    }
    let mut all: Vec<usize> = hubs.iter().chain(members).copied().collect();
    all.sort_unstable();
    all.dedup();
    let position = |node: usize| all.binary_search(&node).unwrap_or(0);
    let mut joined = Disjoint::new(all.len());
    for &hub in hubs {
        for &node in members {
            if node != hub
                && !apart(topology, hub, node)
                && joined.join(position(hub), position(node))
            {
                edge(hub, node);
            }
        }
    }
}
