//! Devices outside PCI (bindings `iommu`, `reserved-memory`).

use std::collections::{BTreeMap, BTreeSet};

use super::Reader;
use super::address::number;
use super::host::is_function;
use super::interrupt::plain;
use super::node::{NodeIndex, ROOT};
use crate::board::{Master, Part, Range};

/// Letters that a name can have.
const NAME: usize = 24;

impl Reader<'_> {
    /// Each enabled node whose `iommus` name an SMMUv3.
    pub(super) fn masters(&mut self) {
        let tree = self.tree;
        let mut names = BTreeSet::new();
        // One word for each unit that cannot be used, whoever names it.
        let mut lost: BTreeMap<(NodeIndex, String), Vec<String>> = BTreeMap::new();
        for node in tree.nodes() {
            if !tree.has(node, "iommus") || !tree.is_there(node) {
                if tree.has(node, "iommu-map")
                    && tree.is_there(node)
                    && !super::host::is_host(tree, node)
                    && !is_function(tree, node)
                {
                    let problem = "it has an `iommu-map` and is no PCI host: the StreamIDs of what is behind it are not known";
                    self.word(
                        node,
                        problem,
                        "declare its devices with their `streams` by hand",
                    );
                }
                continue;
            }
            // Linux leads functions by the map of their host.
            if is_function(tree, node) {
                self.word(
                    node,
                    "its `iommus` is not looked at: a PCI function goes by the map of its host",
                    "remove it",
                );
                continue;
            }
            let mut streams: BTreeMap<usize, Vec<u32>> = BTreeMap::new();
            for (target, stream) in self.iommus(node) {
                match self.unit(target) {
                    Ok(unit) => {
                        let ids = streams.entry(unit).or_default();
                        if !ids.contains(&stream) {
                            ids.push(stream);
                        }
                    }
                    Err(why) => lost.entry((target, why)).or_default().push(tree.path(node)),
                }
            }
            if streams.is_empty() {
                continue;
            }
            let direct = self.direct(node);
            self.board.masters.push(Master {
                name: unique(&short(tree.name(node)), &mut names),
                place: tree.place(node),
                kind: tree.kind(node),
                streams: streams.into_iter().collect(),
                coherent: tree.is_coherent(node),
                range: tree.first_region(node).ok(),
                direct,
            });
        }
        for ((target, why), from) in lost {
            let problem = format!(
                "the requests of {} devices lead to {why}: {}",
                from.len(),
                from.join(", ")
            );
            self.word(target, problem, "they are shown without a StreamID");
        }
    }

    /// Targets and StreamIDs.
    fn iommus(&mut self, node: NodeIndex) -> Vec<(NodeIndex, u32)> {
        let tree = self.tree;
        let cells = tree.cells(node, "iommus").unwrap_or_default();
        let mut rest = cells.as_slice();
        let mut found = Vec::new();
        while let Some((phandle, after)) = rest.split_first() {
            let target = tree.of_phandle(*phandle);
            let count = target.and_then(|target| tree.cell(target, "#iommu-cells"));
            let split = count.and_then(|count| after.split_at_checked(count as usize));
            let (Some(target), Some((specifier, after))) = (target, split) else {
                let problem = format!(
                    "its `iommus` names phandle {phandle:#x}, which is no IOMMU, or ends early"
                );
                self.word(node, problem, "what follows is left out");
                return found;
            };
            rest = after;
            // A unit without cells has one stream for all.
            found.push((target, specifier.first().copied().unwrap_or(0)));
        }
        found
    }

    /// Memory that the device uses from the start (`memory-region` with `iommu-addresses`).
    fn direct(&mut self, node: NodeIndex) -> Vec<Part> {
        let tree = self.tree;
        let mut found = Vec::new();
        let own = tree.cell(node, "phandle");
        for phandle in tree.cells(node, "memory-region").unwrap_or_default() {
            let Some(region) = tree
                .of_phandle(phandle)
                .filter(|region| tree.is_there(*region))
            else {
                continue;
            };
            let memory = tree.first_region(region);
            let ranges = self.device_addresses(region);
            for (_, range) in ranges
                .into_iter()
                .filter(|(phandle, _)| Some(*phandle) == own)
            {
                match &memory {
                    Ok(memory) if *memory == range => found.push(Part {
                        name: short(tree.base_name(region)),
                        range,
                    }),
                    Ok(memory) => {
                        let problem = format!(
                            "{} uses it at {:#x}, where the processor has it at {:#x}: a direct region is at the same address",
                            tree.path(node),
                            range.base,
                            memory.base
                        );
                        self.word(region, problem, "stop the device before the image starts");
                    }
                    Err(_) => {
                        let problem = format!(
                            "{} must not be given the addresses {:#x} to {:#x}",
                            tree.path(node),
                            range.base,
                            range.end().saturating_sub(1)
                        );
                        self.word(
                            region,
                            problem,
                            "choose its `window-base` so that its window keeps clear of them",
                        );
                    }
                }
            }
        }
        found
    }

    /// `iommu-addresses`: phandle of the device, and a range in the cells of the bus that the device is on.
    fn device_addresses(&self, region: NodeIndex) -> Vec<(u32, Range)> {
        let tree = self.tree;
        let cells = tree.cells(region, "iommu-addresses").unwrap_or_default();
        let mut rest = cells.as_slice();
        let mut found = Vec::new();
        while let Some((phandle, after)) = rest.split_first() {
            let Some(device) = tree.of_phandle(*phandle) else {
                break;
            };
            let bus = tree.parent(device).unwrap_or(ROOT);
            let at = after.split_at_checked(tree.address_cells(bus));
            let len = at.and_then(|(_, rest)| rest.split_at_checked(tree.size_cells(bus)));
            let (Some((base, _)), Some((len, after))) = (at, len) else {
                break;
            };
            rest = after;
            if let (Some(base), Some(len)) = (number(base), number(len)) {
                found.push((*phandle, Range { base, len }));
            }
        }
        found
    }
}

/// A name of a node as a name in a description.
pub fn short(name: &str) -> String {
    let name = plain(name);
    let name = name.trim_start_matches('-');
    name.get(..NAME)
        .unwrap_or(name)
        .trim_end_matches('-')
        .to_owned()
}

/// The name, or one like it that nobody has.
pub fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let mut own = name.to_owned();
    let mut number = 1;
    while own.is_empty() || taken.contains(&own.to_ascii_lowercase()) {
        number += 1;
        let end = format!("-{number}");
        let room = name.len().min(NAME - end.len());
        own = format!("{}{end}", name.get(..room).unwrap_or("device"));
        if name.is_empty() {
            own = format!("device{end}");
        }
    }
    taken.insert(own.to_ascii_lowercase());
    own
}
