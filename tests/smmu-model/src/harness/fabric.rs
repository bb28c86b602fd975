//! The PCI task as far as the server sees it: bus mastering, resets.

use abi::TaskId;
use pci_api::{QuiesceFailure, QuiesceState};

use super::layout::Machine;
use crate::Chooser;

/// One function.
#[derive(Clone, Copy, Debug)]
struct Function {
    bus_master: bool,
    quiesce: QuiesceState,
    /// Steps until a running quiesce ends.
    left: u32,
    /// Whose it was since it was last reset: that life may open it again, if it said that nothing is under
    /// way; [`TaskId::KERNEL`] if nobody can say so.
    user: Option<TaskId>,
}

/// All functions.
pub struct Fabric {
    functions: Vec<Function>,
    /// A quiesce ended since the server was last told.
    pub quiesced: bool,
    /// Once in how many quiesces one fails; 0 for never.
    pub failures: u32,
    /// The PCI task is dead.
    pub down: bool,
    /// It is up again, and the server was not told.
    pub up: bool,
}

impl Fabric {
    /// Every function as firmware left it.
    #[must_use]
    pub fn new(machine: &Machine) -> Self {
        let off = Function {
            bus_master: false,
            quiesce: QuiesceState::Never,
            left: 0,
            // Firmware may have used it.
            user: Some(TaskId::KERNEL),
        };
        Self {
            functions: vec![off; machine.devices.len()],
            quiesced: false,
            failures: 0,
            down: false,
            up: false,
        }
    }

    /// Whether a device may start transactions.
    #[must_use]
    pub fn is_bus_master(&self, device: usize) -> bool {
        self.functions
            .get(device)
            .is_some_and(|function| function.bus_master)
    }

    /// Who may have left something under way in a device.
    #[must_use]
    pub fn user(&self, device: u32) -> Option<TaskId> {
        let function = self.functions.get(device as usize);
        function.and_then(|function| function.user)
    }

    /// Notes who may leave something under way in a device; nobody after a reset.
    pub fn set_user(&mut self, device: u32, user: Option<TaskId>) {
        if let Some(function) = self.functions.get_mut(device as usize) {
            function.user = user;
        }
    }

    /// Turns bus mastering on or off; false for an unknown device, and for one that is being made quiet or could
    /// not be, which stays off.
    pub fn bus_master(&mut self, device: u32, on: bool) -> bool {
        let Some(function) = self.functions.get_mut(device as usize) else {
            return false;
        };
        if on
            && matches!(
                function.quiesce,
                QuiesceState::Running | QuiesceState::Failed(_)
            )
        {
            return false;
        }
        function.bus_master = on;
        if on {
            function.quiesce = QuiesceState::Never;
        }
        true
    }

    /// Takes a device for quiet that was not reset.
    pub fn pretend_quiet(&mut self, device: u32) {
        if let Some(function) = self.functions.get_mut(device as usize) {
            function.quiesce = QuiesceState::Quiet;
            self.quiesced = true;
        }
    }

    /// Starts to make a device quiet; it may end at once.
    pub fn quiesce(&mut self, device: u32, chooser: &mut Chooser) -> bool {
        let Some(function) = self.functions.get_mut(device as usize) else {
            return false;
        };
        function.bus_master = false;
        function.quiesce = QuiesceState::Running;
        function.left = chooser.below(4) as u32;
        true
    }

    /// How it went.
    #[must_use]
    pub fn result(&self, device: u32) -> Option<QuiesceState> {
        self.functions
            .get(device as usize)
            .map(|function| function.quiesce)
    }

    /// The PCI task runs again: with bus mastering off everywhere, and no memory of a quiesce.
    pub fn restart(&mut self) {
        for function in &mut self.functions {
            function.bus_master = false;
            function.quiesce = QuiesceState::Never;
        }
        self.down = false;
        self.up = true;
        self.quiesced = false;
    }

    /// Time passes: the devices that were reset now.
    pub fn pass(&mut self, chooser: &mut Chooser) -> Vec<u32> {
        let mut reset = Vec::new();
        if self.down {
            return reset;
        }
        for (function, device) in self.functions.iter_mut().zip(0u32..) {
            if function.quiesce != QuiesceState::Running {
                continue;
            }
            if function.left > 0 {
                function.left -= 1;
                continue;
            }
            self.quiesced = true;
            if chooser.once_in(self.failures) {
                function.quiesce = QuiesceState::Failed(QuiesceFailure::Deadline);
            } else {
                function.quiesce = QuiesceState::Quiet;
                reset.push(device);
            }
        }
        reset
    }
}
