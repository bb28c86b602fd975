//! The fabric as a tree: order, bus numbers, requester ids.
//!
//! Everything after this step works on positions in topological order and never on positions of
//! declaration, which is what makes the solution independent of the latter.

mod checks;
mod numbers;

use std::collections::{HashMap, HashSet};

use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Machine, NodeId, Place, RootId, Upstream};
use crate::solution::{BridgeBuses, Requester};

/// A node with its place in the topology.
#[derive(Clone, Debug, Default)]
pub(crate) struct Placed {
    /// Bridge whose secondary bus it is on; for a virtual function that of its physical one.
    pub parent: Option<usize>,
    /// The node's root bus; `None` for platform devices and for what is not connected.
    pub root: Option<RootId>,
    pub requester: Option<Requester>,
    pub buses: Option<BridgeBuses>,
    /// Another device may sit in the node's slot instead of it.
    pub alternative: bool,
    /// The alternatives of hotplug slots without which it is not there: itself, its physical function, bridges above.
    pub hangs_on: Vec<usize>,
    /// The port that leaves the machine above the node, if there is one.
    pub external: Option<usize>,
    /// The nearest port above it whose devices may be others than declared: external or hotplug.
    pub socket: Option<usize>,
    /// Physical function of a virtual one.
    pub physical: Option<usize>,
}

/// The fabric.
pub(crate) struct Topology {
    /// All nodes in an order in which parents come first.
    pub order: Vec<usize>,
    pub placed: Vec<Placed>,
    /// Functions below each bridge, virtual ones included, in slot order.
    pub children: Vec<Vec<usize>>,
    pub diagnostics: Vec<Diagnostic>,
}

/// A key that sorts functions of one bus; the name tells alternatives apart.
type SlotKey<'a> = (u16, &'a str);

impl Topology {
    pub fn new(machine: &Machine) -> Self {
        Builder {
            machine,
            placed: vec![Placed::default(); machine.nodes.len()],
            children: vec![Vec::new(); machine.nodes.len()],
            virtuals: vec![Vec::new(); machine.nodes.len()],
            order: Vec::with_capacity(machine.nodes.len()),
            seen: vec![false; machine.nodes.len()],
            pinned: machine
                .nodes
                .iter()
                .filter_map(|n| n.function.buses.secondary)
                .collect(),
            used: HashSet::new(),
            virtual_buses: HashSet::new(),
            diagnostics: Vec::new(),
        }
        .build()
    }

    /// Everything below `bridge`, what is above first.
    pub fn below(&self, bridge: usize) -> Vec<usize> {
        let mut below = Vec::new();
        let mut stack: Vec<usize> = self.children[bridge].iter().rev().copied().collect();
        while let Some(node) = stack.pop() {
            // A function that is not connected has no place, and may be below itself.
            if self.placed[node].requester.is_some() {
                below.push(node);
                stack.extend(self.children[node].iter().rev());
            }
        }
        below
    }
}

struct Builder<'a> {
    machine: &'a Machine,
    placed: Vec<Placed>,
    children: Vec<Vec<usize>>,
    virtuals: Vec<Vec<usize>>,
    order: Vec<usize>,
    seen: Vec<bool>,
    /// Secondary bus numbers that some bridge pins, of whatever segment.
    pinned: HashSet<u8>,
    /// Bus numbers given out.
    used: HashSet<(u16, u8)>,
    /// The buses that only virtual functions are on.
    virtual_buses: HashSet<(u16, u8)>,
    diagnostics: Vec<Diagnostic>,
}

