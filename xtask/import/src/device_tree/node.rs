//! Nodes and what their properties say.

use std::collections::BTreeMap;

use super::blob::{self, Blob};
use crate::board::{Place, Range, Word};

/// Index of a node.
pub type NodeIndex = usize;

/// The index of the root.
pub const ROOT: NodeIndex = 0;

/// A tree with its phandles.
pub struct Tree<'a> {
    blob: Blob<'a>,
    phandles: BTreeMap<u32, NodeIndex>,
}

impl<'a> Tree<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, Word> {
        let mut tree = Self {
            blob: blob::read(bytes)?,
            phandles: BTreeMap::new(),
        };
        for node in tree.nodes() {
            let phandle = tree.cell(node, "phandle");
            let Some(phandle) = phandle.or_else(|| tree.cell(node, "linux,phandle")) else {
                continue;
            };
            if let Some(before) = tree.phandles.insert(phandle, node) {
                return Err(Word::new(
                    &tree.place(node),
                    format!(
                        "its phandle {phandle:#x} is that of {} too",
                        tree.path(before)
                    ),
                    "compile the tree again from one source",
                ));
            }
        }
        Ok(tree)
    }

    /// All nodes, parents before their children.
    pub fn nodes(&self) -> std::ops::Range<NodeIndex> {
        0..self.blob.nodes.len()
    }

    /// Memory that the header reserves.
    pub fn header_reserved(&self) -> &[Range] {
        &self.blob.reserved
    }

    /// The name with its unit address.
    pub fn name(&self, node: NodeIndex) -> &'a str {
        self.blob.nodes.get(node).map_or("", |node| node.name)
    }

    /// The name without its unit address.
    pub fn base_name(&self, node: NodeIndex) -> &'a str {
        self.name(node).split('@').next().unwrap_or_default()
    }

    pub fn parent(&self, node: NodeIndex) -> Option<NodeIndex> {
        self.blob.nodes.get(node)?.parent
    }

    /// The node and those above it, up to the root.
    pub fn upwards(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        std::iter::successors(Some(node), |node| self.parent(*node))
    }

    pub fn children(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> {
        self.nodes()
            .filter(move |child| self.parent(*child) == Some(node))
    }

    pub fn path(&self, node: NodeIndex) -> String {
        let mut names: Vec<&str> = self.upwards(node).map(|node| self.name(node)).collect();
        names.reverse();
        match names.as_slice() {
            [] | [_] => "/".to_owned(),
            names => names.join("/"),
        }
    }

    pub fn place(&self, node: NodeIndex) -> Place {
        Place(self.path(node))
    }

    /// The node at a path from the root; unit addresses may be left out where one name fits.
    pub fn at(&self, path: &str) -> Option<NodeIndex> {
        let names = path
            .strip_prefix('/')?
            .split('/')
            .filter(|name| !name.is_empty());
        let mut node = ROOT;
        for name in names {
            let exact = self.children(node).find(|child| self.name(*child) == name);
            let short = || {
                self.children(node)
                    .find(|child| self.base_name(*child) == name)
            };
            node = exact.or_else(short)?;
        }
        Some(node)
    }

    pub fn of_phandle(&self, phandle: u32) -> Option<NodeIndex> {
        self.phandles.get(&phandle).copied()
    }

    pub fn value(&self, node: NodeIndex, name: &str) -> Option<&'a [u8]> {
        let properties = &self.blob.nodes.get(node)?.properties;
        properties
            .iter()
            .find(|property| property.0 == name)
            .map(|property| property.1)
    }

    pub fn has(&self, node: NodeIndex, name: &str) -> bool {
        self.value(node, name).is_some()
    }

    /// A property as 32-bit cells; none if it is not there.
    pub fn cells(&self, node: NodeIndex, name: &str) -> Option<Vec<u32>> {
        let chunks = self.value(node, name)?.chunks_exact(4);
        let cell = |chunk: &[u8]| chunk.try_into().ok().map(u32::from_be_bytes);
        Some(chunks.filter_map(cell).collect())
    }

    /// The first cell.
    pub fn cell(&self, node: NodeIndex, name: &str) -> Option<u32> {
        self.cells(node, name)?.first().copied()
    }

    /// A property as strings.
    pub fn strings(&self, node: NodeIndex, name: &str) -> Vec<&'a str> {
        let value = self.value(node, name).unwrap_or_default();
        let value = value.strip_suffix(&[0]).unwrap_or(value);
        if value.is_empty() {
            return Vec::new();
        }
        let parts = value.split(|byte| *byte == 0);
        parts
            .map(|part| core::str::from_utf8(part).unwrap_or_default())
            .collect()
    }

    pub fn string(&self, node: NodeIndex, name: &str) -> Option<&'a str> {
        self.strings(node, name).first().copied()
    }

    pub fn is_compatible(&self, node: NodeIndex, with: &str) -> bool {
        self.strings(node, "compatible").contains(&with)
    }

    /// The first `compatible`, or the name.
    pub fn kind(&self, node: NodeIndex) -> String {
        let kind = self.string(node, "compatible");
        kind.unwrap_or(self.base_name(node)).to_owned()
    }

    /// All of `compatible`, or the name.
    pub fn kinds(&self, node: NodeIndex) -> String {
        let kinds = self.strings(node, "compatible");
        if kinds.is_empty() {
            self.base_name(node).to_owned()
        } else {
            kinds.join(", ")
        }
    }

    /// The node that says that this node is not there: itself or one above it with a `status` other than
    /// `okay` or `ok`.
    pub fn disabled_by(&self, node: NodeIndex) -> Option<NodeIndex> {
        self.upwards(node).find(|node| {
            let status = self.value(*node, "status");
            status.is_some_and(|_| !matches!(self.string(*node, "status"), Some("okay" | "ok")))
        })
    }

    pub fn is_there(&self, node: NodeIndex) -> bool {
        self.disabled_by(node).is_none()
    }

    /// Whether requests of a node snoop the caches: the nearest of the node and those above it says so.
    pub fn is_coherent(&self, node: NodeIndex) -> bool {
        self.upwards(node)
            .find_map(|node| {
                if self.has(node, "dma-coherent") {
                    Some(true)
                } else {
                    self.has(node, "dma-noncoherent").then_some(false)
                }
            })
            .unwrap_or(false)
    }
}
