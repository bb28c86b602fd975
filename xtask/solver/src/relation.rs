//! Edges as they are found, and chains of them.

use std::collections::VecDeque;

use crate::model::NodeId;
use crate::solution::{Edge, EdgeKind};

/// The edges found so far, between positions of declaration.
#[derive(Default)]
pub(crate) struct Edges {
    pub list: Vec<Edge>,
}

impl Edges {
    pub fn add(&mut self, kind: EdgeKind, from: usize, to: usize, because: String) {
        if from != to {
            self.list.push(Edge {
                kind,
                from: NodeId::new(from),
                to: NodeId::new(to),
                because,
            });
        }
    }
}

/// Finds chains of edges. Built once for all diagnostics, since it indexes every edge.
pub(crate) struct Chains<'a> {
    edges: &'a [Edge],
    of_node: Vec<Vec<usize>>,
}

impl<'a> Chains<'a> {
    pub fn new(nodes: usize, edges: &'a [Edge]) -> Self {
        let mut of_node = vec![Vec::new(); nodes];
        for (index, edge) in edges.iter().enumerate() {
            of_node[edge.from.index()].push(index);
            of_node[edge.to.index()].push(index);
        }
        Self { edges, of_node }
    }

    /// A shortest chain from `from` to `to` over edges of the given kinds, each turned so that it leads
    /// onwards; empty if there is none.
    pub fn find(&self, from: NodeId, to: NodeId, kinds: &[EdgeKind]) -> Vec<Edge> {
        let mut came_by: Vec<Option<usize>> = vec![None; self.of_node.len()];
        let mut queue = VecDeque::from([from.index()]);
        while let Some(node) = queue.pop_front() {
            if node == to.index() {
                break;
            }
            for &index in &self.of_node[node] {
                let edge = &self.edges[index];
                let next = if edge.from.index() == node {
                    edge.to.index()
                } else {
                    edge.from.index()
                };
                if kinds.contains(&edge.kind) && next != from.index() && came_by[next].is_none() {
                    came_by[next] = Some(index);
                    queue.push_back(next);
                }
            }
        }
        let mut chain = Vec::new();
        let mut at = to;
        while at != from {
            let Some(index) = came_by[at.index()] else {
                return Vec::new();
            };
            let mut edge = self.edges[index].clone();
            if edge.to != at {
                core::mem::swap(&mut edge.from, &mut edge.to);
            }
            at = edge.from;
            chain.push(edge);
        }
        chain.reverse();
        chain
    }
}
