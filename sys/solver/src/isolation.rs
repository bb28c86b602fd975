//! Who can reach whom without the SMMU.
//!
//! The rules of `linux` mode are those by which Linux looks for an existing group, read as a relation;
//! `strict` mode has the same rules over a narrower notion of what is isolated, and some more. So its
//! edges always join at least what `linux` joins.

use std::collections::BTreeMap;

use crate::alias::Ids;
use crate::alternative::span;
use crate::model::{Acs, FunctionKind, Machine};
use crate::quirk::{self, Effect};
use crate::relation::Edges;
use crate::solution::{EdgeKind, Mode};
use crate::topology::Topology;

/// Why a function does not keep requests apart; `None` if it does.
pub(crate) type Fault = Option<&'static str>;

/// The isolation of all functions, computed once.
pub(crate) struct Isolation<'a> {
    machine: &'a Machine,
    topology: &'a Topology,
    mode: Mode,
    /// Members of each slot that has several, by first member: functions of one bus and device number; in
    /// strict mode the virtual functions of each, too.
    slots: Vec<Vec<usize>>,
    /// What each function fails to do.
    fault: Vec<Fault>,
    /// The nearest bridge, itself included, at or above which requests are not kept apart.
    open_above: Vec<Option<usize>>,
}

const NO_ACS: &str = "has no ACS";
const ACS_OFF: &str = "has ACS that is not enabled";
const DENIED: &str = "is known not to keep requests apart";
const ACS_PARTIAL: &str = "lacks an ACS bit that isolation needs";

impl<'a> Isolation<'a> {
    pub fn new(machine: &'a Machine, topology: &'a Topology, mode: Mode) -> Self {
        let (slots, shared) = slots(machine, topology, mode);
        let fault: Vec<Fault> = (0..machine.nodes.len())
            .map(|node| fault(machine, topology, mode, node, shared[node]))
            .collect();
        let mut open_above = vec![None; machine.nodes.len()];
        for &node in &topology.order {
            open_above[node] = if fault[node].is_some() {
                Some(node)
            } else {
                topology.placed[node]
                    .parent
                    .and_then(|parent| open_above[parent])
            };
        }
        Self {
            machine,
            topology,
            mode,
            slots,
            fault,
            open_above,
        }
    }

    /// Adds all isolation edges.
    pub fn edges(&self, ids: &[Ids], edges: &mut Edges) {
        for &node in &self.topology.order {
            self.below_bridge(node, &ids[node], edges);
        }
        for slot in &self.slots {
            self.slot(slot, edges);
        }
        if self.mode == Mode::Strict {
            self.switches(edges);
            self.root_ports(edges);
        }
    }

    fn name(&self, node: usize) -> &str {
        &self.machine.nodes[node].name
    }

    fn kind(&self, node: usize) -> FunctionKind {
        self.machine.nodes[node].function.kind
    }

    /// Joins a function with a bridge that takes over its requests, and with the bridge above it if a
    /// request can turn back anywhere from there to the root.
    fn below_bridge(&self, node: usize, ids: &Ids, edges: &mut Edges) {
        let parent = self.topology.placed[node].parent;
        for &bridge in &ids.taken_by {
            if Some(bridge) != parent {
                let because = format!(
                    "`{}` issues its requests under another id",
                    self.name(bridge)
                );
                edges.add(EdgeKind::Isolation, bridge, node, because);
            }
        }
        let Some(parent) = parent else { return };
        let because = if ids.taken_by.contains(&parent) {
            format!(
                "on the conventional bus below `{}`, where nothing redirects requests",
                self.name(parent)
            )
        } else {
            let Some(open) = self.open_above[parent] else {
                return;
            };
            let fault = self.fault[open].unwrap_or(NO_ACS);
            if open == parent {
                format!("below `{}`, which {fault}", self.name(open))
            } else {
                format!(
                    "below `{}`, and `{}` above that {fault}",
                    self.name(parent),
                    self.name(open)
                )
            }
        };
        edges.add(EdgeKind::Isolation, parent, node, because);
    }

    /// Joins the functions of a slot that do not keep requests to each other apart. In strict mode one of
    /// them is enough: it can reach all.
    fn slot(&self, slot: &[usize], edges: &mut Edges) {
        let is_open = |node: &usize| self.fault[*node].is_some();
        let open: Vec<usize> = slot.iter().copied().filter(is_open).collect();
        let members = match self.mode {
            Mode::Strict => slot,
            Mode::Linux => &open,
        };
        span(self.topology, &open, members, |open, node| {
            let because = format!(
                "functions of one slot, and `{}` {}",
                self.name(open),
                self.fault[open].unwrap_or(NO_ACS)
            );
            edges.add(EdgeKind::Isolation, open, node, because);
        });
    }

    /// A switch routes between its downstream ports, so one port that does not redirect opens all that
    /// is below the switch.
    fn switches(&self, edges: &mut Edges) {
        let mut pulled: Vec<Option<(usize, usize)>> = vec![None; self.machine.nodes.len()];
        for &node in &self.topology.order {
            if let Some(parent) = self.topology.placed[node].parent
                && let Some((switch, port)) = pulled[parent]
            {
                pulled[node] = pulled[parent];
                let because = format!(
                    "below the switch `{}`, whose port `{}` {}",
                    self.name(switch),
                    self.name(port),
                    self.fault[port].unwrap_or(NO_ACS)
                );
                edges.add(EdgeKind::Isolation, parent, node, because);
            }
            if self.kind(node) == FunctionKind::UpstreamPort && pulled[node].is_none() {
                let open = self.topology.children[node].iter().find(|port| {
                    self.kind(**port) == FunctionKind::DownstreamPort
                        && self.fault[**port].is_some()
                });
                pulled[node] = open.map(|port| (node, *port));
            }
        }
    }

