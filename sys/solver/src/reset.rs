//! Who is reset together with whom.

use crate::model::{FunctionKind, Machine, Quiesce};
use crate::relation::Edges;
use crate::solution::EdgeKind;
use crate::topology::Topology;

/// An edge from a device that only has a bus reset to everything else below the same bridge.
pub(crate) fn edges(machine: &Machine, topology: &Topology, edges: &mut Edges) {
    // For each bridge the device whose reset takes all below it along; inherited downwards, as a reset
    // of an outer bus includes the inner ones.
    let mut cause: Vec<Option<(usize, usize)>> = vec![None; machine.nodes.len()];
    for &node in &topology.order {
        if let Some(parent) = topology.placed[node].parent
            && let Some((device, bridge)) = cause[parent]
        {
            cause[node] = cause[parent];
            if !topology.placed[node].alternative {
                let because = format!(
                    "`{}` can only be reset by the secondary bus of `{}`, which resets all below it",
                    machine.nodes[device].name, machine.nodes[bridge].name
                );
                edges.add(EdgeKind::Reset, device, node, because);
            }
        }
        if let Some(physical) = topology.placed[node].physical {
            let because = format!(
                "a reset of `{}` removes its virtual functions",
                machine.nodes[physical].name
            );
            edges.add(EdgeKind::Reset, physical, node, because);
        }
        if machine.nodes[node].function.kind.is_bridge() && cause[node].is_none() {
            let device = topology.children[node].iter().find(|child| {
                needs_bus_reset(machine, **child) && !topology.placed[**child].alternative
            });
            cause[node] = device.map(|device| (*device, node));
        }
    }
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
