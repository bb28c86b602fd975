//! Bus mastering off on everything, before anything else is done.

use plan::pci::HostBridgeEntry;

use crate::address::Address;
use crate::config::{ConfigSpace, Function};
use crate::numbers::Numbers;
use crate::registers::{
    BUS_NUMBERS, COMMAND, COMMAND_MASTER, HEADER_LAYOUT, HEADER_TYPE, LAYOUT_BRIDGE,
};

/// Turns bus mastering off on every function that can be reached with the bus numbers that firmware left,
/// or that reset left, but those that `spared` names on a bus. What hides behind a bridge without bus numbers cannot be reached yet; the bridge does
/// not forward requests any more, and the enumeration turns it off when it becomes visible.
///
/// Every bus is visited once, so that bridges with overlapping numbers cannot keep this busy.
pub(crate) fn silence<C: ConfigSpace>(
    space: &C,
    host: &HostBridgeEntry,
    spared: impl Fn(u8) -> Numbers,
) {
    let (first, last) = (host.bus_first as u8, host.bus_last.min(255) as u8);
    let mut reachable = Numbers::default();
    reachable.add(first);
    let mut visited = Numbers::default();
    // A bridge may lead to a bus with a lower number than its own: go round until nothing is new.
    loop {
        let mut new = false;
        for bus in first..=last {
            if reachable.contains(bus) && visited.add(bus) {
                new = true;
                silence_bus(space, bus, &spared(bus), &mut reachable);
            }
        }
        if !new {
            break;
        }
    }
    // A root bus beside the first is not reached from it.
    for bus in first..=last {
        if visited.add(bus) && answers(space, bus) {
            silence_bus(space, bus, &spared(bus), &mut reachable);
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

fn silence_bus<C: ConfigSpace>(space: &C, bus: u8, spared: &Numbers, reachable: &mut Numbers) {
    for devfn in 0..=255 {
        let function = Function::new(space, Address::on_bus(bus, devfn));
        if spared.contains(devfn) || function.identity().is_none() {
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
