//! A device tree blob as Linux reads it (Devicetree Specification 0.4; the bindings are named where they are
//! read).
//!
//! Nodes that are not there by their `status` are passed over, addresses are the processor's, and what a
//! tree does not state is nowhere in the [`Board`].

mod address;
mod blob;
mod host;
mod interrupt;
mod map;
mod master;
mod memory;
mod node;
mod smmu;
mod system;

use std::collections::BTreeMap;

use crate::board::{Board, Place, SmmuIndex, Word};
use node::{NodeIndex, ROOT, Tree};

/// A tree while it is read.
struct Reader<'a> {
    tree: &'a Tree<'a>,
    board: Board,
    /// Which nodes are the board's SMMUs.
    units: BTreeMap<NodeIndex, SmmuIndex>,
    errors: Vec<Word>,
}

/// What a blob states.
///
/// # Errors
/// All reasons why it cannot be used, at least one. A tree with an error gives nothing at all, since a part
/// of a machine would be wrong without looking wrong.
pub fn read(blob: &[u8]) -> Result<Board, Vec<Word>> {
    let tree = Tree::new(blob).map_err(|word| vec![word])?;
    let model = tree.string(ROOT, "model").map(str::to_owned);
    let mut reader = Reader {
        tree: &tree,
        board: Board {
            model,
            ..Board::default()
        },
        units: BTreeMap::new(),
        errors: Vec::new(),
    };
    reader.smmus();
    reader.hosts();
    reader.masters();
    reader.memory();
    reader.system();
    if reader.errors.is_empty() {
        Ok(reader.board)
    } else {
        Err(reader.errors)
    }
}

impl Reader<'_> {
    /// A part that was left out, or is doubtful.
    fn word(&mut self, node: NodeIndex, problem: impl Into<String>, remedy: &str) {
        let word = Word::new(&self.tree.place(node), problem, remedy);
        if !self.board.words.contains(&word) {
            self.board.words.push(word);
        }
    }

    /// A reason why the tree cannot be used.
    fn error(&mut self, node: NodeIndex, problem: impl Into<String>, remedy: &str) {
        let place: Place = self.tree.place(node);
        self.errors.push(Word::new(&place, problem, remedy));
    }
}
