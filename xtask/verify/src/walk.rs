//! A whole tree of stage-1 tables with 4 KiB pages (Arm ARM D8.2 and D8.3).

use std::collections::BTreeMap;

use crate::image::Image;
use crate::leaf::Leaf;

/// The translations of a tree.
#[derive(Debug, Default)]
pub struct Tree {
    /// The leaves, in the order of their addresses.
    pub leaves: Vec<Leaf>,
    /// Physical addresses of all tables, with the first address that each translates and its level.
    pub tables: BTreeMap<u64, (u64, u32)>,
    /// Descriptors that no table of this system has.
    pub wrong: Vec<String>,
}

const VALID: u64 = 1 << 0;
const TABLE_OR_PAGE: u64 = 1 << 1;
const ADDRESS: u64 = 0x0000_ffff_ffff_f000;
/// A table's entries.
const ENTRIES: u64 = 512;
/// More tables than any system here has: a tree with a circle in it ends.
const TABLES_MAX: usize = 1 << 16;
/// More faults than anybody reads: a file that is full of them does not become a message that is larger than the file.
const WRONG_MAX: usize = 1 << 10;

/// Reads everything below `root`, whose first address is `start`; input addresses have `bits` bits.
pub fn walk(image: &Image<'_>, root: u64, start: u64, bits: u32) -> Tree {
    let mut tree = Tree::default();
    // 12 bits within a page, 9 for each level, up to level 3.
    let levels = bits.saturating_sub(12).div_ceil(9);
    if !(1..=4).contains(&levels) || !(bits - 12).is_multiple_of(9) {
        tree.wrong
            .push(format!("addresses of {bits} bits have no whole root table"));
        return tree;
    }
    if root & !ADDRESS != 0 {
        tree.wrong
            .push(format!("the root table at {root:#x} is not aligned"));
        return tree;
    }
    table(image, root, start, 4 - levels, &mut tree);
    tree
}

fn table(image: &Image<'_>, address: u64, start: u64, level: u32, tree: &mut Tree) {
    if tree.wrong.len() >= WRONG_MAX {
        return;
    }
    if tree.tables.len() >= TABLES_MAX || tree.tables.insert(address, (start, level)).is_some() {
        tree.wrong
            .push(format!("the table at {address:#x} is linked twice"));
        return;
    }
    let shift = 12 + 9 * (3 - level);
    for index in 0..ENTRIES {
        let at = address.saturating_add(index * 8);
        let input = start.wrapping_add(index << shift);
        let Some(descriptor) = image.word(at) else {
            tree.wrong.push(format!(
                "a table is at {address:#x}, outside of the image's file"
            ));
            return;
        };
        match (
            descriptor & VALID != 0,
            descriptor & TABLE_OR_PAGE != 0,
            level,
        ) {
            (false, _, _) if descriptor == 0 => {}
            (false, _, _) => {
                let what = "is not valid, but not empty";
                tree.wrong
                    .push(format!("the descriptor at {at:#x} {what}: {descriptor:#x}"));
            }
            (true, true, 0..=2) if descriptor & !(ADDRESS | VALID | TABLE_OR_PAGE) != 0 => {
                let what = "gives attributes to a whole table";
                tree.wrong
                    .push(format!("the descriptor at {at:#x} {what}: {descriptor:#x}"));
            }
            (true, true, 0..=2) => table(image, descriptor & ADDRESS, input, level + 1, tree),
            (true, true, _) | (true, false, 1 | 2) => {
                let (output, len) = (descriptor & ADDRESS, 1 << shift);
                if output % len != 0 {
                    tree.wrong.push(format!(
                        "the block at {at:#x} is not aligned: {descriptor:#x}"
                    ));
                }
                tree.leaves.push(Leaf {
                    input,
                    output,
                    len,
                    descriptor,
                    at,
                });
            }
            (true, false, _) => {
                let what = "is reserved at its level";
                tree.wrong
                    .push(format!("the descriptor at {at:#x} {what}: {descriptor:#x}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An image at 0 whose tables are the pages from 1 up.
    fn tree(entries: &[(u64, u64)]) -> Tree {
        let mut bytes = vec![0; 8 * 4096];
        for &(at, value) in entries {
            bytes[at as usize..][..8].copy_from_slice(&u64::to_le_bytes(value));
        }
        bytes[64..72].copy_from_slice(b"PORTCULL");
        (bytes[72], bytes[184]) = (3, 1);
        walk(&Image::new(&bytes).unwrap(), 0x1000, 0, 39)
    }

    #[test]
    fn leaves_of_every_level() {
        let tree = tree(&[
            (0x1000, 0x2003),
            (0x1008, 0x4000_0001),
            (0x2008, 0x3003),
            (0x2010, 0x0020_0001),
            (0x3ff8, 0x9003),
        ]);
        assert_eq!(tree.wrong, Vec::<String>::new());
        let leaves: Vec<_> = tree
            .leaves
            .iter()
            .map(|leaf| (leaf.input, leaf.output, leaf.len))
            .collect();
        let expected = [
            (0x3f_f000, 0x9000, 0x1000),
            (0x40_0000, 0x20_0000, 0x20_0000),
            (0x4000_0000, 0x4000_0000, 0x4000_0000),
        ];
        assert_eq!(leaves, expected);
        let tables = [(0x1000, (0, 1)), (0x2000, (0, 2)), (0x3000, (0x20_0000, 3))];
        assert_eq!(tree.tables, BTreeMap::from(tables));
    }

    #[test]
    fn what_no_table_has_is_said() {
        let wrong = |entries: &[(u64, u64)]| tree(entries).wrong.join("; ");
        assert!(wrong(&[(0x1000, 0x1003)]).contains("linked twice"));
        assert!(wrong(&[(0x1000, 0x2003), (0x1008, 0x2003)]).contains("linked twice"));
        assert!(wrong(&[(0x1000, 0x10_0003)]).contains("outside"));
        assert!(wrong(&[(0x1000, 0x2002)]).contains("not valid, but not empty"));
        assert!(wrong(&[(0x1000, 0x2003 | 1 << 59)]).contains("whole table"));
        assert!(wrong(&[(0x1000, 0x20_0001)]).contains("not aligned"));
        let level3 = [(0x1000, 0x2003), (0x2000, 0x3003), (0x3000, 0x9001)];
        assert!(wrong(&level3).contains("reserved at its level"));
    }

    #[test]
    fn a_root_between_pages_is_no_table() {
        for root in [0x1001, 0x1800, 1 << 48] {
            let mut bytes = vec![0; 0x2000];
            bytes[64..72].copy_from_slice(b"PORTCULL");
            (bytes[72], bytes[184]) = (3, 1);
            let tree = walk(&Image::new(&bytes).unwrap(), root, 0, 39);
            assert!(tree.wrong.join("").contains("not aligned"), "{root:#x}");
        }
    }

    #[test]
    fn sizes_without_a_whole_root() {
        let mut bytes = vec![0; 0x2000];
        bytes[64..72].copy_from_slice(b"PORTCULL");
        (bytes[72], bytes[184]) = (3, 1);
        let image = Image::new(&bytes).unwrap();
        for bits in [0, 12, 38, 57, u32::MAX] {
            assert_eq!(walk(&image, 0x1000, 0, bits).wrong.len(), 1, "{bits}");
        }
        for bits in [21, 30, 39, 48] {
            assert!(walk(&image, 0x1000, 0, bits).wrong.is_empty(), "{bits}");
        }
    }
}
