//! Lives of the PCI task, each of which goes on from what the one before it has noted.
//!
//! What was as planned and still is stays as it is, bus mastering too. What was being reset is waited for. Everything
//! else is set anew, with bus mastering off (`docs/decisions/0010-pci-restart.md`).

use pci_api::client::Failure;
use pci_api::{DeviceState, QuiesceFailure, QuiesceState};

use super::{Fabric, Function};
use smmu_model::Chooser;

/// What a life has noted of a function: after each reply, before anything else is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    ready: bool,
    master: bool,
    resetting: bool,
    failure: Option<QuiesceFailure>,
}

impl Record {
    pub(super) const NOTHING: Self = Self {
        ready: false,
        master: false,
        resetting: false,
        failure: None,
    };

    fn of(function: &Function, platform: bool) -> Self {
        let runs = function.covered || function.quiesce == QuiesceState::Running;
        Self {
            ready: function.found == DeviceState::Ready,
            master: function.bus_master,
            // Nothing on PCI is made quiet here but by a reset, and nothing else by one.
            resetting: runs && !platform,
            failure: match function.quiesce {
                QuiesceState::Failed(failure) => Some(failure),
                _ => None,
            },
        }
    }

    /// How its last quiesce went, as far as the next life knows.
    fn quiesce(self) -> QuiesceState {
        self.failure
            .map_or(QuiesceState::Never, QuiesceState::Failed)
    }
}

impl Fabric {
    /// Of the alternatives of a slot at most one is there.
    pub(super) fn plug(&mut self, chooser: &mut Chooser) {
        let machine = self.machine;
        for device in 0..self.functions.len() {
            let others: Vec<usize> = machine.alternatives(device).collect();
            if others.first().is_some_and(|&other| device < other) {
                let there = chooser.below(others.len() + 2);
                for (place, &other) in std::iter::once(&device).chain(&others).enumerate() {
                    if place != there {
                        self.functions[other].found = DeviceState::Absent;
                    }
                }
            }
        }
    }

    /// A life compares everything with the plan: one that differs blocks its group, and by the plan's policy everything
    /// may be refused for it. What differed before may be as planned again.
    pub(super) fn find(&mut self, chooser: &mut Chooser) {
        let mismatches = self.troubles.mismatches;
        self.refused = chooser.once_in(mismatches) && chooser.once_in(8);
        for function in &mut self.functions {
            let again = function.found == DeviceState::Blocked && chooser.once_in(2);
            if again && !function.pretended {
                function.found = DeviceState::Ready;
            }
        }
        for device in 0..self.functions.len() {
            let differs = chooser.once_in(mismatches) && chooser.once_in(4);
            if differs && self.functions[device].found == DeviceState::Ready {
                self.block_group(device);
            }
        }
        if self.refused {
            for function in &mut self.functions {
                function.bus_master = false;
            }
        }
    }

    fn block_group(&mut self, device: usize) {
        let group = self.machine.devices[device].reset_unit;
        for (function, planned) in self.functions.iter_mut().zip(self.machine.devices) {
            if planned.reset_unit == group && function.found == DeviceState::Ready {
                function.found = DeviceState::Blocked;
                function.bus_master = false;
            }
        }
    }

    /// Notes everything for the next life.
    pub fn keep(&mut self) {
        for (function, planned) in self.functions.iter_mut().zip(self.machine.devices) {
            function.record = Record::of(function, planned.platform);
        }
    }

    /// The PCI task dies, perhaps for good.
    pub fn die(&mut self, chooser: &mut Chooser) {
        self.down = true;
        self.life += 1;
        self.retired |= chooser.once_in(self.troubles.retirements);
        self.up |= self.retired;
    }

    /// The PCI task runs again.
    pub fn restart(&mut self, chooser: &mut Chooser) {
        if self.retired {
            return;
        }
        let masters: Vec<bool> = self.functions.iter().map(|f| f.bus_master).collect();
        for function in &mut self.functions {
            let before = function.record;
            let lost = function.bus_master && chooser.once_in(self.troubles.losses);
            let kept = before.ready && !before.resetting && !lost;
            // What it does not know to be on it turns off; what is off and was on has lost its state.
            function.bus_master &= kept && before.master;
            function.covered = false;
            function.until_reset = None;
            function.quiesce = before.quiesce();
            function.returning = before.ready && before.resetting;
            if function.returning {
                function.quiesce = QuiesceState::Running;
                function.left = chooser.below(4) as u32;
            }
        }
        self.find(chooser);
        for (function, was_on) in self.functions.iter_mut().zip(masters) {
            function.losses += u64::from(was_on && !function.bus_master);
        }
        self.keep();
        self.down = false;
        self.up = true;
        self.disturbances += 1;
    }

    /// What an earlier life was resetting answers, or does not: of its quiesce nothing is known.
    pub(super) fn is_back(&mut self, device: usize, chooser: &mut Chooser) {
        self.quiesced = true;
        let function = &mut self.functions[device];
        function.returning = false;
        let failed = chooser.once_in(self.troubles.quiesce_failures);
        function.refused |= failed;
        function.quiesce = if failed {
            QuiesceState::Failed(QuiesceFailure::Deadline)
        } else {
            QuiesceState::Never
        };
    }

    /// The server learns the id of the PCI task's life; of the next one, if it is dead.
    pub fn refresh(&mut self) {
        self.named = Some(self.life);
    }

    /// The server died: its next life has to learn it.
    pub fn forget(&mut self) {
        self.named = None;
        self.quiesced = false;
        self.up = false;
    }

    /// Why a call brings no answer.
    #[must_use]
    pub fn silence(&self) -> Option<Failure> {
        let failure = match () {
            () if self.retired => Failure::Retired,
            () if self.named != Some(self.life) => Failure::Dead,
            () => Failure::Down,
        };
        let silent = self.down || self.named != Some(self.life);
        silent.then_some(failure)
    }
}
