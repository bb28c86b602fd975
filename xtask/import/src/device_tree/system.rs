//! Console, interrupt controller, firmware and cores.

use super::Reader;
use super::address::number;
use super::interrupt::{plain, sorted};
use super::node::NodeIndex;
use crate::board::{Conduit, Core, Gic, Registers, Uart};

/// UARTs that have the registers of a 16550, at a distance and of a width that the tree states.
const UARTS_16550: [&str; 4] = ["ns16550", "ns16550a", "ns16850", "snps,dw-apb-uart"];

impl Reader<'_> {
    pub(super) fn system(&mut self) {
        self.console();
        self.interrupt_controller();
        self.firmware();
        self.cores();
    }

    /// The UART of `stdout-path`.
    fn console(&mut self) {
        let tree = self.tree;
        let Some(chosen) = tree.at("/chosen") else {
            return;
        };
        let path = tree
            .string(chosen, "stdout-path")
            .or_else(|| tree.string(chosen, "linux,stdout-path"));
        let Some(path) = path.and_then(|path| path.split(':').next()) else {
            return;
        };
        let aliases = tree.at("/aliases");
        let (first, rest) = path.split_once('/').unwrap_or((path, ""));
        let named = aliases.and_then(|aliases| tree.string(aliases, first));
        let node = match named.filter(|_| !path.starts_with('/')) {
            Some(alias) if rest.is_empty() => tree.at(alias),
            Some(alias) => tree.at(&format!("{alias}/{rest}")),
            None => tree.at(path),
        };
        let Some(node) = node.filter(|node| tree.is_there(*node)) else {
            self.word(
                chosen,
                format!("its `stdout-path` names `{path}`, which is not there"),
                "declare the console by hand",
            );
            return;
        };
        let range = match tree.first_region(node) {
            Ok(range) if range.len > 0 => range,
            other => {
                let why = other.err().unwrap_or_else(|| "it has no registers".into());
                self.word(
                    node,
                    format!("this console cannot be found: {why}"),
                    "declare the console by hand",
                );
                return;
            }
        };
        let (mut interrupts, unknown) = sorted(tree.interrupts(node));
        for interrupt in &mut interrupts {
            interrupt.name = plain(&interrupt.name);
        }
        for (name, why) in unknown {
            self.word(
                node,
                format!("its interrupt `{name}` is not known: {why}"),
                "its number is left out",
            );
        }
        let kind = tree.kind(node);
        self.board.uart = self.uart(node);
        if self.board.uart == Uart::Other {
            self.word(
                node,
                format!("the console is a `{kind}`, and only a PL011 and what has the registers of a 16550 are driven"),
                "no `console` is written, and without one no image is built",
            );
        }
        self.board.console = Some(Registers {
            name: "uart".into(),
            place: tree.place(node),
            kind,
            range,
            interrupts,
        });
    }

    /// The kind of a UART, with the distance and the width of its registers (`serial/8250.yaml`,
    /// `serial/snps-dw-apb-uart.yaml` of the kernel's bindings).
    fn uart(&self, node: NodeIndex) -> Uart {
        let tree = self.tree;
        let is = |names: &[&str]| names.iter().any(|name| tree.is_compatible(node, name));
        if is(&["arm,pl011", "arm,sbsa-uart"]) {
            return Uart::Pl011;
        }
        let shift = tree.cell(node, "reg-shift").unwrap_or(0);
        let width = tree.cell(node, "reg-io-width").unwrap_or(1);
        if !is(&UARTS_16550) || shift > 3 || !matches!(width, 1 | 4) {
            return Uart::Other;
        }
        Uart::Uart16550 { shift, width }
    }

    fn interrupt_controller(&mut self) {
        let tree = self.tree;
        let gic = tree
            .nodes()
            .find(|node| tree.is_compatible(*node, "arm,gic-v3") && tree.is_there(*node));
        let Some(gic) = gic else {
            let other = tree
                .nodes()
                .find(|node| tree.is_gic(*node) && tree.is_there(*node));
            if let Some(other) = other {
                let problem = format!(
                    "the interrupt controller is a `{}`, and the kernel drives a GICv3",
                    tree.kind(other)
                );
                self.word(
                    other,
                    problem,
                    "a system can be planned, and no image runs on this board",
                );
            }
            return;
        };
        let count = tree.cell(gic, "#redistributor-regions").unwrap_or(1) as usize;
        if let Some(stride) = tree
            .cells(gic, "redistributor-stride")
            .as_deref()
            .and_then(number)
            && stride != 0x2_0000
        {
            let problem = format!(
                "its redistributors are {stride:#x} bytes apart, and the kernel expects 0x20000"
            );
            self.word(gic, problem, "no image runs on this board");
        }
        let regions: Result<Vec<_>, _> = tree
            .regions(gic)
            .into_iter()
            .take(count.saturating_add(1))
            .collect();
        let (distributor, redistributors) = match regions
            .as_ref()
            .map(|regions| regions.split_first())
        {
            Ok(Some((distributor, rest))) if !rest.is_empty() => (distributor.base, rest.to_vec()),
            Ok(_) => {
                self.word(
                    gic,
                    "its `reg` does not have distributor and redistributors",
                    "declare `platform.gic` by hand",
                );
                return;
            }
            Err(why) => {
                self.word(
                    gic,
                    format!("it cannot be found: {why}"),
                    "declare `platform.gic` by hand",
                );
                return;
            }
        };
        let services = tree
            .nodes()
            .filter(|node| tree.is_compatible(*node, "arm,gic-v3-its") && tree.is_there(*node));
        let services = services.filter_map(|node| tree.first_region(node).ok());
        self.board.gic = Some(Gic {
            place: tree.place(gic),
            distributor,
            redistributors,
            services: services.map(|range| range.base).collect(),
        });
    }

    /// Binding `arm,psci`.
    fn firmware(&mut self) {
        let tree = self.tree;
        let is_psci = |node: &NodeIndex| {
            let kinds = tree.strings(*node, "compatible");
            kinds
                .iter()
                .any(|kind| matches!(*kind, "arm,psci" | "arm,psci-0.2" | "arm,psci-1.0"))
        };
        let psci = tree
            .nodes()
            .find(|node| is_psci(node) && tree.is_there(*node));
        self.board.conduit = match psci.and_then(|node| tree.string(node, "method")) {
            Some("smc") => Some(Conduit::Smc),
            Some("hvc") => Some(Conduit::Hvc),
            _ => None,
        };
    }

    fn cores(&mut self) {
        let tree = self.tree;
        let Some(cpus) = tree.at("/cpus") else {
            return;
        };
        for node in tree.children(cpus).filter(|node| tree.is_there(*node)) {
            if tree.string(node, "device_type") != Some("cpu") {
                continue;
            }
            let first = tree.raw_regions(node, "reg").into_iter().next();
            // No size: the row is the affinity alone.
            let affinity = first.and_then(|(at, _)| number(&at));
            if let Some(affinity) = affinity {
                let started_by = tree.string(node, "enable-method").map(str::to_owned);
                self.board.cores.push(Core {
                    affinity,
                    started_by,
                });
            }
        }
    }
}
