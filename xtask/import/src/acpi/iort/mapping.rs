//! Mappings of a node: ids that come in, ids that go out, and to whom (DEN 0049, table 4).

use std::collections::BTreeMap;

use super::super::bytes::{Bytes, index};
use super::super::finding::{FIRMWARE, Findings};
use super::node::{self, HEADER, Node};

/// A node that mappings can lead to, by its index among the nodes of its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Target {
    /// A group of translation services.
    ItsGroup(usize),
    /// An SMMUv3.
    SmmuV3(usize),
    /// An SMMUv1 or SMMUv2.
    OldSmmu(usize),
}

/// Why a mapping has fewer ids than its count says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Note {
    /// The firmware is known to write plain counts.
    PlainCount,
    /// The last id is the first of another mapping, which has it.
    LastIsFirstOf(usize),
}

/// One mapping.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// First id that comes in.
    pub input_base: u32,
    /// The count as it is in the table.
    pub count_field: u32,
    /// Id that goes out for the first.
    pub output_base: u32,
    /// Offset of the node that the id goes to.
    pub reference: u32,
    /// The id that goes out is the output base, whatever came in.
    pub single: bool,
    /// How many ids it has.
    pub ids: u64,
    /// The node that the id goes to, if ids can go there.
    pub target: Option<Target>,
    /// Why there are fewer ids than the count says.
    pub note: Option<Note>,
}

/// Bytes of a mapping.
const MAPPING: usize = 20;

impl Mapping {
    /// Last id that comes in.
    pub fn input_last(&self) -> u64 {
        u64::from(self.input_base) + self.ids - 1
    }

    /// Last id that goes out.
    pub fn output_last(&self) -> u64 {
        u64::from(self.output_base) + self.ids - 1
    }

    /// First and last id that both take.
    pub fn common(&self, other: &Self) -> Option<(u64, u64)> {
        let first = self.input_base.max(other.input_base);
        let last = self.input_last().min(other.input_last());
        (u64::from(first) <= last).then_some((u64::from(first), last))
    }

    /// Whether both lead each of their common ids to the same place.
    pub fn agrees(&self, other: &Self) -> bool {
        let shift = |mapping: &Self| i64::from(mapping.output_base) - i64::from(mapping.input_base);
        let same = if self.single || other.single {
            self.single == other.single && self.output_base == other.output_base
        } else {
            shift(self) == shift(other)
        };
        same && self.reference == other.reference
    }
}

/// The nodes by their offsets: kind, and index as a target.
pub type Targets = BTreeMap<usize, (u8, Option<Target>)>;

/// The mappings of a node that are inside of it.
pub fn read(
    node: &Node<'_>,
    targets: &Targets,
    plain: bool,
    findings: &mut Findings<'_>,
) -> Vec<Mapping> {
    let mut mappings: Vec<Mapping> = Vec::new();
    let first = index(node.mapping_offset);
    let known = node::kind_name(node.kind) != "unknown" && node.kind != node::WIRE_BRIDGE;
    if node.mapping_count == 0 || !known {
        return mappings;
    }
    if first < HEADER {
        findings.error(
            node.offset + 12,
            format!(
                "the mappings of the {} node are said to be at offset {first:#x} of it, inside of its header, which has {HEADER} bytes",
                node.kind_name()
            ),
            FIRMWARE,
        );
        return mappings;
    }
    for number in 0..node.mapping_count {
        let at = first.saturating_add(index(number).saturating_mul(MAPPING));
        let mapping = node.bytes.part(at, MAPPING);
        let Some(mapping) = mapping.and_then(|bytes| one(bytes, plain)) else {
            findings.error(
                node.offset,
                format!(
                    "mapping {number} of {} of the {} node would end outside of the node, which has {} bytes",
                    node.mapping_count,
                    node.kind_name(),
                    node.bytes.len()
                ),
                FIRMWARE,
            );
            break;
        };
        mappings.push(mapping);
    }
    give_ends_away(&mut mappings);
    for (number, mapping) in mappings.iter_mut().enumerate() {
        let at = node.offset + first + number * MAPPING;
        mapping.target = target(node, mapping, at, targets, findings);
        ends(node, mapping, number, at, findings);
    }
    mappings
}

