//! Resets, and bringing back what they took: bus numbers, windows, BARs, ACS, the command register.

use pci_api::QuiesceFailure;
use plan::pci::Quiesce;

use crate::config::{ConfigSpace, Function};
use crate::fabric::{Fabric, recipe};
use crate::progress::Progress;
use crate::registers::{BRIDGE_CONTROL, BRIDGE_RESET, COMMAND};
use crate::{capability, program};

/// The result of bringing a function back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Restored {
    /// The function is as planned, bus mastering off.
    Yes,
    /// The function does not answer yet.
    NotYet,
    /// The function is not usable.
    Failed(QuiesceFailure),
}

impl Fabric<'_> {
    /// Puts everything below the bridge above `index` into reset.
    pub(crate) fn hold_reset<C: ConfigSpace>(&mut self, space: &C, index: usize) {
        self.set_bridge_reset(space, index, BRIDGE_RESET);
    }

    /// Takes it out of reset.
    pub(crate) fn release_reset<C: ConfigSpace>(&mut self, space: &C, index: usize) {
        self.set_bridge_reset(space, index, 0);
    }

    /// The read behind the write makes sure that it has arrived before time is counted.
    fn set_bridge_reset<C: ConfigSpace>(&self, space: &C, index: usize, value: u16) {
        if let Some(entry) = self.parent(index).and_then(|bridge| self.plan.get(bridge)) {
            let bridge = Function::new(space, Self::address(entry));
            bridge.write16(BRIDGE_CONTROL, value);
            bridge.read16(BRIDGE_CONTROL);
        }
    }

    /// Marks all functions that a bus reset for `index` takes.
    pub(crate) fn cover(&mut self, index: usize, covered: bool) {
        let bridge = self.parent(index);
        for at in 0..self.states.len() {
            let below = bridge.is_some_and(|bridge| self.is_below(at, bridge));
            if let (true, Some(state)) = (below, self.states.get_mut(at)) {
                state.covered = covered;
            }
        }
    }

    /// Brings back all that the reset of `index`'s recipe took along, as far as it answers; on the `last` attempt
    /// what does not answer has failed.
    pub(crate) fn restore_after<C: ConfigSpace>(
        &mut self,
        space: &C,
        index: usize,
        last: bool,
    ) -> Restored {
        let is_bus_reset = self
            .plan
            .get(index)
            .is_some_and(|entry| recipe(entry) == Quiesce::BusReset);
        match self.parent(index) {
            Some(bridge) if is_bus_reset => self.restore_below(space, bridge, index, last),
            _ => timely(self.restore(space, index), last),
        }
    }

    /// Brings back everything below `bridge`, inner bridges before what is behind them. The neighbours of
    /// `index` were reset with it, so they are quiet, or have failed, as well.
    fn restore_below<C: ConfigSpace>(
        &mut self,
        space: &C,
        bridge: usize,
        index: usize,
        last: bool,
    ) -> Restored {
        let taken = |fabric: &Self, at| fabric.is_ready(at) && fabric.is_below(at, bridge);
        let mut own = Restored::Failed(QuiesceFailure::NotRestored);
        for at in 0..self.states.len() {
            if !taken(self, at) {
                continue;
            }
            let restored = timely(self.restore(space, at), last);
            if restored == Restored::NotYet {
                return Restored::NotYet;
            }
            if at == index {
                own = restored;
            } else if let Some(state) = self.states.get_mut(at) {
                state.progress = match restored {
                    Restored::Failed(failure) => Progress::Failed(failure),
                    _ => Progress::Quiet,
                };
            }
        }
        self.cover(index, false);
        own
    }

    /// Brings back what an earlier life of this task was resetting, as [`Self::restore_after`]; that life
    /// had found it as planned.
    pub(crate) fn bring_back<C: ConfigSpace>(
        &mut self,
        space: &C,
        index: usize,
        last: bool,
    ) -> Restored {
        let restored = timely(self.restore(space, index), last);
        if restored == Restored::Yes
            && let Some(entry) = self.plan.get(index)
            && let Some(state) = self.states.get_mut(index)
        {
            (state.vendor_id, state.device_id) = (entry.vendor_id, entry.device_id);
            let express = capability::express(&Function::new(space, Self::address(entry)));
            state.express = express.ok().flatten().unwrap_or(0);
        }
        restored
    }

    /// Brings back one function.
    fn restore<C: ConfigSpace>(&mut self, space: &C, index: usize) -> Restored {
        let Some(entry) = self.plan.get(index) else {
            return Restored::Failed(QuiesceFailure::NotRestored);
        };
        let function = Function::new(space, Self::address(entry));
        match function.identity() {
            None => Restored::NotYet,
            Some(found) if found != (entry.vendor_id, entry.device_id) => {
                Restored::Failed(QuiesceFailure::Identity)
            }
            Some(_) => {
                if let Some(state) = self.states.get_mut(index) {
                    state.intx_off = false;
                }
                // A reset leaves it off, but one that was about to begin when a life of this task ended has not.
                function.write16(COMMAND, 0);
                let programmed = program::function(&function, entry).is_ok();
                if programmed && self.write_command(space, index) {
                    Restored::Yes
                } else {
                    Restored::Failed(QuiesceFailure::NotRestored)
                }
            }
        }
    }
}

fn timely(restored: Restored, last: bool) -> Restored {
    match restored {
        Restored::NotYet if last => Restored::Failed(QuiesceFailure::Deadline),
        other => other,
    }
}
