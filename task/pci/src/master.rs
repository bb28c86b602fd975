//! Bus mastering: a function's own, and that of the bridges which forward for it.

use heapless::Vec;
use plan::limits::FUNCTIONS_MAX;

use crate::config::{ConfigSpace, Function};
use crate::fabric::Fabric;
use crate::messages;

impl Fabric<'_> {
    /// Whether bus mastering of `index` has to be on: for itself, or for something below it.
    pub(crate) fn forwards(&self, index: usize) -> bool {
        let mut masters = self.states.masters();
        masters.any(|at| at == index || self.is_below(at, index))
    }

    /// Whether a function other than `except` below `bridge` has bus mastering on.
    pub(crate) fn active_below(&self, bridge: usize, except: usize) -> bool {
        let mut masters = self.states.masters();
        masters.any(|at| at != except && self.is_below(at, bridge))
    }

    /// Turns bus mastering of a function on (bridges from the root down, so that no request is
    /// issued which a bridge would refuse) or off (the function first).
    pub(crate) fn set_master<C: ConfigSpace>(&mut self, space: &C, index: usize, on: bool) -> bool {
        let Some(state) = self.states.get_mut(index) else {
            return false;
        };
        state.master = on;
        if on {
            let mut path: Vec<usize, FUNCTIONS_MAX> = Vec::new();
            let mut next = Some(index);
            while let Some(at) = next {
                // There are no more steps up than functions.
                let _ = path.push(at);
                next = self.parent(at);
            }
            let mut kept = true;
            for &at in path.iter().rev() {
                kept &= self.put_command(space, at, true);
            }
            kept
        } else {
            let kept = self.write_command(space, index);
            if let Some(entry) = self.plan.get(index) {
                messages::disable(&Function::new(space, Self::address(entry)), entry);
            }
            let mut at = index;
            while let Some(parent) = self.parent(at) {
                if !self.forwards(parent) {
                    self.put_command(space, parent, false);
                }
                at = parent;
            }
            kept
        }
    }
}
