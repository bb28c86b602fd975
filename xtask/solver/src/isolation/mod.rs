//! Who can reach whom without the SMMU.
//!
//! The rules of `linux` mode are those by which Linux looks for an existing group, read as a relation;
//! `strict` mode has the same rules over a narrower notion of what is isolated, and some more. So its
//! edges always join at least what `linux` joins.

use std::collections::BTreeMap;

mod fault;
mod slot;

use crate::alias::Ids;
use crate::alternative::span;
use crate::model::{Acs, FunctionKind, Machine};
use crate::relation::Edges;
use crate::solution::{EdgeKind, Mode};
use crate::topology::Topology;

use fault::{Fault, NO_ACS, fault};
use slot::slots;

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
    /// The switch that is one group, with the reason, of all that is below it; strict mode only.
    open_switch: Vec<Option<(usize, String)>>,
}

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
        let mut isolation = Self {
            machine,
            topology,
            mode,
            slots,
            fault,
            open_above,
            open_switch: vec![None; machine.nodes.len()],
        };
        if mode == Mode::Strict {
            isolation.open_switch = isolation.open_switches();
        }
        isolation
    }

    /// Why `node` does not keep requests apart.
    pub fn fault(&self, node: usize) -> Fault {
        self.fault[node]
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

    /// The switch that a function is below, with the reason, if the switch is one group: it routes between its
    /// ports, so one that does not redirect opens all that is below the switch, and so does what sits on the bus
    /// inside it, where nothing controls what goes down a port.
    fn open_switches(&self) -> Vec<Option<(usize, String)>> {
        let mut pulled: Vec<Option<(usize, String)>> = vec![None; self.machine.nodes.len()];
        for &node in &self.topology.order {
            if let Some(parent) = self.topology.placed[node].parent {
                pulled[node] = pulled[parent].clone();
            }
            if self.kind(node) == FunctionKind::UpstreamPort && pulled[node].is_none() {
                let mut inside = self.topology.children[node].iter();
                pulled[node] = inside.find_map(|port| {
                    let because = if self.kind(*port) == FunctionKind::DownstreamPort {
                        let fault = self.fault[*port]?;
                        format!("whose port `{}` {fault}", self.name(*port))
                    } else {
                        format!(
                            "where `{}` is on the bus inside, which redirects nothing",
                            self.name(*port)
                        )
                    };
                    Some((node, because))
                });
            }
        }
        pulled
    }

    /// Joins all that is below an open switch with it.
    fn switches(&self, edges: &mut Edges) {
        for &node in &self.topology.order {
            if let Some(parent) = self.topology.placed[node].parent
                && let Some((switch, because)) = &self.open_switch[parent]
            {
                let because = format!("below the switch `{}`, {because}", self.name(*switch));
                edges.add(EdgeKind::Isolation, parent, node, because);
            }
        }
    }

    /// True if what is plugged in below `port` would be in its group.
    pub fn joins_below(&self, port: usize) -> bool {
        self.open_above[port].is_some() || self.open_switch[port].is_some()
    }

    /// The port nearest to the root complex without source validation that a device is below, if no port on its way up
    /// has it: the device may use any requester id of its segment, and so any StreamID of it. Ids of what is
    /// integrated in the root complex are the root complex's.
    pub fn unvalidated(&self, node: usize) -> Option<usize> {
        self.topology.placed[node]
            .parent
            .and_then(|above| self.unvalidated_below(above))
    }

    /// The same for what is below `bridge`.
    pub fn unvalidated_below(&self, bridge: usize) -> Option<usize> {
        match self.validated_by(bridge) {
            Some(_) => None,
            None => self.checking(bridge).last(),
        }
    }

    /// The nearest port, `bridge` or above it, with source validation.
    pub fn validated_by(&self, bridge: usize) -> Option<usize> {
        self.checking(bridge).find(|port| {
            let on = |acs: Acs| acs.implemented & acs.enabled & Acs::SOURCE_VALIDATION != 0;
            self.machine.nodes[*port].function.acs.is_some_and(on)
        })
    }

    /// Ports that could validate ids: `bridge`, and those above it.
    fn checking(&self, bridge: usize) -> impl Iterator<Item = usize> {
        let above = |bridge: &usize| self.topology.placed[*bridge].parent;
        let way = std::iter::successors(Some(bridge), above);
        way.filter(|port| {
            matches!(
                self.kind(*port),
                FunctionKind::RootPort | FunctionKind::DownstreamPort
            )
        })
    }

    /// The root complex may route between root ports that do not redirect, and from one to what is on a root bus.
    fn root_ports(&self, edges: &mut Edges) {
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        let unknown = |node: usize| {
            let complex = self.complex(node)?;
            (!self.machine.roots[complex].never_routes_peers).then_some(complex)
        };
        for &node in &self.topology.order {
            if self.kind(node) != FunctionKind::RootPort || self.fault[node].is_none() {
                continue;
            }
            let Some(complex) = unknown(node) else {
                continue;
            };
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
        for &node in &self.topology.order {
            let integrated = self.topology.placed[node].parent.is_none()
                && !matches!(
                    self.kind(node),
                    FunctionKind::RootPort | FunctionKind::HostBridge
                );
            if let (true, Some(complex)) = (integrated, unknown(node))
                && let Some(&port) = first.get(&complex)
            {
                let because = format!(
                    "on a root bus, to which the root complex may route from `{}`, which {}",
                    self.name(port),
                    self.fault[port].unwrap_or(NO_ACS)
                );
                edges.add(EdgeKind::Isolation, port, node, because);
            }
        }
    }

    /// Ports on the way up whose own memory BARs serve requests of `node`, nearest first.
    pub fn open_registers(&self, node: usize) -> Vec<usize> {
        let mut ports = Vec::new();
        let mut came_by = Acs::default();
        let mut at = self.topology.placed[node].parent;
        while let Some(bridge) = at {
            let entry = &self.machine.nodes[bridge];
            let acs = entry.function.acs.unwrap_or_default();
            let guarded = match entry.function.kind {
                FunctionKind::UpstreamPort => came_by.guards_upstream(),
                _ => acs.guards_downstream(),
            };
            if entry.registers && !guarded {
                ports.push(bridge);
            }
            came_by = acs;
            at = self.topology.placed[bridge].parent;
        }
        ports
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
