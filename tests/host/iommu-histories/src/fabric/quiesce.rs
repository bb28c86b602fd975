//! Making devices quiet, each alone or with its bus.

use pci_api::client::Failure;
use pci_api::{DeviceState, Error, QuiesceFailure, QuiesceState};

use super::{Fabric, Function};
use crate::layout::Recipe;
use smmu_model::Chooser;

impl Fabric {
    /// Takes a device for quiet that was not reset.
    pub fn pretend_quiet(&mut self, device: u32) {
        for other in self.machine.reset_with(device as usize) {
            self.functions[other].covered = false;
        }
        if let Some(function) = self.functions.get_mut(device as usize) {
            function.quiesce = QuiesceState::Quiet;
            self.quiesced = true;
        }
    }

    /// Starts to make a device quiet.
    ///
    /// # Errors
    /// Why that cannot be.
    pub fn quiesce(&mut self, device: u32, chooser: &mut Chooser) -> Result<(), Failure> {
        let machine = self.machine;
        let function = *self.function(device)?;
        let recipe = machine.devices[device as usize].recipe;
        if function.found != DeviceState::Ready {
            self.function(device)?.refused = true;
            return Err(Failure::Refused(Error::Blocked));
        }
        if function.covered || function.quiesce == QuiesceState::Running {
            return Err(Failure::Refused(Error::Quiescing));
        }
        let below: Vec<usize> = machine.reset_with(device as usize).collect();
        if recipe == Recipe::None {
            return Err(Failure::Refused(Error::NoRecipe));
        }
        let others = || below.iter().filter(|&&other| other != device as usize);
        let busy = |other: &Function| other.covered || other.quiesce == QuiesceState::Running;
        let refused = if others().any(|&other| self.is_bus_master(other)) {
            Some(Error::UnitActive)
        } else if others().any(|&other| busy(&self.functions[other])) {
            Some(Error::Quiescing)
        } else {
            None
        };
        if let Some(error) = refused {
            // What became of an earlier reset says nothing of now.
            self.function(device)?.quiesce = QuiesceState::Never;
            return Err(Failure::Refused(error));
        }
        for &other in &below {
            self.functions[other].covered = true;
        }
        let left = chooser.below(4) as u32;
        let function = self.function(device)?;
        function.bus_master = false;
        function.quiesce = QuiesceState::Running;
        function.left = left;
        function.until_reset = Some(chooser.below(left as usize + 1) as u32);
        Ok(())
    }

    /// How it went; a reset that takes the device along is one of its own.
    ///
    /// # Errors
    /// There is no such device.
    pub fn result(&mut self, device: u32) -> Result<QuiesceState, Failure> {
        self.function(device)
            .map(|function| match function.covered {
                true => QuiesceState::Running,
                false => function.quiesce,
            })
    }

    /// Time passes: the devices that were reset now.
    pub fn pass(&mut self, chooser: &mut Chooser) -> Vec<usize> {
        let mut reset = Vec::new();
        if self.down {
            return reset;
        }
        for device in 0..self.functions.len() {
            let function = &mut self.functions[device];
            if function.quiesce != QuiesceState::Running {
                continue;
            }
            // What is only waited for is not reset.
            if function.until_reset == Some(function.left) {
                function.until_reset = None;
                for at in self.taken(device) {
                    let failed = chooser.once_in(self.troubles.quiesce_failures);
                    self.functions[at].failed = failed;
                    self.functions[at].refused |= failed;
                    reset.extend((!failed).then_some(at));
                }
            }
            let function = &mut self.functions[device];
            if function.left > 0 {
                function.left -= 1;
                continue;
            }
            if function.returning {
                self.is_back(device, chooser);
            } else {
                self.end(device);
            }
        }
        self.keep();
        reset
    }

    /// What a device's recipe resets.
    fn taken(&self, device: usize) -> Vec<usize> {
        let bus: Vec<usize> = self.machine.reset_with(device).collect();
        if bus.is_empty() { vec![device] } else { bus }
    }

    /// A quiesce ends, of a device and of all that its bus reset took.
    fn end(&mut self, device: usize) {
        self.quiesced = true;
        for at in self.taken(device) {
            let function = &mut self.functions[at];
            function.covered = false;
            function.quiesce = if function.failed {
                QuiesceState::Failed(QuiesceFailure::Deadline)
            } else {
                QuiesceState::Quiet
            };
        }
    }
}