impl Builder<'_> {
    fn build(mut self) -> Topology {
        self.check_names();
        let mut roots: Vec<usize> = (0..self.machine.roots.len()).collect();
        roots.sort_by(|a, b| {
            let (a, b) = (&self.machine.roots[*a], &self.machine.roots[*b]);
            (a.segment, a.bus, &a.name).cmp(&(b.segment, b.bus, &b.name))
        });
        let on_root = self.collect_children();
        for root in &roots {
            let root = &self.machine.roots[*root];
            if !self.used.insert((root.segment, root.bus)) {
                self.diagnostics.push(
                    Diagnostic::new(
                        Code::BusNumbers,
                        format!(
                            "bus {:02x} of segment {} has two root buses",
                            root.bus, root.segment
                        ),
                    )
                    .party(format!("`{}`", root.name), root.source),
                );
            }
        }
        for root in roots {
            let slots = on_root.get(&root).cloned().unwrap_or_default();
            self.place_root(root, &slots);
        }
        self.check_ids();
        self.adopt_virtual();
        self.place_platform();
        self.report_unconnected();
        Topology {
            order: self.order,
            placed: self.placed,
            children: self.children,
            diagnostics: self.diagnostics,
        }
    }

    fn key(&self, node: usize) -> SlotKey<'_> {
        let entry = &self.machine.nodes[node];
        let slot = match entry.place {
            Place::Slot {
                device, function, ..
            } => u16::from(device) << 8 | u16::from(function),
            Place::Virtual { offset, .. } => offset,
            Place::Platform { .. } => 0,
        };
        (slot, &entry.name)
    }

    /// Files every function below its bridge, its root bus or its physical function.
    fn collect_children(&mut self) -> HashMap<usize, Vec<usize>> {
        let mut on_root: HashMap<usize, Vec<usize>> = HashMap::new();
        for (index, node) in self.machine.nodes.iter().enumerate() {
            match node.place {
                Place::Slot {
                    upstream: Upstream::Root(root),
                    ..
                } => {
                    on_root.entry(root.index()).or_default().push(index);
                }
                Place::Slot {
                    upstream: Upstream::Bridge(bridge),
                    ..
                } => match self.machine.nodes.get(bridge.index()) {
                    Some(above) if above.function.kind.is_bridge() => {
                        self.children[bridge.index()].push(index);
                    }
                    _ => {}
                },
                Place::Virtual { physical, .. } => {
                    if let Some(list) = self.virtuals.get_mut(physical.index()) {
                        list.push(index);
                    }
                }
                Place::Platform { .. } => {}
            }
        }
        let mut children = core::mem::take(&mut self.children);
        for list in children.iter_mut().chain(on_root.values_mut()) {
            list.sort_by(|a, b| self.key(*a).cmp(&self.key(*b)));
        }
        self.children = children;
        let mut virtuals = core::mem::take(&mut self.virtuals);
        for list in &mut virtuals {
            list.sort_by(|a, b| self.key(*a).cmp(&self.key(*b)));
        }
        self.virtuals = virtuals;
        on_root
    }

    /// Places what is on a root bus and, depth first, all below it. Bus numbers are given in that order,
    /// as firmware does, so that they can be predicted by hand.
    fn place_root(&mut self, root: usize, slots: &[usize]) {
        let entry = &self.machine.roots[root];
        let mut stack = vec![Frame {
            bridge: None,
            bus: entry.bus,
            at: 0,
            ranges: Vec::new(),
            virtuals: Vec::new(),
            next: u16::from(entry.bus) + 1,
            last: entry.bus_last.max(entry.bus),
        }];
        self.check_slots(slots);
        while let Some(mut frame) = stack.pop() {
            let list = frame
                .bridge
                .map_or(slots, |b: usize| self.children[b].as_slice());
            let Some(&node) = list.get(frame.at) else {
                if let Some(bridge) = frame.bridge {
                    let next = self.close(bridge, &frame);
                    if let Some(outer) = stack.last_mut() {
                        self.check_range(bridge, outer);
                        outer.next = outer.next.max(next);
                    }
                }
                continue;
            };
            frame.at += 1;
            self.place(node, root, &mut frame);
            let below = if self.machine.nodes[node].function.kind.is_bridge() {
                self.open(node, &frame)
            } else {
                None
            };
            stack.push(frame);
            if let Some(below) = below {
                let list = self.children[node].clone();
                self.check_slots(&list);
                stack.push(below);
            }
        }
    }

    fn place(&mut self, node: usize, root: usize, frame: &mut Frame) {
        let machine = self.machine;
        let bridge = frame.bridge;
        let Place::Slot {
            device, function, ..
        } = machine.nodes[node].place
        else {
            return;
        };
        let segment = machine.roots[root].segment;
        self.check_slot_numbers(node, device, function);
        self.check_place(node, bridge);
        let id = u16::from_be_bytes([frame.bus, (device & 31) << 3 | (function & 7)]);
        let external = bridge.and_then(|b| {
            if machine.nodes[b].external {
                Some(b)
            } else {
                self.placed[b].external
            }
        });
        let socket = bridge.and_then(|b| {
            let above = &machine.nodes[b];
            (above.external || above.hotplug)
                .then_some(b)
                .or(self.placed[b].socket)
        });
        let alternative = self.placed[node].alternative;
        let mut hangs_on = bridge.map_or(Vec::new(), |b| self.placed[b].hangs_on.clone());
        if alternative {
            hangs_on.push(node);
        }
        self.placed[node] = Placed {
            parent: bridge,
            root: Some(RootId::new(root)),
            requester: Some(Requester { segment, id }),
            external,
            socket,
            alternative,
            hangs_on: hangs_on.clone(),
            ..Placed::default()
        };
        self.seen[node] = true;
        self.order.push(node);
        for index in 0..self.virtuals[node].len() {
            let child = self.virtuals[node][index];
            let Place::Virtual { offset, .. } = machine.nodes[child].place else {
                continue;
            };
            let below = self.check_virtual(child, node, u32::from(id) + u32::from(offset), frame);
            let id = id.wrapping_add(offset);
            if below {
                // Virtual functions may use bus numbers after that of their physical one; no bridge may get those.
                let [bus, _] = id.to_be_bytes();
                frame.next = frame.next.max(u16::from(bus) + 1);
                self.check_virtual_bus(child, bus, frame);
            }
            self.placed[child] = Placed {
                parent: bridge,
                root: Some(RootId::new(root)),
                requester: Some(Requester { segment, id }),
                external,
                socket,
                hangs_on: hangs_on.clone(),
                physical: Some(node),
                ..Placed::default()
            };
            self.seen[child] = true;
            self.order.push(child);
        }
    }

    /// A bus has 32 device numbers, each with 8 functions.
    fn check_slot_numbers(&mut self, node: usize, device: u8, function: u8) {
        if device > 31 || function > 7 {
            let name = &self.machine.nodes[node].name;
            let found =
                format!("`{name}` has device number {device} and function number {function}");
            let found = Diagnostic::new(Code::SlotRange, found);
            self.diagnostics
                .push(found.device(self.machine, node, format!("`{name}`")));
        }
    }

    /// Files virtual functions below their bridge, each after its physical function.
    fn adopt_virtual(&mut self) {
        for list in &mut self.children {
            let all = list.iter().flat_map(|node| {
                core::iter::once(*node).chain(self.virtuals[*node].iter().copied())
            });
            *list = all.collect();
        }
    }

    fn place_platform(&mut self) {
        let mut list: Vec<usize> = (0..self.machine.nodes.len())
            .filter(|n| matches!(self.machine.nodes[*n].place, Place::Platform { .. }))
            .collect();
        list.sort_by(|a, b| {
            self.machine.nodes[*a]
                .name
                .cmp(&self.machine.nodes[*b].name)
        });
        for node in list {
            self.seen[node] = true;
            self.order.push(node);
        }
    }

    fn report_unconnected(&mut self) {
        let mut left: Vec<usize> = (0..self.seen.len()).filter(|n| !self.seen[*n]).collect();
        left.sort_by(|a, b| {
            self.machine.nodes[*a]
                .name
                .cmp(&self.machine.nodes[*b].name)
        });
        for node in left {
            let entry = &self.machine.nodes[node];
            let mut diagnostic = Diagnostic::new(
                Code::BrokenTree,
                format!("`{}` is not connected to a root bus", entry.name),
            )
            .device(self.machine, node, format!("`{}`", entry.name));
            let above: Option<NodeId> = match entry.place {
                Place::Slot {
                    upstream: Upstream::Bridge(bridge),
                    ..
                } => Some(bridge),
                Place::Virtual { physical, .. } => Some(physical),
                _ => None,
            };
            if let Some(above) = above.and_then(|a| self.machine.nodes.get(a.index())) {
                diagnostic = diagnostic.party(
                    format!("`{}` is said to be above it", above.name),
                    above.source,
                );
            }
            self.diagnostics.push(diagnostic);
            self.order.push(node);
        }
    }
}

/// A bus whose functions are being placed.
struct Frame {
    bridge: Option<usize>,
    bus: u8,
    /// The next of its functions.
    at: usize,
    /// Secondary and subordinate bus of the bridges on it so far.
    ranges: Vec<(usize, u8, u8)>,
    /// The other buses that the device's virtual functions are on.
    virtuals: Vec<(usize, u8)>,
    /// The next bus number to give to a bridge on it.
    next: u16,
    /// The last one that may be given.
    last: u8,
}
