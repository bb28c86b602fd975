//! IORT: which SMMU and which StreamID a requester's id becomes (Arm DEN 0049 E.e, IO Remapping Table).
//!
//! Each node is read by its own revision. Lengths and offsets say where things are; nothing is read across
//! the end of a node.

mod check;
mod endpoint;
mod head;
mod mapping;
mod misc;
mod node;
mod path;
mod smmu;

pub use endpoint::{Access, NamedComponent, RootComplex};
pub use head::Head;
pub use mapping::{Mapping, Note, Target};
pub use misc::{ItsGroup, Pmcg, ReservedRange, Rmr};
pub use path::{Messages, Path, Requester, Way};
pub use smmu::{OldSmmu, SmmuInterrupts, SmmuV3};

use super::bytes::{Bytes, index};
use super::finding::{COPY_AGAIN, FIRMWARE, Findings};
use super::header::Header;
use node::Node;

/// All nodes of the table, each kind in the table's order.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Iort {
    /// How many nodes the table says it has.
    pub node_count: u32,
    /// Offset of the first node.
    pub node_array_offset: u32,
    /// Bytes that follow the last counted node.
    pub bytes_after_last_node: usize,
    /// Groups of translation services.
    pub its_groups: Vec<ItsGroup>,
    /// SMMUs of the architecture SMMUv3.
    pub smmus: Vec<SmmuV3>,
    /// SMMUs of the architectures before.
    pub old_smmus: Vec<OldSmmu>,
    /// PCI segments.
    pub root_complexes: Vec<RootComplex>,
    /// Devices that are not on PCI.
    pub named_components: Vec<NamedComponent>,
    /// Memory that devices use from the start.
    pub rmrs: Vec<Rmr>,
    /// Performance counters of SMMUs.
    pub pmcgs: Vec<Pmcg>,
    /// Where each requester's ids go.
    pub paths: Vec<Path>,
}

/// Offset of the number of nodes, and the first one at which a node can be.
const COUNT: usize = 36;
const FIRST_NODE: usize = 48;

/// Firmware that writes how many ids a mapping has instead of that number less one: OEM, table, revision.
const PLAIN_COUNTS: [(&str, &str, u32); 2] = [("HISI", "HIP07", 0), ("HISI", "HIP08", 0)];

pub(super) fn read(header: &Header, table: Bytes<'_>, findings: &mut Findings<'_>) -> Iort {
    let mut iort = Iort::default();
    let nodes = walk(table, &mut iort, findings);
    let oem = (
        header.oem_id.as_str(),
        header.oem_table_id.as_str(),
        header.oem_revision,
    );
    let plain = PLAIN_COUNTS.contains(&oem);
    let targets = check::targets(&nodes);
    for node in &nodes {
        let mappings = mapping::read(node, &targets, plain, findings);
        let head = head::of(node, mappings);
        if add(&mut iort, node, head, findings).is_none() {
            findings.error(
                node.offset,
                format!(
                    "the length of the {} node, {} bytes, is too short for its revision {}",
                    node.kind_name(),
                    node.bytes.len(),
                    node.revision
                ),
                FIRMWARE,
            );
        }
    }
    check::all(&iort, findings);
    iort.paths = path::all(&iort);
    iort
}

/// The nodes, as far as they follow each other.
fn walk<'a>(table: Bytes<'a>, iort: &mut Iort, findings: &mut Findings<'_>) -> Vec<Node<'a>> {
    let mut nodes = Vec::new();
    let (Some(count), Some(first)) = (table.u32(COUNT), table.u32(COUNT + 4)) else {
        findings.error(
            COUNT,
            format!(
                "the table is too short to say how many nodes it has: {} bytes of {FIRST_NODE}",
                table.len()
            ),
            COPY_AGAIN,
        );
        return nodes;
    };
    iort.node_count = count;
    iort.node_array_offset = first;
    let mut at = index(first);
    if count == 0 {
        findings.error(
            COUNT,
            "the table has no node, so there is no SMMU and no requester".into(),
            FIRMWARE,
        );
        return nodes;
    }
    if at < FIRST_NODE {
        findings.error(
            COUNT + 4,
            format!("the first node is said to be at {at:#x}, inside of the header, which ends at {FIRST_NODE:#x}"),
            FIRMWARE,
        );
        return nodes;
    }
    for number in 0..count {
        match Node::read(table, at) {
            Ok(node) => {
                at += node.bytes.len();
                nodes.push(node);
            }
            Err(why) => {
                findings.error(at, format!("node {number} of {count} {why}"), FIRMWARE);
                return nodes;
            }
        }
    }
    iort.bytes_after_last_node = table.len() - at;
    if iort.bytes_after_last_node != 0 {
        findings.warning(
            at,
            format!(
                "{} bytes after the last of {count} nodes are not read; a node there would not be counted",
                iort.bytes_after_last_node
            ),
            FIRMWARE,
        );
    }
    nodes
}

/// Adds a node to those of its kind; nothing if it is too short for what its revision has.
fn add(iort: &mut Iort, node: &Node<'_>, head: Head, findings: &mut Findings<'_>) -> Option<()> {
    match node.kind {
        node::ITS_GROUP => iort.its_groups.push(misc::its_group(node, head, findings)?),
        node::NAMED_COMPONENT => iort.named_components.push(endpoint::named(node, head)?),
        node::ROOT_COMPLEX => iort.root_complexes.push(endpoint::root(node, head)?),
        node::OLD_SMMU => iort.old_smmus.push(smmu::old(node, head)?),
        node::SMMU_V3 => iort.smmus.push(smmu::v3(node, head, findings)?),
        node::PMCG => iort.pmcgs.push(misc::pmcg(node, head)?),
        node::RMR => iort.rmrs.push(misc::rmr(node, head, findings)?),
        node::WIRE_BRIDGE => findings.warning(
            node.offset,
            "the interrupt wire bridge is not read: nothing here routes interrupts through one".into(),
            "an interrupt behind it is to be described by hand",
        ),
        kind => findings.warning(
            node.offset,
            format!("the node has type {kind:#x}, which nobody here knows; it is passed over by its length"),
            "if a requester is described there, describe it by hand",
        ),
    }
    Some(())
}
