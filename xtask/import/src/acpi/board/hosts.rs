//! PCI segments: configuration space, and where requests and messages go.

use std::collections::BTreeSet;

use super::super::{Ecam, Path, Requester, RootComplex, Way};
use super::{Reader, names, node, table};
use crate::board::{Host, MessageRow, Place, Range, StreamRow};

/// Requester ids of a segment.
const REQUESTERS: u64 = 1 << 16;
/// All bits of one.
const ALL: u16 = u16::MAX;

/// Where the requests of a segment go.
#[derive(Default)]
struct Streams {
    rows: Vec<StreamRow>,
    mask: Option<u16>,
    messages: Vec<MessageRow>,
    /// Ids that pass no SMMU.
    untranslated: Vec<(u64, u64)>,
    /// Ids that a mapping leads anywhere.
    known: Vec<(u64, u64)>,
}

impl Reader<'_> {
    pub(super) fn hosts(&mut self) {
        let tables = self.tables;
        let mut segments: Vec<u16> = Vec::new();
        let stated = tables.iort.root_complexes.iter();
        let stated = stated.filter_map(|root| u16::try_from(root.segment).ok());
        for segment in tables.ecam.iter().map(|ecam| ecam.segment).chain(stated) {
            if !segments.contains(&segment) {
                segments.push(segment);
            }
        }
        segments.sort_unstable();
        for segment in segments {
            self.segment(segment);
        }
    }

    fn segment(&mut self, segment: u16) {
        let tables = self.tables;
        let roots = tables.iort.root_complexes.iter().enumerate();
        let roots: Vec<(usize, &RootComplex)> = roots
            .filter(|(_, root)| root.segment == u32::from(segment))
            .collect();
        let place = match roots.first() {
            Some((_, root)) => node(root.head.offset),
            None => table("MCFG"),
        };
        let streams = self.streams(segment, &roots, &place);
        let coherent = !roots.is_empty() && roots.iter().all(|(_, root)| root.access.coherent);
        let ecam: Vec<Option<&Ecam>> = {
            let found = tables.ecam.iter().filter(|ecam| ecam.segment == segment);
            let found: Vec<Option<&Ecam>> = found.map(Some).collect();
            if found.is_empty() { vec![None] } else { found }
        };
        for ecam in ecam {
            let configuration = match ecam {
                Some(ecam) => Ok(Range {
                    base: ecam.start(),
                    len: ecam.size(),
                }),
                None => Err(format!(
                    "no table has the configuration space of segment {segment}"
                )),
            };
            if let Err(why) = &configuration {
                let remedy =
                    "the MCFG has no entry of it; firmware may say it in the DSDT (`_CBA`)";
                self.word(&place, why.clone(), remedy);
            }
            let host = Host {
                name: names::numbered("pci", self.board.hosts.len()),
                place: place.clone(),
                segment,
                buses: ecam.map_or([0, u8::MAX], |ecam| [ecam.bus_first, ecam.bus_last]),
                configuration,
                apertures: Vec::new(),
                streams: streams.rows.clone(),
                stream_mask: streams.mask.unwrap_or(ALL),
                messages: streams.messages.clone(),
                lines: Vec::new(),
                coherent,
            };
            self.board.hosts.push(host);
        }
    }

    /// The rows of all nodes of a segment, with a word for what they do not lead to an SMMUv3.
    fn streams(&mut self, segment: u16, roots: &[(usize, &RootComplex)], place: &Place) -> Streams {
        const UNSEEN: &str = "they are shown without a StreamID: an owned device there is an error";
        let mut streams = Streams::default();
        if roots.is_empty() {
            let problem = format!(
                "the MCFG has segment {segment}, and the IORT has no root complex node of it: where its requests go is not known"
            );
            self.word(place, problem, UNSEEN);
            return streams;
        }
        for path in &self.tables.iort.paths {
            if roots
                .iter()
                .any(|(index, _)| path.requester == Requester::RootComplex(*index))
            {
                self.add(path, &mut streams);
            }
        }
        streams.rows = apart(&streams.rows);
        if !streams.untranslated.is_empty() {
            let ids = shown(&streams.untranslated);
            let problem = format!(
                "requester ids {ids} of segment {segment} go straight to an ITS, past every SMMU: untranslated, or no device is there"
            );
            self.word(place, problem, UNSEEN);
        }
        let unknown = gaps(&streams.known);
        if !unknown.is_empty() {
            let problem = format!(
                "no mapping says where requester ids {} of segment {segment} go: neither behind an SMMU nor known to pass none",
                shown(&unknown)
            );
            self.word(place, problem, UNSEEN);
        }
        streams
    }

    /// The ids of one mapping that a function can have.
    fn add(&self, path: &Path, streams: &mut Streams) {
        let (first, last) = path.ids.unwrap_or((0, REQUESTERS - 1));
        if first >= REQUESTERS {
            return;
        }
        let ids = (first, last.min(REQUESTERS - 1));
        streams.known.push(ids);
        match &path.way {
            Way::Untranslated { group, devices } => {
                streams.untranslated.push(ids);
                if path.ids.is_some() {
                    let row = (first, ids.1 - first + 1, devices.0);
                    streams.messages.extend(self.message(row, *group));
                }
            }
            Way::OldSmmu { .. } => {}
            Way::Smmu {
                smmu,
                streams: (stream, _),
                messages,
            } => {
                let row = |requester, len| {
                    Some(StreamRow {
                        requester,
                        len: u32::try_from(len).ok()?,
                        smmu: *smmu,
                        stream: u32::try_from(*stream).ok()?,
                    })
                };
                if path.ids.is_some() {
                    let requester = u32::try_from(first).unwrap_or(u32::MAX);
                    streams.rows.extend(row(requester, ids.1 - first + 1));
                    for part in messages {
                        let skipped = part.streams.0 - stream;
                        let fits = (ids.1 - first + 1).saturating_sub(skipped);
                        let len = fits.min(part.streams.1 - part.streams.0 + 1);
                        if len > 0 {
                            let row = (first + skipped, len, part.device);
                            streams.messages.extend(self.message(row, part.group));
                        }
                    }
                } else {
                    // One StreamID for every function: the rows look at one bit, and both of its values are it.
                    streams.mask = Some(1);
                    streams
                        .rows
                        .extend([0, 1].map(|bit| row(bit, 1)).into_iter().flatten());
                }
            }
        }
    }

    fn message(
        &self,
        (requester, len, device): (u64, u64, u64),
        group: usize,
    ) -> Option<MessageRow> {
        let group = self.tables.iort.its_groups.get(group)?;
        let ids: Vec<String> = group.ids.iter().map(ToString::to_string).collect();
        Some(MessageRow {
            requester: u32::try_from(requester).ok()?,
            len: u32::try_from(len).ok()?,
            service: Place(format!("ITS {}", ids.join(", "))),
            device: u32::try_from(device).ok()?,
        })
    }
}

