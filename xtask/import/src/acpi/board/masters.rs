//! Devices that are not on PCI, and memory that devices use from the start.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{NamedComponent, Path, Requester, ReservedRange, Way};
use super::{Reader, names, node, table};
use crate::board::{Direct, Master, Part, Range};

/// StreamIDs of one device that are listed; more are a range that firmware left open.
const STREAMS: u64 = 4096;
/// Bytes of a page, of which direct regions are made.
const PAGE: u64 = 4096;

impl Reader<'_> {
    /// Each named component with a StreamID at an SMMUv3.
    pub(super) fn masters(&mut self) {
        let iort = &self.tables.iort;
        let mut taken = BTreeSet::new();
        let mut untranslated = Vec::new();
        let mut without = Vec::new();
        let mut partly = Vec::new();
        for (index, component) in iort.named_components.iter().enumerate() {
            let requester = Requester::NamedComponent(index);
            let paths: Vec<&Path> = {
                let paths = iort.paths.iter();
                paths.filter(|path| path.requester == requester).collect()
            };
            let straight = |path: &&&Path| matches!(path.way, Way::Untranslated { .. });
            let beside = |path: &&&Path| !matches!(path.way, Way::Smmu { .. });
            match paths.iter().filter(beside).count() {
                0 if paths.is_empty() => without.push(component.path.clone()),
                0 => {}
                all if all == paths.len() => {
                    // Those behind another SMMU are named where that SMMU is.
                    if paths.iter().any(|path| straight(&path)) {
                        untranslated.push(component.path.clone());
                    }
                }
                // An SMMU that sees a part of a device's requests does not contain the device.
                _ => {
                    partly.push(component.path.clone());
                    continue;
                }
            }
            let streams = self.streams_of(component, &paths);
            if streams.is_empty() {
                continue;
            }
            let access = component.access;
            self.board.masters.push(Master {
                name: names::unique(names::of_path(&component.path), &mut taken),
                place: node(component.head.offset),
                kind: component.path.clone(),
                streams: streams.into_iter().collect(),
                coherent: access.coherent,
                range: None,
                direct: Vec::new(),
            });
        }
        for (names, problem) in [
            (untranslated, "go straight to an ITS, past every SMMU"),
            (
                without,
                "have no mapping: where their requests go is not known",
            ),
        ] {
            if !names.is_empty() {
                self.word(
                    &table("IORT"),
                    format!(
                        "{} named components {problem}: {}",
                        names.len(),
                        names.join(", ")
                    ),
                    "they are not shown: no SMMU contains them",
                );
            }
        }
    }

    /// StreamIDs at each SMMU.
    fn streams_of(
        &mut self,
        component: &NamedComponent,
        paths: &[&Path],
    ) -> BTreeMap<usize, Vec<u32>> {
        let mut found: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
        for path in paths {
            let Way::Smmu {
                smmu,
                streams: (first, last),
                ..
            } = path.way
            else {
                continue;
            };
            if last - first >= STREAMS {
                self.word(
                    &node(component.head.offset),
                    format!(
                        "{} has StreamIDs {first:#x} to {last:#x}, more than {STREAMS}",
                        component.path
                    ),
                    "they are not shown: declare those that the device uses by hand",
                );
                continue;
            }
            let ids = found.entry(smmu).or_default();
            for stream in first..=last {
                if let Ok(stream) = u32::try_from(stream)
                    && !ids.contains(&stream)
                {
                    ids.push(stream);
                }
            }
        }
        found.retain(|_, ids| !ids.is_empty());
        found
    }

    /// Memory of the RMR nodes, for each range of StreamIDs that uses it.
    pub(super) fn direct(&mut self) {
        let iort = &self.tables.iort;
        for (index, rmr) in iort.rmrs.iter().enumerate() {
            let place = node(rmr.head.offset);
            let ranges = whole_pages(&rmr.ranges);
            for path in &iort.paths {
                if path.requester != Requester::Rmr(index) {
                    continue;
                }
                let (smmu, first, last) = match path.way {
                    Way::Smmu { smmu, streams, .. } => (smmu, streams.0, streams.1),
                    Way::OldSmmu { streams, .. } => {
                        let problem = format!(
                            "the RMR node is for StreamIDs {:#x} to {:#x} of an SMMU that is not supported",
                            streams.0, streams.1
                        );
                        self.word(&place, problem, "no direct region comes of it");
                        continue;
                    }
                    Way::Untranslated { .. } => continue,
                };
                let (Ok(stream), Ok(len)) = (u32::try_from(first), u32::try_from(last - first + 1))
                else {
                    continue;
                };
                let name = self.board.smmus.get(smmu).map_or("", |smmu| &smmu.name);
                let shown = ranges.iter();
                let shown: Vec<String> = shown
                    .map(|range| format!("{:#x} to {:#x}", range.base, range.end() - 1))
                    .collect();
                let problem = format!(
                    "StreamIDs {first:#x} to {last:#x} of `{name}` use memory from the start: {}",
                    shown.join(", ")
                );
                self.word(
                    &place,
                    problem,
                    "it is `direct` of each device of this file that has one of them; a StreamID that no device has stays blocked",
                );
                for (number, range) in ranges.iter().enumerate() {
                    self.board.direct.push(Direct {
                        place: place.clone(),
                        smmu,
                        stream,
                        len,
                        part: Part {
                            name: match ranges.len() {
                                1 => format!("rmr{index}"),
                                _ => format!("rmr{index}-{number}"),
                            },
                            range: *range,
                        },
                    });
                }
            }
        }
    }
}

/// The ranges as whole pages, those that overlap or touch as one.
fn whole_pages(ranges: &[ReservedRange]) -> Vec<Range> {
    let mut pages: Vec<(u64, u64)> = ranges
        .iter()
        .map(|range| {
            let end = range.base.saturating_add(range.len);
            (
                range.base & !(PAGE - 1),
                end.div_ceil(PAGE).saturating_mul(PAGE),
            )
        })
        .collect();
    pages.sort_unstable();
    let mut whole: Vec<Range> = Vec::new();
    for (base, end) in pages {
        match whole.last_mut() {
            Some(last) if base < last.end() => last.len = last.end().max(end) - last.base,
            _ => whole.push(Range {
                base,
                len: end - base,
            }),
        }
    }
    whole
}
