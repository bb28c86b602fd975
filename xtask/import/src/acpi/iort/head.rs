//! What every node has.

use super::mapping::Mapping;
use super::node::Node;

/// What every node has.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// Offset of the node in the table.
    pub offset: usize,
    /// Revision of the node, which is not that of the table.
    pub revision: u8,
    /// A number that is unique among the nodes; 0 in older tables.
    pub identifier: u32,
    /// The node's mappings.
    pub mappings: Vec<Mapping>,
}

pub fn of(node: &Node<'_>, mappings: Vec<Mapping>) -> Head {
    Head {
        offset: node.offset,
        revision: node.revision,
        identifier: node.identifier,
        mappings,
    }
}
