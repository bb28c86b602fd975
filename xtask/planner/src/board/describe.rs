//! Functions as an `app.toml`.

use std::fmt::Write;

use import::{Bar, BarKind, Function};
use solver::Machine;
use solver::model::{FunctionKind, Node, Place, Upstream};

use super::device_tree::{Host, Tree};
use crate::read::units::show_size;

/// The whole file.
pub fn text(functions: &[Function], machine: &Machine, tree: Option<&Tree>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(functions, machine, tree, &mut out);
    out
}

fn write(
    functions: &[Function],
    machine: &Machine,
    tree: Option<&Tree>,
    out: &mut String,
) -> std::fmt::Result {
    out.push_str(
        "# Written by `cargo xtask import` from what the board says of itself. `cargo xtask plan` takes it as\n\
         # it is: what no task drives is blocked. docs/reference/app.md explains every key.\n\
         name = \"imported\"\n\n",
    );
    platform(machine, tree, out)?;
    out.push_str(
        "# Until a task drives a device, it is blocked with one warning for all.\n\
         [iommu]\ndefault-domain = \"dma\"\non-mismatch = \"block\"\nunowned = \"block\"\n\n",
    );
    roots(machine, tree, out)?;
    for (function, node) in functions.iter().zip(&machine.nodes) {
        if function.kind.is_bridge() {
            bridge(machine, function, node, out)?;
        }
    }
    for (function, node) in functions.iter().zip(&machine.nodes) {
        if !function.kind.is_bridge() {
            device(machine, function, node, out)?;
        }
    }
    Ok(())
}

fn platform(machine: &Machine, tree: Option<&Tree>, out: &mut String) -> std::fmt::Result {
    out.push_str(
        "# A system can be built once memory, console, gic and qemu are described as well.\n",
    );
    out.push_str("[platform]\ndescription = \"imported board\"\n");
    let Some(tree) = tree else {
        out.push_str(
            "# The dump does not tell: whether devices and table walks snoop the caches.\ncoherent = true\n\n\
             # The dump does not tell: where the SMMU is, and which StreamID a requester id becomes. Without an\n\
             # `iommu-map` they are equal, segments above each other. Give `--dtb` to have it from the board.\n",
        );
        for smmu in &machine.smmus {
            writeln!(out, "[platform.devices.{}]", smmu.name)?;
            out.push_str("kind = \"smmu-v3\"\nbase = 0\nsize = \"128 KiB\"\n");
            out.push_str("# The dump does not tell: `stream-bits`.\n\n");
        }
        return Ok(());
    };
    writeln!(out, "coherent = {}", tree.coherent)?;
    if let Some(psci) = tree.psci {
        writeln!(out, "psci = \"{psci}\"")?;
    }
    out.push('\n');
    for smmu in &tree.smmus {
        writeln!(out, "[platform.devices.{}]", smmu.name)?;
        writeln!(out, "kind = \"smmu-v3\"\nbase = {:#x}", smmu.base)?;
        writeln!(out, "size = \"{}\"", show_size(smmu.len))?;
        out.push_str(
            "# The tree does not tell: `stream-bits`, which the SMMU says itself (IDR1.SIDSIZE).\n",
        );
        for (name, intid, edge) in &smmu.interrupts {
            writeln!(
                out,
                "interrupts.{name} = {{ intid = {intid}, edge = {edge} }}"
            )?;
        }
        out.push('\n');
    }
    // Several segments have apertures of their own; windows keep clear of the first one's here, and of the
    // others by what the comment says.
    if let Some(host) = tree.hosts.first() {
        writeln!(out, "[platform.devices.{}]", host.name)?;
        writeln!(out, "kind = \"pci-host\"\nbase = {:#x}", host.configuration)?;
        writeln!(out, "size = \"{}\"\n", show_size(host.configuration_len))?;
        out.push_str("[platform.pci]\n");
        apertures(host, "", out)?;
        out.push('\n');
    }
    for host in tree.hosts.iter().skip(1) {
        writeln!(out, "# Apertures of segment {}:", host.segment)?;
        apertures(host, "# ", out)?;
        out.push('\n');
    }
    Ok(())
}

fn apertures(host: &Host, prefix: &str, out: &mut String) -> std::fmt::Result {
    for (key, range) in [("memory", host.memory), ("prefetch", host.prefetch)] {
        if let Some([start, end]) = range {
            writeln!(out, "{prefix}{key} = [{start:#x}, {end:#x}]")?;
        }
    }
    Ok(())
}

fn roots(machine: &Machine, tree: Option<&Tree>, out: &mut String) -> std::fmt::Result {
    for root in &machine.roots {
        writeln!(out, "[pci.{}]\nkind = \"root-bus\"", root.name)?;
        if root.segment != 0 {
            writeln!(out, "segment = {}", root.segment)?;
        }
        writeln!(out, "bus = {}\nbus-last = {}", root.bus, root.bus_last)?;
        if let Some(main) = root
            .expander_of
            .and_then(|main| machine.roots.get(main.index()))
        {
            writeln!(out, "expander-of = \"{}\"", main.name)?;
        }
        let host = tree.and_then(|tree| tree.hosts.iter().find(|h| h.segment == root.segment));
        if tree.is_none() && root.streams.is_empty() {
            out.push_str(
                "# An operating system made this segment up: no request passes an SMMU under an id of it.\niommu-map = []\n",
            );
        }
        if tree.is_some() && host.is_none_or(|host| host.streams.is_empty()) {
            out.push_str(
                "# The tree does not lead its requests to an SMMU: none of them is translated.\niommu-map = []\n",
            );
        }
        if let Some(host) = host {
            if !host.streams.is_empty() {
                out.push_str("iommu-map = [\n");
                for row in &host.streams {
                    writeln!(
                        out,
                        "  {{ requester = {}, length = {}, smmu = \"{}\", stream = {} }},",
                        row.requester, row.len, row.smmu, row.stream
                    )?;
                }
                out.push_str("]\n");
                if let Some(mask) = host.stream_mask.filter(|mask| mask & 0xffff != 0xffff) {
                    writeln!(out, "iommu-map-mask = {mask:#x}")?;
                }
            }
            for row in &host.messages {
                writeln!(
                    out,
                    "# msi-map: requester ids from {:#x}, {:#x} of them, are device ids from {:#x} at phandle {:#x}",
                    row.requester, row.len, row.device, row.controller
                )?;
            }
        }
        out.push('\n');
    }
    Ok(())
}

