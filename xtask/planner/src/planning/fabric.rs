//! The PCI fabric: functions in their places, BAR addresses, bridge windows.

use std::collections::BTreeMap;

use solver::model::{NodeId, Place};
use solver::solution::Solution;

use super::function::{Function, FunctionKind, PlacedBar};
use super::machine::{self, Described};
use crate::read::{Aperture, App, Bar};
use crate::report::{Mistake, Report, Reported};

/// Granularity of a bridge's memory windows (PCI-to-PCI Bridge Architecture 1.2, 3.2.5.8).
const WINDOW_UNIT: u64 = 1 << 20;
/// A window that lets nothing through: base above limit.
pub const WINDOW_CLOSED: [u64; 2] = [0xfff0_0000, 0x000f_ffff];

/// The fabric as planned: all functions, parents before children. A function's position is its number in every
/// protocol.
#[derive(Clone, Debug, Default)]
pub struct Fabric {
    /// All functions; an index into this list is the function's number in every protocol.
    pub functions: Vec<Function>,
    /// Last bus number given out.
    pub bus_last: u8,
}

impl Fabric {
    /// The indices of the functions directly below `parent`, or of those on root buses.
    pub fn children(&self, parent: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        self.functions
            .iter()
            .enumerate()
            .filter(move |(_, function)| {
                function.parent == parent && function.kind != FunctionKind::HostBridge
            })
            .map(|(index, _)| index)
    }

    /// The segment whose host has the apertures that are declared: 0, or the first. What is in another is only looked at,
    /// so no BAR of it gets an address.
    fn main_segment(&self) -> u16 {
        let segments = self.functions.iter().map(|function| function.segment);
        segments.min().unwrap_or(0)
    }

    /// Whether the function is on the first root bus.
    pub fn on_main_root(&self, function: &Function) -> bool {
        function.parent.is_none() && function.bus == 0 && function.segment == 0
    }

    /// Number of an endpoint by its index in `App::devices`.
    pub fn device(&self, device: usize) -> Option<usize> {
        self.functions
            .iter()
            .position(|function| function.kind == FunctionKind::Device(device))
    }

    /// The function whose bridge is on the root bus, above or at `function`.
    pub fn root_slot(&self, function: usize) -> Option<u8> {
        let mut at = self.functions.get(function)?;
        while let Some(parent) = at.parent {
            at = self.functions.get(parent)?;
        }
        Some(at.slot.0)
    }
}

/// The functions in the order of the solution, with the bus numbers it gave, and their BARs placed.
pub fn plan(
    report: &Report,
    app: &App,
    described: &Described,
    solution: &Solution,
) -> Result<Fabric, Reported> {
    let mut fabric = Fabric::default();
    let mut numbers: BTreeMap<NodeId, usize> = BTreeMap::new();
    for &node in &solution.order {
        let Some(function) = function(app, described, solution, &numbers, node) else {
            continue;
        };
        let last = function.buses_below.map_or(function.bus, |below| below.1);
        fabric.bus_last = fabric.bus_last.max(last);
        numbers.insert(node, fabric.functions.len());
        fabric.functions.push(function);
    }
    multifunction(&mut fabric);
    let mut space = Space {
        memory: bounds(&app.platform.pci.memory),
        prefetch: bounds(&app.platform.pci.prefetch),
        segment: fabric.main_segment(),
    };
    // A board whose apertures were not described is only looked at: no image is made of it, so no BAR of it is ever
    // programmed.
    if app.platform.pci.apertures().next().is_none() {
        return Ok(fabric);
    }
    let placed = place(&mut fabric, None, &mut space);
    let over = |aperture: [u64; 2], space: [u64; 2]| space[0] > aperture[0].max(space[1]);
    if placed.is_none()
        || over(bounds(&app.platform.pci.memory), space.memory)
        || over(bounds(&app.platform.pci.prefetch), space.prefetch)
    {
        let draft = report
            .error(
                Mistake::NoRoom,
                "the BARs do not fit into the apertures of the platform",
            )
            .note("all BARs are packed with natural alignment, behind bridges in units of 1 MiB")
            .remedy("use a platform with larger apertures, or declare smaller `bars`");
        drop(match largest(app) {
            Some(device) => draft.at(&device.name.span, "has the largest BAR"),
            None => draft,
        });
        return Err(Reported);
    }
    Ok(fabric)
}

/// Start and end; an aperture that there is not has no room. A BAR at bus address 0 would pass for one without an
/// address.
fn bounds(aperture: &Option<Aperture>) -> [u64; 2] {
    let page = abi::layout::PAGE;
    let bounds = |range: &Aperture| [range.start.max(page), range.end];
    aperture.as_ref().map_or([0; 2], bounds)
}

fn largest(app: &App) -> Option<&crate::read::Device> {
    let size = |device: &&crate::read::Device| device.bars.values().map(|bar| bar.len).max();
    app.devices.iter().max_by_key(size)
}

