//! Taking over a function from an earlier life of this task, as it is.
//!
//! A driver goes on while this task is started again. So what an earlier life had brought into the planned state, and
//! still is in it, is only looked at: it decodes, forwards and is bus master throughout. Everything else is silenced
//! and set as at the first start.

use plan::pci::{FunctionEntry, FunctionFlags};

use crate::address::Address;
use crate::config::{ConfigSpace, Function};
use crate::fabric::{Fabric, has, on_pci};
use crate::numbers::Numbers;
use crate::registers::{COMMAND, COMMAND_INTX_OFF, COMMAND_MASTER, HEADER_TYPE};
use crate::{bar, bridge, capability, compare, extended, messages, power, program};

impl Fabric<'_> {
    /// Takes `index` over if it is as an earlier life left it, and what is above it was taken over.
    pub(crate) fn take_over<C: ConfigSpace>(&mut self, space: &C, index: usize) {
        let (Some(entry), Some(state)) = (self.plan.get(index), self.states.get(index)) else {
            return;
        };
        let before = state.before;
        let above = self
            .parent(index)
            .and_then(|parent| self.states.get(parent));
        let untouched = before.ready && !before.resetting && above.is_none_or(|above| above.kept);
        let function = Function::new(space, Self::address(entry));
        let express = if !untouched {
            None
        } else if on_pci(entry) {
            as_set(entry, &function, before.master)
        } else {
            Some(0)
        };
        let Some(state) = self.states.get_mut(index) else {
            return;
        };
        state.progress = before.progress();
        let Some(express) = express else {
            return;
        };
        state.kept = true;
        state.master = before.master;
        if on_pci(entry) {
            state.express = express;
            (state.vendor_id, state.device_id) = (entry.vendor_id, entry.device_id);
            state.visible = has(entry, FunctionFlags::BRIDGE);
            state.intx_off = function.read16(COMMAND) & COMMAND_INTX_OFF != 0;
        }
    }

    /// Numbers (slot << 3 | function) on a bus that are not to be touched: taken over, or being reset.
    pub(crate) fn spared(&self, bus: u8) -> Numbers {
        let mut spared = Numbers::default();
        for (entry, state) in self.plan.iter().zip(&self.states) {
            let address: Address = Self::address(entry);
            let left = state.kept || state.before.ready && state.before.resetting;
            if on_pci(entry) && address.bus() == bus && left {
                spared.add(address.0 as u8);
            }
        }
        spared
    }

    /// Whether an earlier life had a function which does not answer now, or must not be asked yet: a reset
    /// that was begun then has not ended.
    pub(crate) fn is_awaited<C: ConfigSpace>(&self, space: &C, index: usize) -> bool {
        let (Some(entry), Some(state)) = (self.plan.get(index), self.states.get(index)) else {
            return false;
        };
        let silent = || {
            Function::new(space, Self::address(entry))
                .identity()
                .is_none()
        };
        state.before.ready && (state.before.resetting || silent())
    }
}

/// Whether a function is exactly as this task sets one, by reading alone; the offset of its PCI Express capability,
/// 0 for none. Sizes of BARs cannot be read without moving them: an earlier life has compared those.
fn as_set<C: ConfigSpace>(
    entry: &FunctionEntry,
    function: &Function<'_, C>,
    master: bool,
) -> Option<u16> {
    let found = function.identity()?;
    if compare::identity(entry, found).is_some() {
        return None;
    }
    if has(entry, FunctionFlags::HOST_BRIDGE) {
        return Some(0);
    }
    let header = function.read8(HEADER_TYPE);
    if compare::multifunction(entry, header).is_some() || compare::layout(entry, header).is_some() {
        return None;
    }
    let express = capability::express(function).ok()?;
    let is_bridge = has(entry, FunctionFlags::BRIDGE);
    let set = compare::port_type(entry, function, express).is_none()
        && power::is_on(function) == Ok(true)
        && (!is_bridge || bridge::is_open(function, entry))
        && (has(entry, FunctionFlags::ANY_BARS) || bar::is_programmed(function, entry, is_bridge))
        && extended::is_off(function) == Ok(true)
        && messages::are_as_set(function, entry, master) == Ok(true)
        && (!has(entry, FunctionFlags::SET_ACS)
            || extended::has_acs(function, entry.acs) == Ok(true))
        && commands(entry, function.read16(COMMAND), master);
    set.then(|| express.unwrap_or(0))
}

/// Whether a command register is as planned, and bus mastering has not been lost. A bridge forwards for others, which
/// is settled when all are known.
fn commands(entry: &FunctionEntry, found: u16, master: bool) -> bool {
    let free = COMMAND_MASTER | COMMAND_INTX_OFF;
    let planned = program::planned_command(entry);
    let lost = master && found & COMMAND_MASTER == 0;
    found & !free == planned & !free && planned & COMMAND_INTX_OFF & !found == 0 && !lost
}
