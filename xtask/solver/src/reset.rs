//! Resets: which devices are reset together.

use crate::alternative::{apart, span};
use crate::model::{FunctionKind, Machine, Quiesce};
use crate::relation::Edges;
use crate::solution::EdgeKind;
use crate::topology::Topology;

/// An edge from a device that only has a bus reset to everything else below the same bridge, but for what is
/// never there together with it.
pub(crate) fn edges(machine: &Machine, topology: &Topology, edges: &mut Edges) {
    // For each bridge the devices whose reset takes all below it along; those of an outer bus take the inner
    // ones along as well.
    let mut causes: Vec<Vec<usize>> = vec![Vec::new(); machine.nodes.len()];
    for &node in &topology.order {
        if let Some(physical) = topology.placed[node].physical {
            let because = format!(
                "a reset of `{}` removes its virtual functions",
                machine.nodes[physical].name
            );
            edges.add(EdgeKind::Reset, physical, node, because);
        }
        if !machine.nodes[node].function.kind.is_bridge() {
            continue;
        }
        let outer = topology.placed[node].parent.map(|above| &causes[above]);
        let outer: Vec<usize> = outer
            .into_iter()
            .flatten()
            .copied()
            .filter(|cause| !apart(topology, *cause, node))
            .collect();
        if outer.is_empty() {
            causes[node] = own(machine, topology, node, edges);
        } else {
            causes[node] = outer;
        }
    }
}

/// The devices on the bus of `bridge` that only its reset makes quiet; joins them with all below.
fn own(machine: &Machine, topology: &Topology, bridge: usize, edges: &mut Edges) -> Vec<usize> {
    let children = topology.children[bridge].iter().copied();
    let causes: Vec<usize> = children
        .filter(|child| needs_bus_reset(machine, *child))
        .collect();
    span(
        topology,
        &causes,
        &topology.below(bridge),
        |device, node| {
            let because = format!(
                "`{}` can only be reset by the secondary bus of `{}`, which resets all below it",
                machine.nodes[device].name, machine.nodes[bridge].name
            );
            edges.add(EdgeKind::Reset, device, node, because);
        },
    );
    causes
}

fn needs_bus_reset(machine: &Machine, node: usize) -> bool {
    let entry = &machine.nodes[node];
    let endpoint = !entry.function.kind.is_bridge()
        && !matches!(
            entry.function.kind,
            FunctionKind::HostBridge | FunctionKind::EventCollector
        );
    endpoint && matches!(entry.quiesce, Quiesce::Unknown | Quiesce::BusReset)
}
