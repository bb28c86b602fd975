//! Nodes of translation services, of performance counters and of reserved memory (DEN 0049, tables 6, 17, 18).

use super::super::bytes::{Bytes, index};
use super::super::finding::{FIRMWARE, Findings};
use super::head::Head;
use super::node::Node;

/// A group of interrupt translation services.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ItsGroup {
    /// What every node has.
    pub head: Head,
    /// Identifiers that the MADT has too.
    pub ids: Vec<u32>,
}

/// Performance counters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pmcg {
    /// What every node has.
    pub head: Head,
    /// Address of the first page of registers.
    pub base: u64,
    /// Interrupt on overflow, 0 for none.
    pub overflow: u32,
    /// Offset of the node that it counts for.
    pub node: u32,
    /// Address of the second page, from revision 1 on.
    pub second_page: Option<u64>,
}

/// Memory that devices use from the start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rmr {
    /// What every node has. Its mappings lead to the StreamIDs that use the memory.
    pub head: Head,
    /// Flags; the withdrawn revision 0 has none.
    pub flags: Option<u32>,
    /// The memory.
    pub ranges: Vec<ReservedRange>,
}

impl Rmr {
    /// The memory may be mapped at another address than its own.
    #[must_use]
    pub fn may_move(&self) -> Option<bool> {
        self.flags.map(|flags| flags & 1 != 0)
    }

    /// Accesses are privileged.
    #[must_use]
    pub fn privileged(&self) -> Option<bool> {
        self.flags.map(|flags| flags & 2 != 0)
    }

    /// Memory type of accesses.
    #[must_use]
    pub fn attributes(&self) -> Option<u32> {
        self.flags.map(|flags| flags >> 2 & 0xff)
    }
}

/// A range of memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ReservedRange {
    /// First address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

/// Bytes of a range's descriptor.
const DESCRIPTOR: usize = 20;

pub fn its_group(node: &Node<'_>, head: Head, findings: &mut Findings<'_>) -> Option<ItsGroup> {
    let count = node.bytes.u32(16)?;
    let mut ids = Vec::new();
    for number in 0..count {
        let at = index(number).saturating_mul(4).saturating_add(20);
        let Some(id) = node.bytes.u32(at) else {
            findings.error(
                node.offset + 16,
                format!(
                    "service {number} of {count} of the ITS group node would be outside of the node, which has {} bytes",
                    node.bytes.len()
                ),
                FIRMWARE,
            );
            break;
        };
        ids.push(id);
    }
    Some(ItsGroup { head, ids })
}

pub fn pmcg(node: &Node<'_>, head: Head) -> Option<Pmcg> {
    Some(Pmcg {
        base: node.bytes.u64(16)?,
        overflow: node.bytes.u32(24)?,
        node: node.bytes.u32(28)?,
        second_page: node.fields(32).u64(32).filter(|_| node.revision >= 1),
        head,
    })
}

pub fn rmr(node: &Node<'_>, head: Head, findings: &mut Findings<'_>) -> Option<Rmr> {
    // The withdrawn revision E of the specification had no flags.
    let withdrawn = node.revision == 0;
    let at = if withdrawn { 16 } else { 20 };
    let flags = node.bytes.u32(16)?;
    let (count, first) = (node.bytes.u32(at)?, node.bytes.u32(at + 4)?);
    let mut ranges = Vec::new();
    for number in 0..count {
        let at = index(number)
            .saturating_mul(DESCRIPTOR)
            .saturating_add(index(first));
        let range = node.bytes.part(at, DESCRIPTOR).and_then(range);
        let Some(range) = range else {
            findings.error(
                node.offset,
                format!(
                    "descriptor {number} of {count} of the RMR node would be outside of the node, which has {} bytes",
                    node.bytes.len()
                ),
                FIRMWARE,
            );
            break;
        };
        if range.len == 0 || range.base.checked_add(range.len).is_none() {
            findings.error(
                node.offset + at,
                format!(
                    "descriptor {number} of the RMR node has {:#x} bytes from {:#x}, which is no memory",
                    range.len, range.base
                ),
                FIRMWARE,
            );
        }
        ranges.push(range);
    }
    if head.mappings.is_empty() {
        findings.warning(
            node.offset,
            "the RMR node has no mapping, so no StreamID uses its memory: no direct region comes of it".into(),
            "if a device uses it, write `direct` for that device by hand",
        );
    }
    Some(Rmr {
        flags: (!withdrawn).then_some(flags),
        ranges,
        head,
    })
}

fn range(bytes: Bytes<'_>) -> Option<ReservedRange> {
    Some(ReservedRange {
        base: bytes.u64(0)?,
        len: bytes.u64(8)?,
    })
}
