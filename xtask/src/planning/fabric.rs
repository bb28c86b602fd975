//! The PCI fabric: order of functions, bus numbers, BAR addresses, bridge windows.

use std::collections::BTreeMap;

use crate::read::{App, Bar};
use crate::report::{Mistake, Report, Reported, Spanned};

/// Granularity of a bridge's memory windows (PCI-to-PCI Bridge Architecture 1.2, 3.2.5.8).
const WINDOW_UNIT: u64 = 1 << 20;
/// A window that lets nothing through: base above limit.
pub const WINDOW_CLOSED: [u64; 2] = [0xfff0_0000, 0x000f_ffff];

/// All functions, parents before children; the position is the device's number in every protocol.
#[derive(Clone, Debug, Default)]
pub struct Fabric {
    pub functions: Vec<Function>,
    /// Last bus number given out.
    pub bus_last: u8,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FunctionKind {
    HostBridge,
    /// Index in `App::bridges`.
    Bridge(usize),
    /// Index in `App::devices`.
    Device(usize),
}

/// One function in its place.
#[derive(Clone, Debug)]
pub struct Function {
    pub name: String,
    pub kind: FunctionKind,
    pub id: (u16, u16),
    /// Index of the bridge above.
    pub parent: Option<usize>,
    pub bus: u8,
    pub slot: (u8, u8),
    /// Bridges: the bus behind it and the last one below it.
    pub buses_below: Option<(u8, u8)>,
    pub multifunction: bool,
    pub bars: BTreeMap<usize, PlacedBar>,
    /// 32-bit memory window of a bridge, base and limit inclusive.
    pub memory_window: [u64; 2],
    pub prefetch_window: [u64; 2],
}

/// A BAR with its address.
#[derive(Clone, Copy, Debug)]
pub struct PlacedBar {
    pub bar: Bar,
    pub address: u64,
}

impl Function {
    /// Requester id.
    pub fn rid(&self) -> u16 {
        u16::from(self.bus) << 8 | u16::from(self.slot.0) << 3 | u16::from(self.slot.1)
    }