fn one(bytes: Bytes<'_>, plain: bool) -> Option<Mapping> {
    let count_field = bytes.u32(4)?;
    let single = bytes.u32(16)? & 1 != 0;
    let ids = match (single, plain) {
        (true, _) => 1,
        (false, true) => u64::from(count_field).max(1),
        (false, false) => u64::from(count_field) + 1,
    };
    Some(Mapping {
        input_base: bytes.u32(0)?,
        count_field,
        output_base: bytes.u32(8)?,
        reference: bytes.u32(12)?,
        single,
        ids,
        target: None,
        note: (plain && !single).then_some(Note::PlainCount),
    })
}

/// Firmware that writes a plain count gives its mapping one id too many. It is seen where that id is the
/// first one of another mapping.
fn give_ends_away(mappings: &mut [Mapping]) {
    let firsts: Vec<Option<u64>> = mappings
        .iter()
        .map(|mapping| (!mapping.single).then_some(u64::from(mapping.input_base)))
        .collect();
    for (number, mapping) in mappings.iter_mut().enumerate() {
        if mapping.single || mapping.ids < 2 {
            continue;
        }
        let last = mapping.input_last();
        let other = firsts
            .iter()
            .enumerate()
            .find(|(other, first)| *other != number && **first == Some(last));
        if let Some((other, _)) = other {
            mapping.ids -= 1;
            mapping.note = Some(Note::LastIsFirstOf(other));
        }
    }
}

/// The node that a mapping leads to, if it may.
fn target(
    node: &Node<'_>,
    mapping: &Mapping,
    at: usize,
    targets: &Targets,
    findings: &mut Findings<'_>,
) -> Option<Target> {
    let reference = mapping.reference;
    let from = node.kind_name();
    let Some((kind, target)) = targets.get(&index(reference)) else {
        findings.error(
            at + 12,
            format!(
                "a mapping of the {from} node at {:#x} refers to {reference:#x}, where no node begins",
                node.offset
            ),
            FIRMWARE,
        );
        return None;
    };
    let to_service = matches!(target, Some(Target::ItsGroup(_)));
    let allowed = match node.kind {
        node::ROOT_COMPLEX | node::NAMED_COMPONENT => target.is_some(),
        node::RMR => target.is_some() && !to_service,
        _ => to_service,
    };
    if !allowed {
        let what = if index(reference) == node.offset {
            "to itself, in a circle".to_owned()
        } else {
            format!("to the {} node at {reference:#x}", node::kind_name(*kind))
        };
        findings.error(
            at + 12,
            format!(
                "a mapping of the {from} node at {:#x} refers {what}, which is no target of such a node",
                node.offset
            ),
            FIRMWARE,
        );
        return None;
    }
    *target
}

/// Ids have 32 bits, and one that passes them would be another one.
fn ends(node: &Node<'_>, mapping: &Mapping, number: usize, at: usize, findings: &mut Findings<'_>) {
    let most = u64::from(u32::MAX);
    if mapping.output_last() > most {
        findings.error(
            at + 8,
            format!(
                "mapping {number} of the {} node at {:#x} has {:#x} ids from output base {:#x}: the last would be beyond 32 bits",
                node.kind_name(),
                node.offset,
                mapping.ids,
                mapping.output_base
            ),
            FIRMWARE,
        );
    }
    // What comes into a named component is a name of firmware's own.
    if node.kind != node::NAMED_COMPONENT && mapping.input_last() > most {
        findings.error(
            at,
            format!(
                "mapping {number} of the {} node at {:#x} has {:#x} ids from input base {:#x}: the last would be beyond 32 bits",
                node.kind_name(),
                node.offset,
                mapping.ids,
                mapping.input_base
            ),
            FIRMWARE,
        );
    }
}
