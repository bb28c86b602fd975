//! Functions of one slot.

use std::collections::BTreeMap;

use crate::model::Machine;
use crate::solution::Mode;
use crate::topology::Topology;

/// Slots with several functions, and for each node whether its slot is one (the header bit of any
/// function says so, too, and so does a number above 0). A link has one device, whose functions may have
/// eight-bit numbers (ARI) that look like several slots; Linux takes them for such. Virtual functions are
/// functions of the slot of their physical one, wherever their ids are; Linux does not count them.
pub(super) fn slots(
    machine: &Machine,
    topology: &Topology,
    mode: Mode,
) -> (Vec<Vec<usize>>, Vec<bool>) {
    let on_link = |bridge: usize| machine.nodes[bridge].function.kind.leads_to_link();
    let mut by_slot: BTreeMap<(u16, u16), (Vec<usize>, bool)> = BTreeMap::new();
    for &node in &topology.order {
        let placed = &topology.placed[node];
        let physical = placed.physical.unwrap_or(node);
        let Some(requester) = topology.placed[physical].requester else {
            continue;
        };
        if placed.physical.is_some() && mode == Mode::Linux {
            continue;
        }
        let whole_bus = mode == Mode::Strict && placed.parent.is_some_and(on_link);
        let slot = requester.id & if whole_bus { 0xff00 } else { 0xfff8 };
        let (members, several) = by_slot.entry((requester.segment, slot)).or_default();
        members.push(node);
        *several |= machine.nodes[node].function.multifunction
            || requester.id != slot
            || placed.physical.is_some();
    }
    let mut shared = vec![false; machine.nodes.len()];
    let mut slots = Vec::new();
    for (_, (slot, several)) in by_slot {
        for &node in &slot {
            shared[node] = several;
        }
        let id = |node: &usize| topology.placed[*node].requester;
        if slot.iter().any(|node| id(node) != id(&slot[0])) {
            slots.push(slot);
        }
    }
    (slots, shared)
}