/// `at` and `slot`, or `virtual`.
fn place(machine: &Machine, node: &Node, out: &mut String) -> std::fmt::Result {
    match &node.place {
        Place::Slot {
            upstream,
            device,
            function,
        } => {
            let at = match upstream {
                Upstream::Root(root) => machine.roots.get(root.index()).map(|root| &root.name),
                Upstream::Bridge(bridge) => {
                    machine.nodes.get(bridge.index()).map(|node| &node.name)
                }
            };
            if let Some(at) = at {
                writeln!(out, "at = \"{at}\"")?;
            }
            writeln!(out, "slot = \"{device}.{function}\"")
        }
        Place::Virtual { physical, offset } => {
            let of = machine
                .nodes
                .get(physical.index())
                .map_or("", |node| &node.name);
            writeln!(out, "virtual = {{ of = \"{of}\", offset = {offset} }}")
        }
        Place::Platform { .. } => Ok(()),
    }
}

fn common(node: &Node, out: &mut String) -> std::fmt::Result {
    let ids = node.function.identity;
    writeln!(out, "id = \"{:04x}:{:04x}\"", ids.vendor, ids.device)?;
    if node.function.multifunction {
        writeln!(out, "multifunction = true")?;
    }
    if let Some(acs) = node.function.acs {
        writeln!(
            out,
            "acs = {{ implemented = {:#x}, enabled = {:#x} }}",
            acs.implemented, acs.enabled
        )?;
    }
    Ok(())
}

/// What is odd about a function, at its place in the file.
fn notes(function: &Function, out: &mut String) -> std::fmt::Result {
    function
        .notes
        .iter()
        .try_for_each(|note| writeln!(out, "# Mind: {note}"))
}

fn bridge(
    machine: &Machine,
    function: &Function,
    node: &Node,
    out: &mut String,
) -> std::fmt::Result {
    let kind = match function.kind {
        FunctionKind::RootPort => "root-port",
        FunctionKind::UpstreamPort => "upstream-port",
        FunctionKind::DownstreamPort => "downstream-port",
        FunctionKind::PcieToPci => "pcie-to-pci-bridge",
        FunctionKind::PciToPcie => "pci-to-pcie-bridge",
        _ => "conventional-bridge",
    };
    notes(function, out)?;
    writeln!(
        out,
        "# {}\n[pci.{}]\nkind = \"{kind}\"",
        function.address, node.name
    )?;
    place(machine, node, out)?;
    common(node, out)?;
    let buses = node.function.buses;
    if let (Some(secondary), Some(subordinate)) = (buses.secondary, buses.subordinate) {
        writeln!(out, "buses = [{secondary}, {subordinate}]")?;
    }
    if function.hotplug {
        out.push_str(
            "# The slot can be hotplugged: `hotplug = true` if its devices come and go.\n",
        );
    }
    bars(&function.bars, out)?;
    out.push('\n');
    Ok(())
}

fn device(
    machine: &Machine,
    function: &Function,
    node: &Node,
    out: &mut String,
) -> std::fmt::Result {
    let form = match function.kind {
        FunctionKind::RootComplexEndpoint => "root-complex-endpoint",
        FunctionKind::EventCollector => "event-collector",
        FunctionKind::Conventional => "conventional",
        FunctionKind::HostBridge => "host-bridge",
        _ => "endpoint",
    };
    notes(function, out)?;
    writeln!(
        out,
        "# {}, class {:06x}\n[devices.{}]",
        function.address, function.class, node.name
    )?;
    place(machine, node, out)?;
    common(node, out)?;
    writeln!(out, "form = \"{form}\"")?;
    if let Some(demand) = node.demand {
        writeln!(out, "domain = \"{}\"", demand.text())?;
    }
    if function.function_reset {
        out.push_str("quiesce = \"flr\"\n");
    }
    let pin = match function.pin {
        1 => "inta",
        2 => "intb",
        3 => "intc",
        4 => "intd",
        _ => "none",
    };
    writeln!(out, "interrupt = \"{pin}\"")?;
    if function.msi || function.msix > 0 {
        let msi = if function.msi { "has MSI; " } else { "" };
        writeln!(out, "# {msi}MSI-X vectors: {}", function.msix)?;
    }
    bars(&function.bars, out)?;
    out.push('\n');
    Ok(())
}

fn bars(bars: &[Bar], out: &mut String) -> std::fmt::Result {
    for bar in bars {
        if bar.kind == BarKind::Io {
            writeln!(out, "# BAR {}: I/O ports at {:#x}", bar.index, bar.address)?;
            continue;
        }
        let size = bar.size.map_or("unknown".to_owned(), show_size);
        write!(out, "bars.{} = {{ size = \"{size}\"", bar.index)?;
        if bar.kind == BarKind::Memory64 {
            out.push_str(", wide = true");
        }
        if bar.prefetchable {
            out.push_str(", prefetch = true");
        }
        if bar.address != 0 {
            write!(out, ", found-at = {:#x}", bar.address)?;
        }
        out.push_str(" }\n");
    }
    Ok(())
}
