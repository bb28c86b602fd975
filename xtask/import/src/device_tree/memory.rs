//! RAM and the parts of it that are somebody's.

use super::Reader;
use super::master::short;
use super::node::ROOT;
use crate::board::{Part, Range};

impl Reader<'_> {
    /// `memory` nodes, `reserved-memory` and what the header reserves.
    pub(super) fn memory(&mut self) {
        let tree = self.tree;
        let mut found = Vec::new();
        let nodes = tree.children(ROOT);
        for node in nodes.filter(|node| tree.string(*node, "device_type") == Some("memory")) {
            if !tree.is_there(node) {
                continue;
            }
            for region in tree.regions(node) {
                match region {
                    Ok(range) => found.push(range),
                    Err(why) => self.word(
                        node,
                        format!("this memory cannot be found: {why}"),
                        "it is left out",
                    ),
                }
            }
        }
        self.board.memory = joined(found);
        for range in tree.header_reserved() {
            self.board.reserved.push(Part {
                name: "memreserve".into(),
                range: *range,
            });
        }
        let Some(above) = tree.at("/reserved-memory") else {
            return;
        };
        for node in tree.children(above).filter(|node| tree.is_there(*node)) {
            for region in tree.regions(node) {
                match region {
                    Ok(range) if range.len > 0 => self.board.reserved.push(Part {
                        name: short(tree.base_name(node)),
                        range,
                    }),
                    Ok(_) => {}
                    Err(why) => self.word(
                        node,
                        format!("this memory cannot be found: {why}"),
                        "reserve it by hand",
                    ),
                }
            }
        }
    }
}

/// Ranges in their order, those that touch as one.
fn joined(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.retain(|range| range.len > 0);
    ranges.sort_by_key(|range| range.base);
    let mut joined: Vec<Range> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.base <= last.end() => {
                last.len = range.end().max(last.end()) - last.base;
            }
            _ => joined.push(range),
        }
    }
    joined
}
