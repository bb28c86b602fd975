//! The fabric as a tree.

use std::collections::BTreeMap;
use std::fmt::Write;

use solver::model::{Acs, NodeId, Place, RootId, Upstream};
use solver::quirk::settable_acs;

use super::name;
use planner::planning::Plan;
use planner::read::units::show_size;

/// Writes every root bus with all below it, then the platform devices.
pub fn write(plan: &Plan, out: &mut String) -> std::fmt::Result {
    let below = Below::new(plan);
    writeln!(out, "\nfabric")?;
    for (index, root) in plan.machine.roots.iter().enumerate() {
        write!(out, "  bus {:02x}", root.bus)?;
        if root.segment != 0 {
            write!(out, " of segment {}", root.segment)?;
        }
        writeln!(out, ": {}", root.name)?;
        let on_root = below.roots.get(&RootId::new(index));
        children(plan, &below, on_root, "  ", out)?;
    }
    let platform = plan.solution.order.iter().filter(|node| {
        let node = plan.machine.nodes.get(node.index());
        node.is_some_and(|node| matches!(node.place, Place::Platform { .. }))
    });
    let platform: Vec<NodeId> = platform.copied().collect();
    if !platform.is_empty() {
        writeln!(out, "  platform devices")?;
        children(plan, &below, Some(&platform), "  ", out)?;
    }
    Ok(())
}

/// The nodes directly below each node, in topological order.
struct Below {
    roots: BTreeMap<RootId, Vec<NodeId>>,
    nodes: BTreeMap<NodeId, Vec<NodeId>>,
}

impl Below {
    fn new(plan: &Plan) -> Self {
        let mut below = Self {
            roots: BTreeMap::new(),
            nodes: BTreeMap::new(),
        };
        for &id in &plan.solution.order {
            let Some(node) = plan.machine.nodes.get(id.index()) else {
                continue;
            };
            match node.place {
                Place::Slot {
                    upstream: Upstream::Root(root),
                    ..
                } => below.roots.entry(root).or_default().push(id),
                Place::Slot {
                    upstream: Upstream::Bridge(bridge),
                    ..
                } => below.nodes.entry(bridge).or_default().push(id),
                Place::Virtual { physical, .. } => {
                    below.nodes.entry(physical).or_default().push(id);
                }
                Place::Platform { .. } => {}
            }
        }
        below
    }
}

fn children(
    plan: &Plan,
    below: &Below,
    list: Option<&Vec<NodeId>>,
    indent: &str,
    out: &mut String,
) -> std::fmt::Result {
    let list = list.map(Vec::as_slice).unwrap_or_default();
    for (index, &node) in list.iter().enumerate() {
        let last = index + 1 == list.len();
        let (branch, rest) = if last {
            ("└─ ", "   ")
        } else {
            ("├─ ", "│  ")
        };
        writeln!(out, "{indent}{branch}{}", line(plan, node))?;
        let indent = format!("{indent}{rest}");
        children(plan, below, below.nodes.get(&node), &indent, out)?;
    }
    Ok(())
}

/// The line of a function: address, name, identity, kind, and what matters of it.
fn line(plan: &Plan, id: NodeId) -> String {
    let (Some(node), Some(found)) = (
        plan.machine.nodes.get(id.index()),
        plan.solution.devices.get(id.index()),
    ) else {
        return String::new();
    };
    let mut text = match found.requester {
        Some(requester) => {
            let address = requester.to_string();
            let address = address.strip_prefix("0000:").unwrap_or(&address);
            let ids = node.function.identity;
            let kind = match node.place {
                Place::Virtual { .. } => "virtual function",
                _ => node.function.kind.text(),
            };
            format!(
                "{address} {} ({:04x}:{:04x}, {kind})",
                node.name, ids.vendor, ids.device
            )
        }
        None => node.name.clone(),
    };
    let mut add = |part: String| {
        text.push_str(", ");
        text.push_str(&part);
    };
    if let Some(buses) = found.buses {
        add(if buses.secondary == buses.subordinate {
            format!("bus {:02x}", buses.secondary)
        } else {
            format!("buses {:02x} to {:02x}", buses.secondary, buses.subordinate)
        });
    }
    if let Some(acs) = settable_acs(&node.function) {
        let lacking = acs.implemented & Acs::WANTED & !acs.enabled;
        add(match (acs.enabled & Acs::WANTED, lacking) {
            (_, 0) => "ACS on".to_owned(),
            (0, _) => "ACS off".to_owned(),
            _ => format!("ACS in part ({:#x} of {:#x})", acs.enabled, acs.implemented),
        });
    }
    if node.external {
        add("external".to_owned());
    }
    if node.hotplug {
        add("hotplug slot".to_owned());
    }
    if let Some(owner) = node
        .owner
        .and_then(|owner| plan.machine.owners.get(owner.index()))
    {
        add(format!("driven by {}", owner.name));
    }
    let routes = plan.interrupts.iter();
    for route in routes.filter(|route| route.device == name(plan, id)) {
        add(format!("INTID {}", route.intid));
    }
    let functions = plan.fabric.functions.iter();
    for function in functions.filter(|function| function.node == id) {
        for (index, placed) in &function.bars {
            add(format!(
                "BAR{index} {:#x} {}",
                placed.address,
                show_size(placed.bar.len)
            ));
        }
    }
    text
}