fn function(
    app: &App,
    described: &Described,
    solution: &Solution,
    numbers: &BTreeMap<NodeId, usize>,
    node: NodeId,
) -> Option<Function> {
    let declared = described.machine.nodes.get(node.index())?;
    let kind = *described.kinds.get(node.index())?;
    let found = solution.devices.get(node.index())?;
    let requester = found.requester?;
    let above = match declared.place {
        Place::Slot {
            upstream: solver::model::Upstream::Bridge(bridge),
            ..
        } => Some(bridge),
        Place::Virtual { physical, .. } => {
            let of = described.machine.nodes.get(physical.index())?;
            match of.place {
                Place::Slot {
                    upstream: solver::model::Upstream::Bridge(bridge),
                    ..
                } => Some(bridge),
                _ => None,
            }
        }
        _ => None,
    };
    let is_virtual = matches!(declared.place, Place::Virtual { .. });
    let bars = match kind {
        FunctionKind::Bridge(index) => app.bridges.get(index).map(|bridge| &bridge.bars),
        FunctionKind::Device(index) => app.devices.get(index).map(|device| &device.bars),
        FunctionKind::HostBridge | FunctionKind::Expander(_) => None,
    };
    let optional = above
        .and_then(|bridge| described.machine.nodes.get(bridge.index()))
        .is_some_and(|bridge| bridge.hotplug);
    let devfn = requester.devfn();
    let id = declared.function.identity;
    Some(Function {
        name: machine::name(app, kind),
        node,
        kind,
        id: (id.vendor, id.device),
        parent: above.and_then(|bridge| numbers.get(&bridge).copied()),
        segment: requester.segment,
        bus: requester.bus(),
        slot: (devfn >> 3, devfn & 7),
        buses_below: found
            .buses
            .map(|buses| (buses.secondary, buses.subordinate)),
        multifunction: declared.function.multifunction,
        is_virtual,
        optional,
        bars: bars
            .into_iter()
            .flatten()
            .filter(|_| !is_virtual)
            .map(|(&index, &bar)| (index, PlacedBar { bar, address: 0 }))
            .collect(),
        memory_window: WINDOW_CLOSED,
        prefetch_window: WINDOW_CLOSED,
    })
}

/// Several functions in a slot say so, whether or not the file does.
fn multifunction(fabric: &mut Fabric) {
    let mut slots: BTreeMap<(u16, u8, u8), Vec<usize>> = BTreeMap::new();
    for (index, function) in fabric.functions.iter().enumerate() {
        if !function.is_virtual && !function.optional {
            let slot = (function.segment, function.bus, function.slot.0);
            slots.entry(slot).or_default().push(index);
        }
    }
    for members in slots.values().filter(|members| members.len() > 1) {
        for &member in members {
            if let Some(function) = fabric.functions.get_mut(member) {
                function.multifunction = true;
            }
        }
    }
}

/// The free rest of the apertures, which are of a segment.
struct Space {
    segment: u16,
    memory: [u64; 2],
    prefetch: [u64; 2],
}

impl Space {
    fn window(&mut self, prefetch: bool) -> &mut [u64; 2] {
        if prefetch {
            &mut self.prefetch
        } else {
            &mut self.memory
        }
    }

    fn align(&mut self, unit: u64) -> Option<()> {
        for prefetch in [false, true] {
            let window = self.window(prefetch);
            window[0] = window[0].checked_next_multiple_of(unit)?;
        }
        Some(())
    }

    /// A BAR takes whole pages, so that mapping it maps nothing of another.
    fn take(&mut self, bar: Bar) -> Option<u64> {
        // A host without a 64-bit aperture has room for any BAR below 4 GiB only.
        let upper = self.prefetch[1] > 0;
        let window = self.window(bar.wide && bar.prefetch && upper);
        let unit = bar.len.max(abi::layout::PAGE);
        let address = window[0].checked_next_multiple_of(unit)?;
        window[0] = address.checked_add(unit)?;
        Some(address)
    }
}

fn place(fabric: &mut Fabric, parent: Option<usize>, space: &mut Space) -> Option<()> {
    let mut children: Vec<usize> = fabric.children(parent).collect();
    let function = |child: usize| fabric.functions.get(child);
    children.retain(|child| function(*child).is_some_and(|f| f.segment == space.segment));
    let mut bars: Vec<(u64, usize, usize)> = children
        .iter()
        .filter_map(|&child| Some((child, fabric.functions.get(child)?)))
        .flat_map(|(child, function)| {
            let bars = function.bars.iter();
            bars.map(move |(&index, placed)| (placed.bar.len, child, index))
        })
        .collect();
    // The largest first: natural alignment then wastes nothing.
    bars.sort_by_key(|&(len, child, index)| (std::cmp::Reverse(len), child, index));
    for (_, child, index) in bars {
        let placed = fabric.functions.get_mut(child)?.bars.get_mut(&index)?;
        placed.address = space.take(placed.bar)?;
    }
    for child in children {
        if fabric.functions.get(child)?.buses_below.is_none() {
            continue;
        }
        space.align(WINDOW_UNIT)?;
        let start = [space.memory[0], space.prefetch[0]];
        place(fabric, Some(child), space)?;
        let used = |start: u64, end: u64| {
            if end == start {
                WINDOW_CLOSED
            } else {
                [start, end.next_multiple_of(WINDOW_UNIT) - 1]
            }
        };
        let function = fabric.functions.get_mut(child)?;
        function.memory_window = used(start[0], space.memory[0]);
        function.prefetch_window = used(start[1], space.prefetch[0]);
        space.align(WINDOW_UNIT)?;
    }
    Some(())
}
