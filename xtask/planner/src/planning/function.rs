//! A PCI function in its place.

use std::collections::BTreeMap;

use solver::model::NodeId;

use crate::read::Bar;

/// The kind of a function, as the PCI task and the kernel see it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FunctionKind {
    /// The host bridge's own function on a root bus.
    HostBridge,
    /// The function of an expander; index in `App::roots`.
    Expander(usize),
    /// Index in `App::bridges`.
    Bridge(usize),
    /// Index in `App::devices`.
    Device(usize),
}

/// One function in its place.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name in `app.toml`.
    pub name: String,
    /// The function's number in the solver's machine.
    pub node: NodeId,
    /// The function's kind.
    pub kind: FunctionKind,
    /// Vendor and device identity.
    pub id: (u16, u16),
    /// Index of the bridge above.
    pub parent: Option<usize>,
    /// The PCI segment (domain).
    pub segment: u16,
    /// The bus number, as planned.
    pub bus: u8,
    /// Device and function number on that bus.
    pub slot: (u8, u8),
    /// Bridges: the bus behind it and the last one below it.
    pub buses_below: Option<(u8, u8)>,
    /// Whether the header says that there are further functions.
    pub multifunction: bool,
    /// A virtual function: no slot, no BARs of its own.
    pub is_virtual: bool,
    /// Whether the function may be absent, because it is in a hotplug slot.
    pub optional: bool,
    /// The BARs by their index, with their planned addresses.
    pub bars: BTreeMap<usize, PlacedBar>,
    /// 32-bit memory window of a bridge, base and limit inclusive.
    pub memory_window: [u64; 2],
    /// First and last address of the prefetchable window of a bridge.
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

    /// Whether both may appear in one hotplug slot, as alternatives.
    pub fn is_alternative_of(&self, other: &Self) -> bool {
        (self.rid(), self.segment) == (other.rid(), other.segment)
            && self.optional
            && other.optional
    }

    /// `bus:device.function` for a person.
    pub fn address(&self) -> String {
        format!("{:02x}:{:02x}.{}", self.bus, self.slot.0, self.slot.1)
    }
}
