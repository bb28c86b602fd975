//! PCI host bridges (bindings `pci-bus`, `host-generic-pci`, `snps,dw-pcie`).

use std::collections::BTreeSet;

use super::Reader;
use super::address::{number, row};
use super::node::{NodeIndex, Tree};
use crate::board::{Aperture, ApertureKind, Host, Line, Range};

/// Hosts whose configuration space is that of the PCI Express specification (ECAM).
const ECAM: [&str; 7] = [
    "pci-host-ecam-generic",
    "snps,dw-pcie-ecam",
    "marvell,armada8k-pcie-ecam",
    "socionext,synquacer-pcie-ecam",
    "hisilicon,hip06-pcie-ecam",
    "hisilicon,hip07-pcie-ecam",
    "qcom,pcie-sa8255p",
];
/// Names of a region that is or reaches configuration space, best first.
const CONFIGURATION: [&str; 3] = ["ecam", "config", "cfg"];
/// Bytes of configuration space of one bus.
const BUS: u64 = 1 << 20;

/// `name`, `name1`, `name2` and so on.
pub fn numbered(name: &str, number: usize) -> String {
    match number {
        0 => name.to_owned(),
        number => format!("{name}{number}"),
    }
}

impl Reader<'_> {
    /// The hosts in the order of the tree.
    pub(super) fn hosts(&mut self) {
        let tree = self.tree;
        let nodes = tree
            .nodes()
            .filter(|node| is_host(tree, *node) && tree.is_there(*node));
        let nodes: Vec<NodeIndex> = nodes.collect();
        let stated: BTreeSet<u32> = nodes
            .iter()
            .filter_map(|node| tree.cell(*node, "linux,pci-domain"))
            .collect();
        let mut next = 0;
        for node in &nodes {
            let segment = tree.cell(*node, "linux,pci-domain").unwrap_or_else(|| {
                while stated.contains(&next) {
                    next += 1;
                }
                next += 1;
                next - 1
            });
            if !tree.has(*node, "linux,pci-domain") && nodes.len() > 1 {
                let problem = format!(
                    "the host has no `linux,pci-domain`: {segment} is what Linux gives it if all hosts start in the order of the tree"
                );
                self.word(*node, problem, "compare with `lspci -D`");
            }
            match u16::try_from(segment) {
                Ok(segment) => self.host(*node, segment),
                Err(_) => self.error(
                    *node,
                    format!("its `linux,pci-domain` is {segment:#x}, and a segment has 16 bits"),
                    "correct it",
                ),
            }
        }
        self.distinct_buses();
    }

    fn host(&mut self, node: NodeIndex, segment: u16) {
        let tree = self.tree;
        let buses = match tree.cells(node, "bus-range").as_deref() {
            Some(&[first, last]) if first <= last && last <= 0xff => [first as u8, last as u8],
            None => [0, u8::MAX],
            Some(other) => {
                let problem = format!("its `bus-range` is {other:x?}, and buses are 0 to 0xff");
                self.word(
                    node,
                    problem,
                    "all buses are taken for its own, as Linux does",
                );
                [0, u8::MAX]
            }
        };
        let configuration = self.configuration(node, buses);
        if let Err(why) = &configuration {
            let remedy = "no `pci-host` is written for it; a driver of this host is needed first";
            self.word(node, why.clone(), remedy);
        }
        let apertures = self.apertures(node);
        let (streams, stream_mask) = self.streams(node);
        let messages = self.messages(node);
        let mut lines = Vec::new();
        for slot in 0..32 {
            for pin in 1..=4 {
                if let Some(intid) = tree.line(node, slot, pin) {
                    lines.push(Line { slot, pin, intid });
                }
            }
        }
        self.board.hosts.push(Host {
            name: numbered("pci", self.board.hosts.len()),
            place: tree.place(node),
            segment,
            buses,
            configuration,
            apertures,
            streams,
            stream_mask,
            messages,
            lines,
            coherent: tree.is_coherent(node),
        });
    }

    /// The configuration space, if it is one that the PCI task can use.
    fn configuration(&self, node: NodeIndex, buses: [u8; 2]) -> Result<Range, String> {
        let tree = self.tree;
        let named = CONFIGURATION
            .iter()
            .find_map(|name| Some((*name, tree.region_named(node, name)?)));
        let kind = tree.kind(node);
        let ecam = ECAM.iter().any(|known| tree.is_compatible(node, known));
        let range = match named {
            Some(("ecam", range)) => range,
            Some((_, range)) if ecam => range,
            Some((name, Ok(range))) => {
                return Err(format!(
                    "`{kind}` is no `pci-host-ecam-generic`: its region `{name}`, {:#x} bytes at {:#x}, is no use without the controller's own registers",
                    range.len, range.base
                ));
            }
            Some((_, Err(why))) => Err(why),
            None if ecam => tree.first_region(node),
            None => {
                return Err(format!(
                    "`{kind}` is no `pci-host-ecam-generic`: how its configuration space is reached is not known"
                ));
            }
        };
        let range =
            range.map_err(|why| format!("its configuration space cannot be found: {why}"))?;
        let wanted = (u64::from(buses[1] - buses[0]) + 1) * BUS;
        if !range.base.is_multiple_of(BUS) || range.len < BUS {
            return Err(format!(
                "its configuration space, {:#x} bytes at {:#x}, is not whole buses of 1 MiB",
                range.len, range.base
            ));
        }
        Ok(Range {
            len: range.len.min(wanted),
            ..range
        })
    }

    /// The rows of `ranges`: three cells of PCI address, those of the bus above, two of length.
    fn apertures(&mut self, node: NodeIndex) -> Vec<Aperture> {
        let tree = self.tree;
        let above = tree.parent(node).unwrap_or_default();
        let parent = tree.address_cells(above);
        let cells = tree.cells(node, "ranges").unwrap_or_default();
        if cells.is_empty() {
            self.word(
                node,
                "the host has no `ranges`: what it passes on is not known",
                "write `platform.pci` by hand",
            );
        }
        let mut found = Vec::new();
        let Some(row) = row(&[3, parent, 2]) else {
            return found;
        };
        for row in cells.chunks_exact(row) {
            let (Some((&[space, high, low], rest)), true) =
                (row.split_first_chunk(), row.len() > 3)
            else {
                continue;
            };
            let Some((at, len)) = rest.split_at_checked(parent) else {
                continue;
            };
            let (Some(at), Some(len), Some(bus)) = (number(at), number(len), number(&[high, low]))
            else {
                continue;
            };
            let kind = match space >> 24 & 3 {
                1 => ApertureKind::Io,
                2 => ApertureKind::Narrow,
                3 => ApertureKind::Wide,
                _ => continue,
            };
            if len == 0 {
                continue;
            }
            match tree.translate(above, Range { base: at, len }) {
                Ok(Range { base, .. }) => found.push(Aperture {
                    kind,
                    bus,
                    processor: base,
                    len,
                }),
                Err(why) => self.word(
                    node,
                    format!("its aperture at {at:#x} cannot be found: {why}"),
                    "it is left out",
                ),
            }
        }
        found
    }

    /// Two hosts of one segment have no bus in common.
    fn distinct_buses(&mut self) {
        let hosts = &self.board.hosts;
        let mut clashes = Vec::new();
        for (index, one) in hosts.iter().enumerate() {
            for other in hosts.iter().skip(index + 1) {
                let common = one.buses[0] <= other.buses[1] && other.buses[0] <= one.buses[1];
                if one.segment == other.segment && common {
                    clashes.push((one.place.clone(), other.place.clone(), one.segment));
                }
            }
        }
        for (one, other, segment) in clashes {
            let problem =
                format!("it and {one} are both segment {segment} and have buses in common");
            let remedy = "correct `linux,pci-domain` or `bus-range` of one of them";
            self.errors
                .push(crate::board::Word::new(&other, problem, remedy));
        }
    }
}

/// Whether a node is of a PCI bus: a host, or a bridge below one.
fn is_pci(tree: &Tree<'_>, node: NodeIndex) -> bool {
    match tree.string(node, "device_type") {
        Some(kind) => matches!(kind, "pci" | "pciex"),
        None => tree.base_name(node) == "pcie" && tree.has(node, "ranges"),
    }
}

/// Whether a node is a host bridge: what is below a host or a bridge is a function.
pub fn is_host(tree: &Tree<'_>, node: NodeIndex) -> bool {
    is_pci(tree, node) && !is_function(tree, node)
}

/// Whether a node is below a PCI host.
pub fn is_function(tree: &Tree<'_>, node: NodeIndex) -> bool {
    tree.upwards(node).skip(1).any(|above| is_pci(tree, above))
}
