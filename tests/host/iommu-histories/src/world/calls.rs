//! Calls to the kernel and the PCI task that a fault changes.

use abi::privileged::{Held, HeldKind};
use pci_api::client::Failure;
use pci_api::{DeviceState, Error, QuiesceState};

use super::World;
use crate::layout::{TABLES, entry_of};
use crate::sabotage::Kind;

impl World {
    /// A release makes a device quiet that reaches something without a request; `true` to skip it.
    pub(crate) fn skips_unasked(&self, device: u32) -> bool {
        let mut holds = self.kernel.holds.iter();
        matches!(self.sabotage.kind(), Some(Kind::UnaskedQuiet))
            && self.sabotage.turned_off == Some(device)
            && self.oracle.unasked(device as usize).is_some()
            && holds.any(|hold| hold.device == device && self.kernel.is_current(hold.task))
    }

    /// Whether a quiesce is for the sake of a dead member of the device's alias set only, and is to be skipped.
    fn skips_for_sharers(&self, device: u32) -> bool {
        let machine = self.layout.machine;
        let dead = |device: usize| {
            let mut holds = self.kernel.holds.iter();
            holds.any(|hold| hold.device as usize == device && !self.kernel.is_current(hold.task))
        };
        let own = device as usize;
        let held = self.kernel.holds.iter().any(|hold| hold.device == device);
        let skipped = match self.sabotage.kind() {
            Some(Kind::NoSharers) => true,
            Some(Kind::NoDoubt) => machine.devices[own].platform && !held,
            _ => false,
        };
        let mut others = 0..machine.devices.len();
        skipped && !dead(own) && others.any(|other| machine.share(other, own) && dead(other))
    }

    /// What the server learns of a device's last quiesce.
    pub(crate) fn quiesce_result(&mut self, device: u32) -> Result<QuiesceState, Failure> {
        let result = self.fabric.result(device)?;
        let fakes = matches!(self.sabotage.kind(), Some(Kind::FailedIsQuiet));
        if fakes && matches!(result, QuiesceState::Failed(_)) {
            self.sabotage.struck += 1;
            self.fabric.pretend_quiet(device);
        }
        self.fabric.result(device)
    }

    /// What a device is found to be, as the server takes it.
    pub(crate) fn found(&mut self, device: usize) -> Option<DeviceState> {
        let found = self.fabric.found(device)?;
        let always_open = self.layout.machine.devices[device].always_open;
        let fakes = match self.sabotage.kind() {
            Some(Kind::FoundAnyway) => true,
            Some(Kind::OpenedAnyway) => always_open,
            _ => false,
        };
        if fakes && found != DeviceState::Ready {
            self.sabotage.struck += 1;
            self.fabric.pretend_found(device);
        }
        self.fabric.found(device)
    }

    /// A hold is lifted.
    pub(crate) fn lifted(&mut self, index: usize) {
        if !matches!(self.sabotage.kind(), Some(Kind::LiftUnpins)) {
            return;
        }
        for slot in 0..self.kernel.pins.len() as u32 {
            let pin = self.kernel.pinned(slot);
            if pin.is_some_and(|pin| pin.lender.index() == index) {
                self.sabotage.struck += 1;
                self.check_unpin(slot);
            }
        }
    }

    /// A quiesce was started: a device with direct regions is opened before it ends.
    pub(crate) fn stand_early(&mut self, device: u32) {
        let early = matches!(self.sabotage.kind(), Some(Kind::EarlyOpen));
        let machine = self.layout.machine;
        let Some(planned) = machine
            .device(device as usize)
            .filter(|planned| planned.always_open && early)
        else {
            return;
        };
        let context = self.layout.domains[planned.domain as usize].context;
        for &stream in planned.streams {
            self.sabotage.struck += 1;
            let word = smmu::stream::stage1_word(TABLES + context);
            self.model.store(TABLES + entry_of(stream), word);
        }
        self.model.publish();
    }

    pub(crate) fn enumerated(&mut self, mut held: Held) -> Held {
        let overlooks = matches!(self.sabotage.kind(), Some(Kind::DeadOverlooked));
        if overlooks && self.sabotage.adopts() && self.fabric.silence().is_some() && held.dead {
            self.sabotage.struck += 1;
            held.dead = false;
        }
        let of_pool = held.kind == HeldKind::Pin && held.device >> 16 != 0;
        let unpins = matches!(self.sabotage.kind(), Some(Kind::DeadPoolUnpinned));
        if unpins && of_pool && held.dead {
            self.sabotage.struck += 1;
            self.kernel.unpin(held.slot);
        }
        if let Some(Kind::Enumerated(change)) = self.sabotage.kind() {
            let before = held;
            change(&mut held);
            self.sabotage.struck += u64::from(before != held);
        }
        if let Some(Kind::Adopted(change)) = self.sabotage.kind()
            && self.sabotage.succeeded
        {
            let before = held;
            change(&mut held);
            self.sabotage.struck += u64::from(before != held);
        }
        held
    }