    /// `bus:device.function` for a person.
    pub fn address(&self) -> String {
        format!("{:02x}:{:02x}.{}", self.bus, self.slot.0, self.slot.1)
    }
}

impl Fabric {
    pub fn children(&self, parent: Option<usize>) -> impl Iterator<Item = usize> + '_ {
        self.functions
            .iter()
            .enumerate()
            .filter(move |(_, function)| {
                function.parent == parent && function.kind != FunctionKind::HostBridge
            })
            .map(|(index, _)| index)
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

/// Something to be put on a bus.
struct Wired {
    name: Spanned<String>,
    kind: FunctionKind,
    id: (u16, u16),
    at: Option<Spanned<String>>,
    slot: (u8, u8),
    bars: BTreeMap<usize, Bar>,
}

/// Places everything that `app.toml` declares; empty if it declares nothing.
pub fn plan(report: &Report, app: &App) -> Result<Fabric, Reported> {
    let wired = wired(app);
    if wired.is_empty() {
        return Ok(Fabric::default());
    }
    check(report, app, &wired);
    report.check()?;
    let mut fabric = Fabric::default();
    fabric.functions.push(Function {
        name: "host-bridge".to_owned(),
        kind: FunctionKind::HostBridge,
        id: app.platform.pci.host_bridge,
        parent: None,
        bus: 0,
        slot: (0, 0),
        buses_below: None,
        multifunction: false,
        bars: BTreeMap::new(),
        memory_window: WINDOW_CLOSED,
        prefetch_window: WINDOW_CLOSED,
    });
    let mut next_bus = 0u8;
    number(&mut fabric, &wired, None, None, 0, &mut next_bus);
    fabric.bus_last = next_bus;
    if u32::from(next_bus) >= app.platform.pci.buses {
        report.error(Mistake::NoRoom, "the platform has not that many buses");
    }
    let mut space = Space {
        memory: app.platform.pci.memory,
        prefetch: app.platform.pci.prefetch,
    };
    let placed = place(&mut fabric, None, &mut space);
    if placed.is_none()
        || space.memory[0] > space.memory[1]
        || space.prefetch[0] > space.prefetch[1]
    {
        report
            .error(
                Mistake::NoRoom,
                "the BARs do not fit into the apertures of the platform",
            )
            .note("all BARs are packed with natural alignment, behind bridges in units of 1 MiB");
    }
    report.check()?;
    Ok(fabric)
}

fn wired(app: &App) -> Vec<Wired> {
    let bridges = app.bridges.iter().enumerate().map(|(index, bridge)| Wired {
        name: bridge.name.clone(),
        kind: FunctionKind::Bridge(index),
        id: bridge.id,
        at: bridge.at.clone(),
        slot: bridge.slot.value,
        bars: bridge.known.bars.clone(),
    });
    let devices = app.devices.iter().enumerate().map(|(index, device)| Wired {
        name: device.name.clone(),
        kind: FunctionKind::Device(index),
        id: device.id.value,
        at: device.at.clone(),
        slot: device.slot.as_ref().map_or((0, 0), |slot| slot.value),
        bars: device.bars.clone(),
    });
    let mut wired: Vec<Wired> = bridges.chain(devices).collect();
    wired.sort_by(|a, b| (a.slot, &a.name.value).cmp(&(b.slot, &b.name.value)));
    wired
}

fn check(report: &Report, app: &App, wired: &[Wired]) {
    let bridge = |name: &str| {
        wired
            .iter()
            .find(|w| matches!(w.kind, FunctionKind::Bridge(_)) && w.name.value == name)
    };
    let mut taken: BTreeMap<(Option<&str>, (u8, u8)), &Wired> = BTreeMap::new();
    for item in wired {
        let at = item.at.as_ref().map(|at| at.value.as_str());
        if let Some(at) = &item.at
            && bridge(&at.value).is_none()
        {
            let known: Vec<&str> = app.bridges.iter().map(|b| b.name.value.as_str()).collect();
            report
                .error(
                    Mistake::UnknownBridge,
                    format!("there is no bridge `{}`", at.value),
                )
                .at(&at.span, "not a table below [pci]")
                .note(format!("declared: {}", known.join(", ")));
        }
        slot_is_possible(report, app, item);
        if let Some(other) = taken.insert((at, item.slot), item) {
            report
                .error(
                    Mistake::SlotTaken,
                    format!("slot {}.{} is taken twice", item.slot.0, item.slot.1),
                )
                .at(&item.name.span, format!("`{}`", item.name.value))
                .with(&other.name.span, format!("`{}`", other.name.value))
                .remedy("put one of them into another slot, or below another bridge");
        }
        let mut above = item.at.as_ref().and_then(|at| bridge(&at.value));
        let mut steps = 0;
        while let Some(next) = above {
            steps += 1;
            if steps > wired.len() {
                report
                    .error(
                        Mistake::Loop,
                        format!("`{}` is above itself", item.name.value),
                    )
                    .at(
                        &item.name.span,
                        "the chain of `at` does not end at the root bus",
                    );
                break;
            }
            above = next.at.as_ref().and_then(|at| bridge(&at.value));
        }
    }
}

fn slot_is_possible(report: &Report, app: &App, item: &Wired) {
    let [first, last] = app.platform.pci.root_slots;
    if item.at.is_none() && !(first..=last).contains(&item.slot.0) {
        report
            .error(
                Mistake::BadSlot,
                format!("the root bus has no free slot {}", item.slot.0),
            )
            .at(&item.name.span, format!("slots {first} to {last} are free"));
    }
    // A PCI Express link has one device, and everything below a root port is one link.
    if item.at.is_some() && item.slot.0 != 0 {
        report
            .error(Mistake::BadSlot, "below a root port there is only slot 0")
            .at(
                &item.name.span,
                format!("`{}` is in slot {}", item.name.value, item.slot.0),
            )
            .remedy("give it a root port of its own");
    }
}

/// Depth first, so that every bridge has one run of bus numbers below it.
fn number(
    fabric: &mut Fabric,
    wired: &[Wired],
    parent: Option<usize>,
    parent_name: Option<&str>,
    bus: u8,
    next_bus: &mut u8,
) {
    let here = |item: &&Wired| item.at.as_ref().map(|at| at.value.as_str()) == parent_name;
    for item in wired.iter().filter(here) {
        let multifunction = wired
            .iter()
            .filter(here)
            .any(|other| other.slot.0 == item.slot.0 && other.slot.1 != item.slot.1);
        let index = fabric.functions.len();
        fabric.functions.push(Function {
            name: item.name.value.clone(),
            kind: item.kind,
            id: item.id,
            parent,
            bus,
            slot: item.slot,
            buses_below: None,
            multifunction,
            bars: item
                .bars
                .iter()
                .map(|(&index, &bar)| (index, PlacedBar { bar, address: 0 }))
                .collect(),
            memory_window: WINDOW_CLOSED,
            prefetch_window: WINDOW_CLOSED,
        });
        if matches!(item.kind, FunctionKind::Bridge(_)) && *next_bus < u8::MAX {
            *next_bus += 1;
            let secondary = *next_bus;
            number(
                fabric,
                wired,
                Some(index),
                Some(&item.name.value),
                secondary,
                next_bus,
            );
            if let Some(function) = fabric.functions.get_mut(index) {
                function.buses_below = Some((secondary, *next_bus));
            }
        }
    }
}

/// What is left of the apertures.
struct Space {
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
        let window = self.window(bar.wide && bar.prefetch);
        let unit = bar.len.max(abi::layout::PAGE);
        let address = window[0].checked_next_multiple_of(unit)?;
        window[0] = address.checked_add(unit)?;
        Some(address)
    }
}

fn place(fabric: &mut Fabric, parent: Option<usize>, space: &mut Space) -> Option<()> {
    let children: Vec<usize> = fabric.children(parent).collect();
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
