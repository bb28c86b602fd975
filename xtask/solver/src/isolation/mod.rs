//! Isolation: which devices can reach each other without the SMMU.
//!
//! The rules of `linux` mode are those by which Linux looks for an existing group, read as a relation;
//! `strict` mode has the same rules over a narrower notion of what is isolated, and some more. So its
//! edges always join at least what `linux` joins.

use std::collections::BTreeMap;

mod fault;
mod slot;

use crate::alias::Ids;
use crate::alternative::{apart, span};
use crate::model::{Acs, FunctionKind, Machine};
use crate::relation::Edges;
use crate::solution::{EdgeKind, Mode};
use crate::topology::Topology;

use fault::{Fault, NO_ACS, acs_in, fault};
use slot::slots;

/// The isolation of all functions, computed once.
pub(crate) struct Isolation<'a> {
    machine: &'a Machine,
    topology: &'a Topology,
    mode: Mode,
    /// Members of each slot that has several, by first member: functions of one bus and device number; in
    /// strict mode the virtual functions of each, too.
    slots: Vec<Vec<usize>>,
    /// The fault of each function, if it does not isolate.
    fault: Vec<Fault>,
    /// The nearest bridge, itself included, at or above which requests are not kept apart.
    open_above: Vec<Option<usize>>,
    /// A root port of each root complex from which it may route to others; strict mode only.
    routing: BTreeMap<usize, usize>,
    /// Why all that is below the bridge above each function, and below that one, is in reach from beside it: a relative
    /// clause about the bridge where that begins; strict mode only.
    entered: Vec<Option<(usize, String)>>,
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
            routing: BTreeMap::new(),
            entered: vec![None; machine.nodes.len()],
        };
        if mode == Mode::Strict {
            isolation.routing = isolation.routing();
            isolation.entered = isolation.entered();
        }
        isolation
    }

    /// The reason why `node` does not keep requests apart.
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
            self.below_entered(edges);
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

    /// Says for each bridge whether requests from its neighbours go down it without access control: the bridge
    /// itself, or the outermost bridge above it for which this is so, with the reason.
    fn entered(&self) -> Vec<Option<(usize, String)>> {
        let mut by_slot: Vec<Option<String>> = vec![None; self.machine.nodes.len()];
        for slot in &self.slots {
            self.enter_slot(slot, &mut by_slot);
        }
        let mut entered: Vec<Option<(usize, String)>> = vec![None; self.machine.nodes.len()];
        for &node in &self.topology.order {
            let above = self.topology.placed[node].parent;
            let inherited = above.and_then(|above| entered[above].clone());
            // Below a bridge that keeps nothing apart all is joined already.
            let closed = || self.fault[node].is_none().then_some(());
            let own = || {
                let because = closed().and_then(|()| by_slot[node].clone());
                let because = because.or_else(|| self.open_switch(node));
                because.or_else(|| closed().and_then(|()| self.enter_root(node)))
            };
            entered[node] = inherited.or_else(|| Some((node, own()?)));
        }
        entered
    }

    /// A function that does not keep requests to itself sends them to the bridges of its slot. Between root ports it is
    /// the root complex that routes.
    fn enter_slot(&self, slot: &[usize], entered: &mut [Option<String>]) {
        for &bridge in slot.iter().filter(|node| self.kind(**node).is_bridge()) {
            let from = slot.iter().copied().find(|other| {
                let ports = [*other, bridge].map(|node| self.kind(node) == FunctionKind::RootPort);
                *other != bridge
                    && self.fault[*other].is_some()
                    && ports != [true, true]
                    && !apart(self.topology, *other, bridge)
            });
            entered[bridge] = from.map(|from| {
                let fault = self.fault[from].unwrap_or(NO_ACS);
                format!(
                    "beside `{}`, a function of its slot that {fault}",
                    self.name(from)
                )
            });
        }
    }

    /// A switch routes between its ports, so one that does not redirect opens all that is below the switch, and so does
    /// what sits on the bus inside it.
    fn open_switch(&self, node: usize) -> Option<String> {
        if self.kind(node) != FunctionKind::UpstreamPort {
            return None;
        }
        let mut inside = self.topology.children[node].iter();
        inside.find_map(|port| {
            if self.kind(*port) == FunctionKind::DownstreamPort {
                let fault = self.fault[*port]?;
                return Some(format!("whose port `{}` {fault}", self.name(*port)));
            }
            let name = self.name(*port);
            Some(format!(
                "where `{name}` is on the bus inside, which redirects nothing"
            ))
        })
    }

    /// A bridge on a root bus that is no root port: the root complex may send it what turned at one that does not redirect.
    fn enter_root(&self, node: usize) -> Option<String> {
        let complex = self.complex(node).filter(|_| self.is_integrated(node))?;
        let port = *self.routing.get(&complex)?;
        let fault = self.fault[port].unwrap_or(NO_ACS);
        Some(format!(
            "which the root complex may reach from `{}`, which {fault}",
            self.name(port)
        ))
    }

    /// Joins all that is below a bridge that requests enter with it.
    fn below_entered(&self, edges: &mut Edges) {
        for &node in &self.topology.order {
            if let Some(parent) = self.topology.placed[node].parent
                && let Some((bridge, because)) = &self.entered[parent]
            {
                let what = match self.kind(*bridge) {
                    FunctionKind::UpstreamPort => "switch ",
                    _ => "",
                };
                let because = format!("below the {what}`{}`, {because}", self.name(*bridge));
                edges.add(EdgeKind::Isolation, parent, node, because);
            }
        }
    }

    /// True if what is plugged in below `port` would be in its group.
    pub fn joins_below(&self, port: usize) -> bool {
        self.open_above[port].is_some() || self.entered[port].is_some()
    }

    /// The port without source validation nearest to the root complex above a device, if no port on the device's way
    /// up has source validation. Then the device may use any requester id of its segment, and so any StreamID of it.
    /// Ids of what is integrated in the root complex are the root complex's.
    pub fn unvalidated(&self, node: usize) -> Option<usize> {
        self.topology.placed[node]
            .parent
            .and_then(|above| self.unvalidated_below(above))
    }

    /// The port without source validation nearest to the root complex, if no port from `bridge` up
    /// has source validation.
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
            acs_in(self.mode, &self.machine.nodes[*port].function).is_some_and(on)
        })
    }

    /// The nearest port, `bridge` or above it, that could validate ids.
    pub fn first_checking(&self, bridge: usize) -> Option<usize> {
        self.checking(bridge).next()
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

    /// The first root port of each root complex that does not redirect, where nothing says that the complex never routes
    /// between them.
    fn routing(&self) -> BTreeMap<usize, usize> {
        let mut first: BTreeMap<usize, usize> = BTreeMap::new();
        for &node in &self.topology.order {
            if self.kind(node) == FunctionKind::RootPort
                && self.fault[node].is_some()
                && let Some(complex) = self.complex(node)
                && !self.machine.roots[complex].never_routes_peers
            {
                first.entry(complex).or_insert(node);
            }
        }
        first
    }

    /// The root ports that do not redirect are joined with each other, and with what else is on the root buses of their
    /// root complex.
    fn root_ports(&self, edges: &mut Edges) {
        for &node in &self.topology.order {
            let Some(&port) = self
                .complex(node)
                .and_then(|complex| self.routing.get(&complex))
            else {
                continue;
            };
            let fault = self.fault[port].unwrap_or(NO_ACS);
            let because = match (self.kind(node), self.fault[node]) {
                (FunctionKind::RootPort, Some(own)) => format!(
                    "root ports of one root complex, which may route between them: `{}` {fault} and `{}` {own}",
                    self.name(port),
                    self.name(node),
                ),
                _ if self.is_integrated(node) => format!(
                    "on a root bus, to which the root complex may route from `{}`, which {fault}",
                    self.name(port)
                ),
                _ => continue,
            };
            edges.add(EdgeKind::Isolation, port, node, because);
        }
    }

    /// Whether a node is on a root bus, but is no port of it and not the host bridge's own function.
    fn is_integrated(&self, node: usize) -> bool {
        let own = matches!(
            self.kind(node),
            FunctionKind::RootPort | FunctionKind::HostBridge
        );
        self.topology.placed[node].parent.is_none() && !own && self.complex(node).is_some()
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
        let root = self.topology.placed[node].root?;
        Some(self.machine.complex(root)?.index())
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
