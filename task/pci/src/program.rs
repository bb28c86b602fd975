//! Setting one function as planned; at boot, and again after a reset.

use pci_api::Mismatch;
use plan::pci::{FunctionEntry, FunctionFlags};

use crate::config::{ConfigSpace, Function};
use crate::fabric::{Fabric, has, on_pci};
use crate::registers::{COMMAND, COMMAND_INTX_OFF, COMMAND_MASTER, COMMAND_MEMORY};
use crate::states::State;
use crate::{bar, bridge, extended, link};

/// Sets BARs, a bridge's bus numbers and windows, ACS, and turns off what must be off. The command register
/// is left alone: nothing is decoded before all of this holds.
pub(crate) fn function<C: ConfigSpace>(
    function: &Function<'_, C>,
    entry: &FunctionEntry,
) -> Result<(), Mismatch> {
    let is_bridge = has(entry, FunctionFlags::BRIDGE);
    if is_bridge && !bridge::open(function, entry) {
        return Err(Mismatch::BridgeRegisters);
    }
    if !has(entry, FunctionFlags::HOST_BRIDGE) && !bar::program(function, entry, is_bridge) {
        return Err(Mismatch::BarAddress);
    }
    extended::turn_off(function).map_err(|_| Mismatch::Capabilities)?;
    link::set(function).map_err(|_| Mismatch::Capabilities)?;
    if has(entry, FunctionFlags::SET_ACS) {
        match extended::set_acs(function, entry.acs) {
            Ok(true) => {}
            Ok(false) => return Err(Mismatch::Acs),
            Err(_) => return Err(Mismatch::Capabilities),
        }
    }
    Ok(())
}

/// The command register as the plan has it, without what its owner and the authority may change.
pub(crate) fn planned_command(entry: &FunctionEntry) -> u16 {
    let mut command = 0;
    if has(entry, FunctionFlags::BRIDGE) || bar::decodes(entry) {
        command |= COMMAND_MEMORY;
    }
    if has(entry, FunctionFlags::NO_INTERRUPT) {
        command |= COMMAND_INTX_OFF;
    }
    command
}

/// The command register as a whole: never accumulated from what a device shows.
pub(crate) fn command(entry: &FunctionEntry, state: &State, master: bool) -> u16 {
    let mut command = planned_command(entry);
    if master {
        command |= COMMAND_MASTER;
    }
    if state.intx_off {
        command |= COMMAND_INTX_OFF;
    }
    command
}

impl Fabric<'_> {
    /// Writes a ready function's command register from what is known of it. False if the function does not keep it.
    pub(crate) fn write_command<C: ConfigSpace>(&self, space: &C, index: usize) -> bool {
        self.put_command(space, index, self.forwards(index))
    }

    /// The same, of a function of which [`Self::forwards`] is known; the read behind the write makes sure that it has
    /// arrived.
    pub(crate) fn put_command<C: ConfigSpace>(
        &self,
        space: &C,
        index: usize,
        forwards: bool,
    ) -> bool {
        let (Some(entry), Some(state)) = (self.plan.get(index), self.states.get(index)) else {
            return false;
        };
        // In the place of an absent alternative another one may be at work.
        if has(entry, FunctionFlags::HOST_BRIDGE) || !on_pci(entry) || state.absent {
            return true;
        }
        let value = command(entry, state, forwards);
        let function = Function::new(space, Self::address(entry));
        function.write16(COMMAND, value);
        let relevant = COMMAND_MEMORY | COMMAND_MASTER;
        // All ones come from a device that is gone.
        let found = function.read16(COMMAND);
        found != u16::MAX && found & relevant == value & relevant
    }
}