    /// Whether a device is found to be bus master, as the server takes it.
    pub(crate) fn found_on(&mut self, device: usize) -> bool {
        let on = self.fabric.is_bus_master(device);
        let mut holds = self.kernel.holds.iter();
        let held = holds.any(|hold| hold.device as usize == device);
        let taken = match self.sabotage.kind() {
            Some(Kind::FoundOn) => on || self.sabotage.finds_on(),
            Some(Kind::LeftOn) => on && held,
            Some(Kind::LossUnseen) => on || held && self.is_open(device),
            _ => on,
        };
        self.sabotage.struck += u64::from(taken != on);
        taken
    }

    /// Whether a PCI task that gave no answer is taken for one that has made a device quiet.
    pub(crate) fn takes_for_quiet(&mut self, device: u32, error: Failure) -> bool {
        let takes = match self.sabotage.kind() {
            Some(Kind::SilentQuiet) => error.is_silence(),
            Some(Kind::RetiredQuiet) => error == Failure::Retired,
            _ => false,
        };
        if takes {
            self.sabotage.struck += 1;
            self.fabric.pretend_quiet(device);
        }
        takes
    }

    /// What the server takes for the outcome of a quiesce that the PCI task said nothing of.
    pub(crate) fn misread(&mut self, error: Failure) -> Failure {
        let taken = match (self.sabotage.kind(), error) {
            (Some(Kind::SilentFailed), failure) if failure.is_outage() => {
                Failure::Refused(Error::NotQuiet)
            }
            (Some(Kind::RetiredAwaited), Failure::Retired) => Failure::Down,
            _ => error,
        };
        self.sabotage.struck += u64::from(taken != error);
        taken
    }

    /// Whether a PCI task that gave no answer is taken for one that has found everything off.
    pub(crate) fn takes_for_off(&mut self, error: Failure) -> bool {
        let takes = error.is_silence() && matches!(self.sabotage.kind(), Some(Kind::SilentOff));
        self.sabotage.struck += u64::from(takes);
        takes
    }

    /// The server says that a device stays held for good.
    pub(crate) fn stuck(&mut self) {
        let lifts = matches!(self.sabotage.kind(), Some(Kind::StoppedLifts));
        if lifts && self.model.has_stopped() {
            let holds = self.kernel.holds.clone();
            for hold in holds {
                self.sabotage.struck += 1;
                self.check_lift(hold.device as usize);
            }
        }
    }

    pub(crate) fn set_bus_master(&mut self, device: u32, on: bool) -> Result<(), Failure> {
        let machine = self.layout.machine;
        let always_open = machine
            .device(device as usize)
            .is_some_and(|planned| planned.always_open);
        match self.sabotage.kind() {
            Some(Kind::NeverOpened) if on && always_open && self.lines > 0 => {
                let mut holds = self.kernel.holds.iter();
                let claimed =
                    holds.any(|hold| hold.device == device && self.kernel.is_current(hold.task));
                if !claimed {
                    self.sabotage.struck += 1;
                    return Ok(());
                }
            }
            Some(Kind::NoBusMasterOff) if !on => {
                self.sabotage.struck += 1;
                return Ok(());
            }
            Some(Kind::EarlyLift) if !on => {
                self.sabotage.struck += 1;
                self.check_lift(device as usize);
            }
            Some(Kind::UnpinAtOff) if !on => {
                for slot in 0..self.kernel.pins.len() as u32 {
                    if self
                        .kernel
                        .pinned(slot)
                        .is_some_and(|pin| pin.number() == device as usize)
                    {
                        self.sabotage.struck += 1;
                        self.check_unpin(slot);
                    }
                }
            }
            _ => {}
        }
        if !on {
            let was_on = self.fabric.is_bus_master(device as usize);
            self.sabotage.turned_off = was_on.then_some(device);
            self.model
                .ambient
                .retain(|ambient| ambient.device != device);
        }
        let was_quiet = self.fabric.result(device) == Ok(QuiesceState::Quiet);
        if !on && self.fabric.is_bus_master(device as usize) {
            self.check_turned_off(device);
        }
        let done = self.fabric.bus_master(device, on, &mut self.model.chooser);
        if on && done.is_ok() {
            self.check_found(device as usize);
            self.check_started(device);
            self.check_start(device as usize, was_quiet);
        }
        done
    }

    pub(crate) fn start_quiesce(&mut self, device: u32) -> Result<(), Failure> {
        let quiet = self.sabotage.is_quiet_at_once()
            || self.skips_unasked(device)
            || self.skips_for_sharers(device)
            || matches!(self.sabotage.kind(), Some(Kind::KnownForEver))
                && self.fabric.result(device) == Ok(QuiesceState::Quiet);
        let was_on = self.fabric.is_bus_master(device as usize);
        let started = self.fabric.quiesce(device, &mut self.model.chooser);
        let ignored = matches!(self.sabotage.kind(), Some(Kind::UnitIgnored));
        if ignored && started == Err(Failure::Refused(Error::UnitActive)) {
            self.sabotage.struck += 1;
            for other in self.layout.machine.reset_with(device as usize) {
                self.reset(other);
            }
            self.fabric.pretend_quiet(device);
            return Ok(());
        }
        started?;
        if was_on {
            self.check_turned_off(device);
        }
        if quiet {
            self.sabotage.struck += 1;
            self.fabric.pretend_quiet(device);
        }
        self.model
            .ambient
            .retain(|ambient| ambient.device != device);
        self.stand_early(device);
        Ok(())
    }
}
