//! The relations of a machine, and the sets that follow from them.

use crate::alias::{self, Ids};
use crate::disjoint::Disjoint;
use crate::isolation::Isolation;
use crate::model::Machine;
use crate::relation::Edges;
use crate::reset;
use crate::solution::{Edge, EdgeKind, Mode};
use crate::topology::Topology;

/// A partition of all nodes: each is in one set.
pub struct Partition {
    /// The sets in topological order of their first members.
    pub members: Vec<Vec<usize>>,
    /// The set of each node.
    pub of: Vec<usize>,
}

/// The sets of nodes that are tied to each other, by kinds of edges.
pub struct Sets {
    pub alias: Partition,
    pub groups: Partition,
    pub resets: Partition,
    pub neighbours: Partition,
    /// Units of domains and reset units together: what is stopped together.
    pub containment: Partition,
}

/// The edges of all kinds.
pub fn edges(
    machine: &Machine,
    topology: &Topology,
    ids: &[Ids],
    isolation: &Isolation<'_>,
) -> Vec<Edge> {
    let mut edges = Edges::default();
    alias::edges(machine, topology, ids, &mut edges);
    isolation.edges(ids, &mut edges);
    reset::edges(machine, topology, &mut edges);
    edges.list
}

impl Sets {
    pub fn new(machine: &Machine, topology: &Topology, edges: &[Edge], mode: Mode) -> Self {
        let sets = |kinds: &[EdgeKind]| partition(topology, machine.nodes.len(), edges, kinds);
        let containment: &[EdgeKind] = match mode {
            Mode::Strict => &[EdgeKind::Alias, EdgeKind::Reset],
            Mode::Linux => &[EdgeKind::Alias, EdgeKind::Isolation, EdgeKind::Reset],
        };
        Self {
            alias: sets(&[EdgeKind::Alias]),
            groups: sets(&[EdgeKind::Alias, EdgeKind::Isolation]),
            resets: sets(&[EdgeKind::Reset]),
            neighbours: sets(&[EdgeKind::Isolation]),
            containment: sets(containment),
        }
    }

    /// The units: nodes with one domain. They are alias sets, in `linux` mode groups.
    pub fn units(&self, mode: Mode) -> &Partition {
        match mode {
            Mode::Strict => &self.alias,
            Mode::Linux => &self.groups,
        }
    }
}

fn partition(topology: &Topology, len: usize, edges: &[Edge], kinds: &[EdgeKind]) -> Partition {
    let mut sets = Disjoint::new(len);
    for edge in edges.iter().filter(|edge| kinds.contains(&edge.kind)) {
        sets.join(edge.from.index(), edge.to.index());
    }
    let (members, of) = sets.sets(&topology.order);
    Partition { members, of }
}
