//! `iommu-map` and `msi-map` of a PCI host (bindings `pci-iommu`, `pci-msi`).

use super::Reader;
use super::node::NodeIndex;
use crate::board::{MessageRow, Place, StreamRow};

/// Requester ids of a segment.
const REQUESTERS: u32 = 1 << 16;

/// A row of either map.
struct Row {
    requester: u32,
    phandle: u32,
    output: u32,
    len: u32,
}

impl Reader<'_> {
    /// Rows and mask of a host's `iommu-map`. A row that leads to no SMMUv3 is left out with a word.
    pub(super) fn streams(&mut self, host: NodeIndex) -> (Vec<StreamRow>, u16) {
        const UNSEEN: &str =
            "these requests are shown without a StreamID: an owned device there is an error";
        if !self.tree.has(host, "iommu-map") {
            let problem = "the host has no `iommu-map`: the tree leads its requests to no SMMU";
            self.word(host, problem, UNSEEN);
            return (Vec::new(), u16::MAX);
        }
        let Some((rows, mask)) = self.map(host, "iommu-map", "#iommu-cells") else {
            return (Vec::new(), u16::MAX);
        };
        let mut found: Vec<StreamRow> = Vec::new();
        for row in rows {
            let ids = shown(row.requester, row.len);
            let Some(target) = self.tree.of_phandle(row.phandle) else {
                let problem = format!(
                    "the `iommu-map` leads requester ids {ids} to phandle {:#x}, which no node has",
                    row.phandle
                );
                self.word(host, problem, UNSEEN);
                continue;
            };
            match self.unit(target) {
                Ok(smmu) => add(
                    &mut found,
                    StreamRow {
                        requester: row.requester,
                        len: row.len,
                        smmu,
                        stream: row.output,
                    },
                ),
                Err(why) => {
                    let problem = format!("the `iommu-map` leads requester ids {ids} to {why}");
                    self.word(host, problem, UNSEEN);
                }
            }
        }
        if mask == 0 {
            return (one_stream(&found), 1);
        }
        (found, mask)
    }

    /// The board's SMMUv3 at a node, or what is there instead.
    pub(super) fn unit(&self, node: NodeIndex) -> Result<usize, String> {
        let path = self.tree.path(node);
        if let Some(by) = self.tree.disabled_by(node) {
            let status = self.tree.string(by, "status").unwrap_or_default();
            return Err(format!("{path}, which is not there (status `{status}`)"));
        }
        let unit = self.units.get(&node).copied();
        let smmu = unit.and_then(|unit| self.board.smmus.get(unit));
        match (unit, smmu) {
            (Some(unit), Some(smmu)) if smmu.is_v3() => Ok(unit),
            _ => Err(format!(
                "{path}, a `{}`, another architecture than SMMUv3, which is not supported",
                self.tree.kinds(node)
            )),
        }
    }

    /// Rows of a host's `msi-map`; without one, those of its `msi-parent`.
    pub(super) fn messages(&mut self, host: NodeIndex) -> Vec<MessageRow> {
        if let Some((rows, _)) = self.map(host, "msi-map", "#msi-cells") {
            let service = |phandle| match self.tree.of_phandle(phandle) {
                Some(node) => self.tree.place(node),
                None => Place(format!("phandle {phandle:#x}")),
            };
            let rows = rows.into_iter().map(|row| MessageRow {
                requester: row.requester,
                len: row.len,
                service: service(row.phandle),
                device: row.output,
            });
            return rows.collect();
        }
        let parent = self.tree.cell(host, "msi-parent");
        let parent = parent.and_then(|phandle| self.tree.of_phandle(phandle));
        let row = parent.map(|node| MessageRow {
            requester: 0,
            len: REQUESTERS,
            service: self.tree.place(node),
            device: 0,
        });
        row.into_iter().collect()
    }

    /// Rows with a length, and the mask; nothing if the property is not there or Linux takes none of it.
    fn map(&mut self, host: NodeIndex, name: &str, cells_name: &str) -> Option<(Vec<Row>, u16)> {
        let tree = self.tree;
        let cells = tree.cells(host, name)?;
        let mask = tree.cell(host, &format!("{name}-mask")).unwrap_or(u32::MAX);
        let mut rows = Vec::new();
        let (mut rest, mut broken) = (cells.as_slice(), false);
        while let Some((&[requester, phandle], after)) = rest.split_first_chunk() {
            let target = tree.of_phandle(phandle);
            let count = target
                .and_then(|node| tree.cell(node, cells_name))
                .unwrap_or(1) as usize;
            // Trees from before Linux counted the cells have one, whatever the target says.
            let count = if cells.len().is_multiple_of(4) && count > 1 {
                1
            } else {
                count
            };
            let split = after.split_at_checked(count).filter(|_| count <= 2);
            let Some((output, Some((&len, after)))) = split.map(|(o, a)| (o, a.split_first()))
            else {
                broken = true;
                break;
            };
            rest = after;
            let output = output.first().copied().unwrap_or(requester);
            if requester & !mask != 0 {
                let problem = format!(
                    "the `{name}-mask` {mask:#x} hides bits of requester id {requester:#x} of the `{name}`: Linux takes no row of it"
                );
                self.word(host, problem, "correct the mask or the row");
                return Some((Vec::new(), u16::MAX));
            }
            let fits = len.min(REQUESTERS.saturating_sub(requester));
            if fits == 0 {
                let problem = format!(
                    "a row of the `{name}` has no requester id (from {requester:#x}, {len:#x} of them)"
                );
                self.word(host, problem, "the row is left out");
                continue;
            }
            if output.checked_add(fits - 1).is_none() {
                let problem =
                    format!("a row of the `{name}` ends beyond 32 bits (from {output:#x})");
                self.word(host, problem, "the row is left out");
                continue;
            }
            rows.push(Row {
                requester,
                phandle,
                output,
                len: fits,
            });
        }
        if broken || !rest.is_empty() {
            let problem = format!("the `{name}` ends within a row");
            self.word(
                host,
                problem,
                "the rows before are taken, as Linux takes them",
            );
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a requester id has 16 bits"
        )]
        let mask = mask as u16;
        Some((rows, mask))
    }
}

fn shown(requester: u32, len: u32) -> String {
    format!("{requester:#x} to {:#x}", requester + (len - 1))
}

/// The rows of a map that looks at no bit of a requester id: both values of one bit are one StreamID.
fn one_stream(rows: &[StreamRow]) -> Vec<StreamRow> {
    let row = rows.iter().find(|row| row.requester == 0);
    let both = row.into_iter().flat_map(|row| [(0, *row), (1, *row)]);
    both.map(|(requester, row)| StreamRow {
        requester,
        len: 1,
        ..row
    })
    .collect()
}

/// Adds the part of a row that no row before has: the first one counts.
fn add(rows: &mut Vec<StreamRow>, row: StreamRow) {
    let mut first = row.requester;
    let end = row.requester + row.len;
    while first < end {
        let within = |r: &&StreamRow| (r.requester..r.requester + r.len).contains(&first);
        if let Some(before) = rows.iter().find(within) {
            first = before.requester + before.len;
            continue;
        }
        let later = rows
            .iter()
            .map(|r| r.requester)
            .filter(|start| *start > first)
            .min();
        let until = later.map_or(end, |start| start.min(end));
        rows.push(StreamRow {
            requester: first,
            len: until - first,
            smmu: row.smmu,
            stream: row.stream + (first - row.requester),
        });
        first = until;
    }
}