    /// The root complex may route between root ports that do not redirect.
    fn root_ports(&self, edges: &mut Edges) {
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        for &node in &self.topology.order {
            if self.kind(node) != FunctionKind::RootPort || self.fault[node].is_none() {
                continue;
            }
            let Some(complex) = self.complex(node) else {
                continue;
            };
            if self.machine.roots[complex].never_routes_peers {
                continue;
            }
            let other = *first.entry(complex).or_insert(node);
            let because = format!(
                "root ports of one root complex, which may route between them: `{}` {} and `{}` {}",
                self.name(other),
                self.fault[other].unwrap_or(NO_ACS),
                self.name(node),
                self.fault[node].unwrap_or(NO_ACS),
            );
            edges.add(EdgeKind::Isolation, other, node, because);
        }
    }

    /// The root bus that stands for the root complex of `node`.
    fn complex(&self, node: usize) -> Option<usize> {
        let roots = &self.machine.roots;
        let mut root = self.topology.placed[node].root?.index();
        // An expander of an expander belongs to the first; a chain longer than the list is a circle.
        for _ in 0..roots.len() {
            let above = roots[root].expander_of.map(|r| r.index());
            match above.filter(|r| *r < roots.len()) {
                Some(above) => root = above,
                None => break,
            }
        }
        Some(root)
    }

    /// Root complexes with root ports both with and without isolation: one of each, in strict mode.
    pub fn mixed_root_ports(&self) -> Vec<(usize, usize)> {
        let mut kinds: BTreeMap<usize, (Option<usize>, Option<usize>)> = BTreeMap::new();
        for &node in &self.topology.order {
            if self.kind(node) != FunctionKind::RootPort {
                continue;
            }
            let Some(complex) = self.complex(node) else {
                continue;
            };
            let entry = kinds.entry(complex).or_default();
            if self.fault[node].is_some() {
                entry.0.get_or_insert(node);
            } else {
                entry.1.get_or_insert(node);
            }
        }
        kinds
            .into_iter()
            .filter(|(complex, _)| {
                self.mode == Mode::Strict && !self.machine.roots[*complex].never_routes_peers
            })
            .filter_map(|(_, (open, closed))| Some((open?, closed?)))
            .collect()
    }
}

/// Slots with several functions, and for each node whether its slot is one (the header bit of any
/// function says so, too, and so does a number above 0). A link has one device, whose functions may have
/// eight-bit numbers (ARI) that look like several slots; Linux takes them for such. Virtual functions are
/// functions of the slot of their physical one, wherever their ids are; Linux does not count them.
fn slots(machine: &Machine, topology: &Topology, mode: Mode) -> (Vec<Vec<usize>>, Vec<bool>) {
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

fn fault(machine: &Machine, topology: &Topology, mode: Mode, node: usize, shared: bool) -> Fault {
    topology.placed[node].requester?;
    let function = &machine.nodes[node].function;
    // A virtual function may leave its ACS to its physical one.
    let physical = topology.placed[node].physical;
    let acs = physical.map_or(function.acs, |physical| {
        function.acs.or(machine.nodes[physical].function.acs)
    });
    match quirk::isolation(function.identity, function.kind) {
        Some(Effect::DeclaresIsolation) if mode == Mode::Linux => return None,
        Some(Effect::DeniesIsolation) => return Some(DENIED),
        _ => {}
    }
    match function.kind {
        FunctionKind::Conventional
        | FunctionKind::ConventionalBridge
        | FunctionKind::HostBridge => Some("is a conventional function, which cannot have ACS"),
        FunctionKind::PcieToPci | FunctionKind::PciToPcie => {
            Some("is a bridge to a bus without ACS")
        }
        FunctionKind::EventCollector => Some("is an event collector"),
        FunctionKind::RootPort => match (mode, function.acs) {
            // It need not redirect what it cannot route, but a port with ACS has to implement source validation
            // (PCIe base specification, ACS Functional Requirements); without it, what is below may take the
            // requester id, and so the StreamID, of any other device.
            (Mode::Strict, Some(acs)) if acs.implemented & Acs::SOURCE_VALIDATION == 0 => {
                Some(ACS_PARTIAL)
            }
            _ => acs_fault(function.acs),
        },
        FunctionKind::DownstreamPort => match (mode, function.acs) {
            // A downstream port has to implement all of them (PCIe base specification, ACS Capability
            // Register); one that does not is not what it says.
            (Mode::Strict, Some(acs)) if acs.implemented & Acs::WANTED != Acs::WANTED => {
                Some(ACS_PARTIAL)
            }
            _ => acs_fault(function.acs),
        },
        FunctionKind::Endpoint | FunctionKind::UpstreamPort | FunctionKind::RootComplexEndpoint => {
            if shared {
                acs_fault(acs)
            } else {
                None
            }
        }
    }
}

/// Wanted bits that are implemented must be enabled.
fn acs_fault(acs: Option<Acs>) -> Fault {
    match acs {
        None => Some(NO_ACS),
        Some(acs) if acs.implemented & Acs::WANTED & !acs.enabled != 0 => Some(ACS_OFF),
        Some(_) => None,
    }
}