/// The rows in order, each id once: those that share ids agree on them, or the table would be refused.
fn apart(rows: &[StreamRow]) -> Vec<StreamRow> {
    let mut sorted = rows.to_vec();
    sorted.sort_by_key(|row| row.requester);
    let mut next = 0;
    let mut found = Vec::new();
    for row in sorted {
        let first = row.requester.max(next);
        let end = row.requester + row.len;
        if first < end {
            found.push(StreamRow {
                requester: first,
                len: end - first,
                stream: row.stream + (first - row.requester),
                ..row
            });
            next = end;
        }
    }
    found
}

/// Ranges of ids in words.
fn shown(ranges: &[(u64, u64)]) -> String {
    let ordered: BTreeSet<(u64, u64)> = ranges.iter().copied().collect();
    let ranges = ordered.iter().map(|(first, last)| match first == last {
        true => format!("{first:#x}"),
        false => format!("{first:#x} to {last:#x}"),
    });
    ranges.collect::<Vec<String>>().join(", ")
}

/// The requester ids in none of the ranges.
fn gaps(known: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let ordered: BTreeSet<(u64, u64)> = known.iter().copied().collect();
    let mut found = Vec::new();
    let mut next = 0;
    for (first, last) in ordered {
        if first > next {
            found.push((next, first - 1));
        }
        next = next.max(last + 1);
    }
    if next < REQUESTERS {
        found.push((next, REQUESTERS - 1));
    }
    found
}
