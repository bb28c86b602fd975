//! What a board states, and its functions, as an `app.toml`.

mod claims;
mod master;
mod memory;
mod pci;
mod platform;

use std::fmt::Write;

use import::board::Board;
use import::{Bar, BarKind, Function};
use plan::limits::DEVICES_MAX;
use solver::Machine;
use solver::model::{FunctionKind, Node, Place, Upstream};

use crate::read::units::show_size;
use claims::{Claims, Names};
use memory::Memory;

/// A file, and what a person is told about it.
pub struct Description {
    /// The whole `app.toml`.
    pub text: String,
    /// What was left out or is doubtful; the file has these as comments.
    pub notes: Vec<String>,
}

/// The whole file.
pub fn text(
    functions: Option<&[Function]>,
    machine: &Machine,
    board: Option<&Board>,
) -> Description {
    let mut text = String::new();
    let mut notes = Vec::new();
    // Writing to a string does not fail.
    let _ = write(functions, machine, board, &mut notes, &mut text);
    if functions.is_none() {
        notes.insert(
            0,
            "there is no dump (`--lspci`): no PCI function is in the file".to_owned(),
        );
    }
    let mut head = String::from(
        "# Written by `cargo xtask import` from what the board says of itself. `cargo xtask plan` takes it as\n\
         # it is: what no task drives is blocked. docs/reference/app.md explains every key.\n",
    );
    if !notes.is_empty() {
        head.push_str("#\n# What was left out or is doubtful:\n");
        for note in &notes {
            let _ = writeln!(head, "# * {}", note.replace(['\n', '\r'], " "));
        }
    }
    head.push_str("name = \"imported\"\n\n");
    Description {
        text: head + &text,
        notes,
    }
}

fn write(
    functions: Option<&[Function]>,
    machine: &Machine,
    board: Option<&Board>,
    notes: &mut Vec<String>,
    out: &mut String,
) -> std::fmt::Result {
    let functions = functions.unwrap_or_default();
    let mut names = Names::default();
    for node in &machine.nodes {
        names.take(&node.name);
    }
    for root in &machine.roots {
        names.take(&root.name);
    }
    // Masters are written last, and decide what memory the platform declares.
    let mut masters = String::new();
    let mut regions = Vec::new();
    match board {
        None => platform::unknown(machine, out)?,
        Some(board) => {
            notes.extend(board.words.iter().map(ToString::to_string));
            let mut claims = Claims::default();
            let fixed = platform::fixed(board, &mut claims, notes)?;
            let mut memory = Memory::new(board, &mut claims, notes);
            master::devices(
                board,
                &mut memory,
                &mut claims,
                &mut names,
                notes,
                &mut masters,
            )?;
            regions = master::of_functions(board, functions, &mut memory, &mut claims, notes);
            platform::write(board, &fixed, &memory, &mut claims, notes, out)?;
        }
    }
    out.push_str(
        "# Until a task drives a device, it is blocked with one warning for all.\n\
         [iommu]\ndefault-domain = \"dma\"\non-mismatch = \"block\"\nunowned = \"block\"\n\n",
    );
    pci::roots(machine, board, out)?;
    for (function, node) in functions.iter().zip(&machine.nodes) {
        if function.kind.is_bridge() {
            bridge(machine, function, node, out)?;
        }
    }
    for (index, (function, node)) in functions.iter().zip(&machine.nodes).enumerate() {
        if !function.kind.is_bridge() {
            let regions = regions.get(index).map_or("", String::as_str);
            device(machine, function, node, regions, out)?;
        }
    }
    out.push_str(&masters);
    let devices = machine.nodes.len() + board.map_or(0, |board| board.masters.len());
    if devices > DEVICES_MAX {
        notes.push(format!(
            "the machine has {devices} functions and devices, bridges included: that can be planned, but an image has room \
             for {DEVICES_MAX} (docs/reference/app.md, Limits); leave out what nobody drives, below a bridge that is left \
             out too"
        ));
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
    regions: &str,
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
    out.push_str(regions);
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
