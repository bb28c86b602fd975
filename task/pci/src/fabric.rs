//! The fabric: the plan, and what this task knows beyond it.

use pci_api::BootStatus;
use plan::pci::{FunctionEntry, FunctionFlags, HostBridgeEntry, Quiesce};

use crate::address::Address;
use crate::states::{States, TooLarge};

/// One segment of PCI Express.
pub struct Fabric<'p> {
    pub(crate) host: &'p HostBridgeEntry,
    pub(crate) plan: &'p [FunctionEntry],
    pub(crate) states: States,
    pub(crate) mismatches: u32,
    pub(crate) undeclared: u32,
    /// An earlier life of this task had finished its enumeration.
    pub(crate) resumed: bool,
}

// It is moved on its way to where it stays, and the stack has to hold it more than once.
const _: () = assert!(size_of::<Fabric<'_>>() <= 10 << 10);

impl<'p> Fabric<'p> {
    /// A fabric of which nothing is known yet.
    pub fn new(host: &'p HostBridgeEntry, plan: &'p [FunctionEntry]) -> Result<Self, TooLarge> {
        Ok(Self {
            host,
            plan,
            states: States::new(plan.len())?,
            mismatches: 0,
            undeclared: 0,
            resumed: false,
        })
    }

    pub(crate) fn address(entry: &FunctionEntry) -> Address {
        Address(entry.rid)
    }

    /// Index of a planned function at an address; of the alternatives of a hotplug slot the first.
    pub(crate) fn planned_at(&self, address: Address) -> Option<usize> {
        let is_there = |entry: &FunctionEntry| entry.rid == address.0 && on_pci(entry);
        self.plan.iter().position(is_there)
    }

    /// Whether what was found in the place of `index` is another alternative of its hotplug slot.
    pub(crate) fn is_alternative(&self, index: usize, found: (u16, u16)) -> bool {
        let expected = |entry: &FunctionEntry| (entry.vendor_id, entry.device_id) == found;
        let own = self.plan.get(index).filter(|own| !expected(own));
        let mut others = self.plan.iter().filter(|other| on_pci(other));
        own.is_some_and(|own| others.any(|other| other.rid == own.rid && expected(other)))
    }

    /// The buses that the hardware can have.
    pub(crate) fn buses(&self) -> impl Iterator<Item = u8> + use<> {
        self.host.bus_first as u8..=self.host.bus_last.min(255) as u8
    }

    /// Whether no bridge is above a bus: the first one, and those of expanders.
    pub(crate) fn is_root(&self, bus: u8) -> bool {
        let on =
            |entry: &FunctionEntry| entry.parent == plan::NONE && Self::address(entry).bus() == bus;
        let mut functions = self.plan.iter().filter(|entry| on_pci(entry));
        u32::from(bus) == self.host.bus_first || functions.any(on)
    }

    /// Index of the bridge above a function. Parents come first in the table, which bounds every walk upwards.
    pub(crate) fn parent(&self, index: usize) -> Option<usize> {
        let parent = self.plan.get(index)?.parent as usize;
        (parent < index).then_some(parent)
    }

    /// Whether `bridge` is above `index`.
    pub(crate) fn is_below(&self, index: usize, bridge: usize) -> bool {
        let mut at = index;
        while let Some(parent) = self.parent(at) {
            if parent == bridge {
                return true;
            }
            at = parent;
        }
        false
    }

    /// Whether a function may be started.
    pub(crate) fn is_ready(&self, index: usize) -> bool {
        self.states
            .get(index)
            .is_some_and(|state| state.reason.is_none() && !state.absent)
    }

    /// Whether the policy is to start nothing because of a difference.
    pub fn is_refused(&self) -> bool {
        self.host.refuse_on_mismatch != 0 && self.mismatches != 0
    }

    /// Functions that are bus masters since before this life.
    pub fn going_on(&self) -> usize {
        self.states.iter().filter(|s| s.kept && s.master).count()
    }

    /// Outcome of the enumeration.
    pub fn boot_status(&self) -> BootStatus {
        let ready = (0..self.plan.len()).filter(|i| self.is_ready(*i)).count();
        BootStatus {
            ready: ready as u32,
            mismatches: self.mismatches,
            undeclared: self.undeclared,
            refused: self.is_refused(),
        }
    }
}

pub(crate) fn has(entry: &FunctionEntry, flag: FunctionFlags) -> bool {
    FunctionFlags::from_bits_truncate(entry.flags).contains(flag)
}

/// Whether it is a function of the fabric, and not a device beside it.
pub(crate) fn on_pci(entry: &FunctionEntry) -> bool {
    !has(entry, FunctionFlags::PLATFORM)
}

/// The recipe of a function; an unknown number is none.
pub(crate) fn recipe(entry: &FunctionEntry) -> Quiesce {
    [
        Quiesce::FunctionReset,
        Quiesce::BusReset,
        Quiesce::Poll,
        Quiesce::WriteThenPoll,
        Quiesce::Wait,
    ]
    .into_iter()
    .find(|quiesce| *quiesce as u32 == entry.quiesce)
    .unwrap_or(Quiesce::None)
}
