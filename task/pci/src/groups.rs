//! A difference blocks the isolation groups it touches.

use pci_api::Mismatch;

use crate::address::Address;
use crate::fabric::{Fabric, on_pci};

impl Fabric<'_> {
    /// Notes the first difference of a planned function: whatever it was used for is over.
    pub(crate) fn block(&mut self, index: usize, reason: Mismatch) {
        if let Some(state) = self.states.get_mut(index) {
            state.reason.get_or_insert(reason);
            state.master = false;
        }
    }

    /// Blocks the functions that an undeclared function can reach without the SMMU: others of its
    /// slot, and behind a bridge everything on its bus and the bridge itself. Slots of a root bus
    /// are apart from each other.
    pub(crate) fn block_around(&mut self, undeclared: Address) {
        let on_root = self.is_root(undeclared.bus());
        for index in 0..self.plan.len() {
            let Some(entry) = self.plan.get(index).filter(|entry| on_pci(entry)) else {
                continue;
            };
            let address = Self::address(entry);
            let beside = address.bus() == undeclared.bus()
                && (!on_root || address.slot() == undeclared.slot());
            let [_, secondary, ..] = entry.buses;
            let above = !on_root && secondary == undeclared.bus();
            if beside || above {
                self.block(index, Mismatch::Group);
            }
        }
    }

    /// Spreads what was found to the rest of each group and to everything below a blocked bridge, until
    /// nothing changes; each round blocks at least one more function, so there are few rounds.
    pub(crate) fn spread(&mut self) {
        loop {
            let mut changed = false;
            for index in 0..self.plan.len() {
                if self.is_ready(index) && self.is_touched(index) {
                    self.block(index, Mismatch::Group);
                    changed = true;
                }
            }
            if !changed {
                return;
            }
        }
    }

    fn is_touched(&self, index: usize) -> bool {
        let blocked = |at: usize| self.states.get(at).is_some_and(|s| s.reason.is_some());
        let Some(entry) = self.plan.get(index) else {
            return true;
        };
        self.parent(index).is_some_and(blocked)
            || self
                .plan
                .iter()
                .enumerate()
                .any(|(at, other)| other.group_index == entry.group_index && blocked(at))
    }
}
