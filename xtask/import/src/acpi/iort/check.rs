//! Nodes taken together: what two of them say of one thing.

use std::collections::BTreeMap;

use super::super::finding::{FIRMWARE, Findings};
use super::mapping::{Mapping, Note, Target, Targets};
use super::node::{self, Node};
use super::{Iort, RootComplex};

/// Last requester id of a segment.
const REQUESTER_LAST: u64 = 0xffff;

/// The nodes by offset.
pub fn targets(nodes: &[Node<'_>]) -> Targets {
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    let numbered = nodes.iter().map(|node| {
        let count = counts.entry(node.kind).or_default();
        let index = *count;
        *count += 1;
        let target = match node.kind {
            node::ITS_GROUP => Some(Target::ItsGroup(index)),
            node::SMMU_V3 => Some(Target::SmmuV3(index)),
            node::OLD_SMMU => Some(Target::OldSmmu(index)),
            _ => None,
        };
        (node.offset, (node.kind, target))
    });
    numbered.collect()
}

pub fn all(iort: &Iort, findings: &mut Findings<'_>) {
    same_base(iort, findings);
    frames(iort, findings);
    for root in &iort.root_complexes {
        overlaps(root, findings);
    }
    for smmu in &iort.smmus {
        device_ids(
            &smmu.head.mappings,
            smmu.device_id_mapping,
            smmu.head.offset,
            findings,
        );
    }
    segments(iort, findings);
}

/// What the base of an SMMUv3 is a multiple of, and the addresses of a processor (IHI 0070, 6.1).
const FRAME: u64 = 64 << 10;
const ADDRESSES: u64 = 1 << 52;

/// An SMMUv3 has whole frames, which nobody else has.
fn frames(iort: &Iort, findings: &mut Findings<'_>) {
    for (number, smmu) in iort.smmus.iter().enumerate() {
        let (base, offset) = (smmu.base, smmu.head.offset);
        if base == 0 || base % FRAME != 0 || base >= ADDRESSES - 2 * FRAME {
            findings.error(
                offset + 16,
                format!("the SMMUv3 node at {offset:#x} has the base {base:#x}, where no frame of 64 KiB can be"),
                FIRMWARE,
            );
        }
        for other in iort.smmus.iter().skip(number + 1) {
            let (low, high) = if base < other.base {
                (smmu, other)
            } else {
                (other, smmu)
            };
            let distance = high.base - low.base;
            if distance > 0 && distance < low.register_bytes() {
                findings.error(
                    other.head.offset + 16,
                    format!(
                        "the registers of the SMMUv3 nodes at {offset:#x} and {:#x}, at {base:#x} and {:#x}, are the same in part",
                        other.head.offset, other.base
                    ),
                    FIRMWARE,
                );
            }
        }
    }
}

/// Two SMMUs have registers of their own.
fn same_base(iort: &Iort, findings: &mut Findings<'_>) {
    let new = iort.smmus.iter().map(|smmu| (smmu.base, smmu.head.offset));
    let old = iort
        .old_smmus
        .iter()
        .map(|smmu| (smmu.base, smmu.head.offset));
    let mut first: BTreeMap<u64, usize> = BTreeMap::new();
    for (base, offset) in new.chain(old) {
        if let Some(other) = first.insert(base, offset) {
            findings.error(
                offset + 16,
                format!(
                    "the SMMU nodes at {other:#x} and {offset:#x} have the same base, {base:#x}"
                ),
                FIRMWARE,
            );
        }
    }
}

/// What a mapping leads to, in words.
fn leads(mapping: &Mapping, id: u64) -> String {
    let out = if mapping.single {
        u64::from(mapping.output_base)
    } else {
        u64::from(mapping.output_base) + (id - u64::from(mapping.input_base))
    };
    match mapping.target {
        Some(Target::ItsGroup(_)) => format!(
            "to no SMMU, but to the ITS group at {:#x}",
            mapping.reference
        ),
        _ => format!(
            "to StreamID {out:#x} of the SMMU at {:#x}",
            mapping.reference
        ),
    }
}

/// The part of a mapping that requesters can use; with the single flag it is all.
fn reach(mapping: &Mapping) -> Mapping {
    let mut mapping = mapping.clone();
    if mapping.single {
        mapping.input_base = 0;
        mapping.ids = REQUESTER_LAST + 1;
    }
    mapping
}

/// The first id that two mappings take to different places.
fn conflict(one: &Mapping, other: &Mapping) -> Option<(u64, u64)> {
    let common = reach(one).common(&reach(other));
    common.filter(|(first, _)| *first <= REQUESTER_LAST && !one.agrees(other))
}

/// A requester has one StreamID, at one SMMU.
fn overlaps(root: &RootComplex, findings: &mut Findings<'_>) {
    let mappings = &root.head.mappings;
    for (number, mapping) in mappings.iter().enumerate() {
        if let Some(Note::LastIsFirstOf(other)) = mapping.note {
            findings.warning(
                root.head.offset,
                format!(
                    "mapping {number} of the root complex node overlaps mapping {other} by one id, {:#x}: its count is one too many, and that id belongs to mapping {other}",
                    mapping.input_last() + 1
                ),
                "nothing has to be done: firmware wrote how many ids there are where the last one's number is due",
            );
        }
        for (other_number, other) in mappings.iter().enumerate().skip(number + 1) {
            if let Some((first, last)) = conflict(mapping, other) {
                findings.error(
                    root.head.offset,
                    format!(
                        "mappings {number} and {other_number} of the root complex node overlap: requester ids {first:#x} to {:#x} of segment {} go to both, {first:#x} {} and {}",
                        last.min(REQUESTER_LAST),
                        root.segment,
                        leads(mapping, first),
                        leads(other, first)
                    ),
                    FIRMWARE,
                );
            }
        }
    }
}

/// A StreamID has one DeviceID; where it has two, none is known.
fn device_ids(
    mappings: &[Mapping],
    own: Option<usize>,
    offset: usize,
    findings: &mut Findings<'_>,
) {
    let ranges = || {
        let mappings = mappings.iter().enumerate();
        mappings.filter(|(number, mapping)| Some(*number) != own && !mapping.single)
    };
    for (number, mapping) in ranges() {
        for (other_number, other) in ranges().filter(|(other, _)| *other > number) {
            if let Some((first, _)) = mapping.common(other).filter(|_| !mapping.agrees(other)) {
                findings.warning(
                    offset,
                    format!("mappings {number} and {other_number} of the SMMUv3 node overlap: StreamID {first:#x} has two DeviceIDs"),
                    FIRMWARE,
                );
            }
        }
    }
}

/// Several nodes of one segment do not contradict each other.
fn segments(iort: &Iort, findings: &mut Findings<'_>) {
    let roots = &iort.root_complexes;
    for (number, root) in roots.iter().enumerate() {
        if root.segment > u32::from(u16::MAX) {
            findings.error(
                root.head.offset + 28,
                format!("segment {:#x} has more than 16 bits", root.segment),
                FIRMWARE,
            );
        }
        for other in roots.iter().skip(number + 1) {
            if other.segment != root.segment {
                continue;
            }
            let pairs = root.head.mappings.iter().flat_map(|mapping| {
                other
                    .head
                    .mappings
                    .iter()
                    .map(move |other| (mapping, other))
            });
            for (mapping, second) in pairs {
                if let Some((first, _)) = conflict(mapping, second) {
                    findings.error(
                        other.head.offset,
                        format!(
                            "segment {} is described twice, by the root complex nodes at {:#x} and {:#x}: requester id {first:#x} goes {} and {}",
                            root.segment,
                            root.head.offset,
                            other.head.offset,
                            leads(mapping, first),
                            leads(second, first)
                        ),
                        FIRMWARE,
                    );
                }
            }
        }
    }
}
