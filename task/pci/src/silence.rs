//! Bus mastering off on everything, before anything else is done.

use plan::pci::HostBridgeEntry;

use crate::address::Address;
use crate::config::{ConfigSpace, Function};
use crate::registers::{
    BUS_NUMBERS, COMMAND, COMMAND_MASTER, HEADER_LAYOUT, HEADER_TYPE, LAYOUT_BRIDGE,
};

/// A set of bus numbers.
#[derive(Default)]
struct Buses([u64; 4]);

impl Buses {
    /// Adds a bus; false if it is there already.
    fn add(&mut self, bus: u8) -> bool {
        let Some(word) = self.0.get_mut(usize::from(bus >> 6)) else {
            return false;
        };
        let bit = 1 << (bus & 63);
        let new = *word & bit == 0;
        *word |= bit;
        new
    }
    fn contains(&self, bus: u8) -> bool {
        let word = self.0.get(usize::from(bus >> 6)).copied().unwrap_or(0);
        word >> (bus & 63) & 1 != 0
    }
}

/// Turns bus mastering off on every function that can be reached with the bus numbers that firmware left,
/// or that reset left. What hides behind a bridge without bus numbers cannot be reached yet; the bridge does
/// not forward requests any more, and the enumeration turns it off when it becomes visible.
///
/// Every bus is visited once, so that bridges with overlapping numbers cannot keep this busy.
pub(crate) fn silence<C: ConfigSpace>(space: &C, host: &HostBridgeEntry) {
    let (first, last) = (host.bus_first as u8, host.bus_last.min(255) as u8);
    let mut reachable = Buses::default();
    reachable.add(first);
    let mut visited = Buses::default();
    // A bridge may lead to a bus with a lower number than its own: go round until nothing is new.
    loop {
        let mut new = false;
        for bus in first..=last {
            if reachable.contains(bus) && visited.add(bus) {
                new = true;
                silence_bus(space, bus, &mut reachable);
            }
        }
        if !new {
            break;
        }
    }
    // A root bus beside the first is not reached from it.
    for bus in first..=last {
        if visited.add(bus) && answers(space, bus) {
            silence_bus(space, bus, &mut reachable);
        }
    }
}

/// Whether a function 0, which every device has, answers on a bus.
pub(crate) fn answers<C: ConfigSpace>(space: &C, bus: u8) -> bool {
    (0..32).any(|slot| {
        let first = Address::on_bus(bus, slot << 3);
        Function::new(space, first).identity().is_some()
    })
}

fn silence_bus<C: ConfigSpace>(space: &C, bus: u8, reachable: &mut Buses) {
    for devfn in 0..=255 {
        let function = Function::new(space, Address::on_bus(bus, devfn));
        if function.identity().is_none() {
            continue;
        }
        let command = function.read16(COMMAND);
        if command & COMMAND_MASTER != 0 {
            function.write16(COMMAND, command & !COMMAND_MASTER);
        }
        if function.read8(HEADER_TYPE) & HEADER_LAYOUT == LAYOUT_BRIDGE {
            let [_, secondary, subordinate, _] = function.read32(BUS_NUMBERS).to_le_bytes();
            if secondary != 0 {
                for below in secondary..=subordinate {
                    reachable.add(below);
                }
            }
        }
    }
}
