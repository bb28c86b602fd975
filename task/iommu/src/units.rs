//! What is stopped together: a containment unit is what shares streams or cannot be reset apart, however many steps
//! that takes.
//!
//! At a death all of it is cut off. Its owners are declared to stop and start together, so the supervisor stops those
//! that are alive as soon as it hears of the death, and all of it is contained before any of them runs again.

use pci_api::QuiesceState;
use pci_api::client::Failure;

use crate::hardware::{Hardware, System};
use crate::limits::DEVICES_MAX;
use crate::ownership::{Device, Settling, State};
use crate::server::Server;

/// The devices of a set, a bit each.
fn members(set: u64) -> impl Iterator<Item = usize> {
    (0..DEVICES_MAX).filter(move |index| set >> index & 1 == 1)
}

const _: () = assert!(DEVICES_MAX <= 64);

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Asks the PCI task, and once more with the device's reset unit stopped if that is in the way.
    pub(crate) fn quiesce(&mut self, index: usize) -> Result<(), Failure> {
        let mut started = self.system.quiesce_start(index as u32);
        if started == Err(Failure::Refused(pci_api::Error::UnitActive)) {
            let unit = self.reset_unit(index);
            self.turn_closed_off(unit, index);
            self.stop_unit(unit, index);
            started = self.system.quiesce_start(index as u32);
        }
        let joined = started == Err(Failure::Refused(pci_api::Error::Quiescing));
        if let Some(device) = self.devices.get_mut(index) {
            device.began_early = joined && device.entry.non_pci == 1;
            device.unasked = started.is_err_and(Failure::is_silence);
        }
        if started.is_ok() {
            self.note_covered(index);
        }
        started
    }

    /// What is closed may be bus master still, if the PCI task did not answer when it was turned off.
    fn turn_closed_off(&mut self, unit: u64, index: usize) {
        for other in members(unit).filter(|other| *other != index) {
            let device = self.devices.get(other);
            if device.is_some_and(|device| !device.open && !device.standing) {
                let _ = self.system.bus_master(other as u32, false);
            }
        }
    }

    /// A reset may take others of its unit along: these are being made quiet as well. Only those that are claimed: a
    /// free one may stand again as soon as the reset is over, before anybody has looked at its result.
    fn note_covered(&mut self, index: usize) {
        for other in members(self.reset_unit(index)) {
            let Some(device) = self.devices.get(other).filter(|_| other != index) else {
                continue;
            };
            let State::Claimed(owner) = device.state else {
                continue;
            };
            let idle = device.settling == Settling::No && device.may_be_under_way();
            let covered = Ok(QuiesceState::Running);
            if idle
                && self.system.quiesce_result(other as u32) == covered
                && let Some(device) = self.devices.get_mut(other)
            {
                device.settling = Settling::Running;
                device.sole_life = Some(owner);
                device.unasked = false;
            }
        }
    }

    /// What cannot be reset apart from a device, itself included, a bit each.
    fn reset_unit(&self, index: usize) -> u64 {
        let unit = |device: &Device<'_>| device.entry.reset_unit;
        self.those_with(1 << index, unit)
    }

    /// What is contained together with a device: what shares its streams, or those of such a one, and what cannot be
    /// reset apart from any of these.
    pub(crate) fn containment_unit(&self, index: usize) -> u64 {
        let mut unit = 1 << index;
        loop {
            let sharers = self.those_with(unit, |device| device.entry.domain);
            let more = self.those_with(sharers, |device| device.entry.reset_unit);
            if more == unit {
                return unit;
            }
            unit = more;
        }
    }

    /// A set of devices, and all that have a number in common with one of it.
    fn those_with(&self, set: u64, number: fn(&Device<'_>) -> u32) -> u64 {
        let has = |set: u64, index: usize| set >> index & 1 == 1;
        let devices = || self.devices.iter().enumerate();
        let in_set = |wanted: u32| {
            let mut found = devices().filter(|(index, _)| has(set, *index));
            wanted != plan::NONE && found.any(|(_, device)| number(device) == wanted)
        };
        let all = devices().filter(|(_, device)| in_set(number(device)));
        all.fold(set, |all, (index, _)| all | 1 << index)
    }

    /// Turns off what is contained or would be reset together with a device.
    pub(crate) fn stop_unit(&mut self, unit: u64, index: usize) {
        for other in members(unit).filter(|other| *other != index) {
            let Some(device) = self.devices.get(other) else {
                continue;
            };
            if device.open && matches!(device.state, State::Claimed(_)) {
                self.revoke(other);
            } else if device.standing {
                let _ = self.stop_standing(other);
            }
        }
    }
}
