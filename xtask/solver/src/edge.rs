//! Edges: why two devices belong together.

use crate::model::NodeId;

/// The relation of an edge's two ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum EdgeKind {
    /// The two ends share a StreamID.
    Alias,
    /// One can reach the other without the SMMU.
    Isolation,
    /// A reset of one takes the other along.
    Reset,
}

impl EdgeKind {
    /// The kind's name in reports.
    pub fn text(self) -> &'static str {
        match self {
            Self::Alias => "alias",
            Self::Isolation => "isolation",
            Self::Reset => "reset",
        }
    }
}

/// Why two devices belong together. Edges span their sets; they do not list all pairs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edge {
    /// The edge's kind.
    pub kind: EdgeKind,
    /// The node at one end of the edge.
    pub from: NodeId,
    /// The node at the edge's other end.
    pub to: NodeId,
    /// The reason, a clause.
    pub because: String,
}
