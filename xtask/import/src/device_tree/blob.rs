//! The flattened form of a device tree (Devicetree Specification 0.4, chapter 5).
//!
//! Offsets and lengths in a blob are trusted by nobody: each is compared with the blob's length before it is
//! used, and the walk never goes back, so that a damaged blob ends in an error.

use crate::board::{Place, Range, Word};

/// A node as it was found.
pub struct Node<'a> {
    /// Name with the unit address; empty for the root.
    pub name: &'a str,
    /// The node above; the root has none.
    pub parent: Option<usize>,
    /// Names and values.
    pub properties: Vec<(&'a str, &'a [u8])>,
}

/// All nodes in the blob's order, so that a parent is before its children.
pub struct Blob<'a> {
    pub nodes: Vec<Node<'a>>,
    /// Memory that the header reserves.
    pub reserved: Vec<Range>,
}

const MAGIC: u32 = 0xd00d_feed;
const HEADER: usize = 40;
const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;
/// Linux takes no deeper tree (`FDT_MAX_DEPTH`).
const DEPTH: usize = 64;

const COPY_AGAIN: &str = "copy /sys/firmware/fdt again, byte by byte";

/// Reads a blob.
pub fn read(blob: &[u8]) -> Result<Blob<'_>, Word> {
    let header = |field: usize| word(blob, 4 * field).map(|value| value as usize);
    let fault = |problem: String, remedy: &str| Word::new(&Place("/".into()), problem, remedy);
    if word(blob, 0) != Some(MAGIC) {
        return Err(fault(
            "the file does not start like a device tree blob".into(),
            "compile a source with `dtc`, or copy /sys/firmware/fdt",
        ));
    }
    let (Some(total), Some(structure), Some(strings), Some(reserved), Some(version)) =
        (header(1), header(2), header(3), header(4), header(5))
    else {
        return Err(fault("the blob ends in its header".into(), COPY_AGAIN));
    };
    if version < 16 || header(6).is_none_or(|oldest| oldest > 17) {
        return Err(fault(
            format!("the blob has version {version}, and versions 16 and 17 are known"),
            "compile the tree again with a current `dtc`",
        ));
    }
    let Some(blob) = blob.get(..total).filter(|_| total >= HEADER) else {
        return Err(fault(
            format!(
                "the header says {total:#x} bytes, and there are {:#x}",
                blob.len()
            ),
            COPY_AGAIN,
        ));
    };
    let (Some(structure), Some(strings)) = (blob.get(structure..), blob.get(strings..)) else {
        return Err(fault(
            "the header places a part of the blob outside of it".into(),
            COPY_AGAIN,
        ));
    };
    let mut walk = Walk {
        structure,
        strings,
        at: 0,
        nodes: Vec::new(),
        open: Vec::new(),
    };
    walk.run().map_err(|problem| {
        let open = walk
            .open
            .iter()
            .skip(1)
            .filter_map(|node| walk.nodes.get(*node));
        let path: String = open.map(|node| format!("/{}", node.name)).collect();
        let place = Place(if path.is_empty() { "/".into() } else { path });
        let at = walk.at;
        Word::new(
            &place,
            format!("the blob is damaged at {at:#x} of its structure: {problem}"),
            COPY_AGAIN,
        )
    })?;
    let reserved = reservations(blob, reserved)
        .ok_or_else(|| fault("its list of reserved memory has no end".into(), COPY_AGAIN))?;
    Ok(Blob {
        nodes: walk.nodes,
        reserved,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

/// A string up to its zero.
fn text(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    core::str::from_utf8(bytes.get(..end)?).ok()
}

/// Pairs of address and length up to a pair of zeros.
fn reservations(blob: &[u8], mut at: usize) -> Option<Vec<Range>> {
    let mut found = Vec::new();
    loop {
        let pair: &[u8; 16] = blob.get(at..)?.first_chunk()?;
        let number = u128::from_be_bytes(*pair);
        let (base, len) = ((number >> 64) as u64, number as u64);
        if (base, len) == (0, 0) {
            return Some(found);
        }
        found.push(Range { base, len });
        at += 16;
    }
}

struct Walk<'a> {
    structure: &'a [u8],
    strings: &'a [u8],
    at: usize,
    nodes: Vec<Node<'a>>,
    /// The nodes that have not ended, outermost first.
    open: Vec<usize>,
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Result<(), String> {
        loop {
            match self.token()? {
                NOP => {}
                BEGIN_NODE => self.begin()?,
                END_NODE => {
                    if self.open.pop().is_none() {
                        return Err("a node ends that did not begin".into());
                    }
                }
                PROPERTY => self.property()?,
                END if self.open.is_empty() && !self.nodes.is_empty() => return Ok(()),
                END => return Err("the tree ends inside a node".into()),
                other => return Err(format!("there is no token {other:#x}")),
            }
        }
    }

    fn token(&mut self) -> Result<u32, String> {
        let token = word(self.structure, self.at).ok_or("the blob ends here")?;
        self.at += 4;
        Ok(token)
    }

    /// Passes over `len` bytes and what fills them up to a token.
    fn pass(&mut self, len: usize) {
        self.at = self.at.saturating_add(len).next_multiple_of(4);
    }

    fn begin(&mut self) -> Result<(), String> {
        let rest = self.structure.get(self.at..).unwrap_or_default();
        let name = text(rest).ok_or("a node's name has no end, or is no text")?;
        if self.open.is_empty() && !self.nodes.is_empty() {
            return Err(format!("there is a second root, `{name}`"));
        }
        if name.is_empty() != self.open.is_empty() {
            return Err(format!("`{name}` is no name here"));
        }
        if self.open.len() == DEPTH {
            return Err(format!("`{name}` is nested more than {DEPTH} deep"));
        }
        self.pass(name.len() + 1);
        let parent = self.open.last().copied();
        self.open.push(self.nodes.len());
        self.nodes.push(Node {
            name,
            parent,
            properties: Vec::new(),
        });
        Ok(())
    }

    fn property(&mut self) -> Result<(), String> {
        let len = self.token()? as usize;
        let name = self.token()? as usize;
        let name = self.strings.get(name..).and_then(text);
        let name = name.ok_or("a property's name is outside of the strings, or is no text")?;
        let rest = self.structure.get(self.at..).unwrap_or_default();
        let value = rest
            .get(..len)
            .ok_or_else(|| format!("`{name}` has {len:#x} bytes, more than there are"))?;
        self.pass(len);
        let node = self.open.last().and_then(|node| self.nodes.get_mut(*node));
        let node = node.ok_or_else(|| format!("`{name}` is in no node"))?;
        node.properties.push((name, value));
        Ok(())
    }
}
