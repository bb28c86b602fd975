//! The devices that are stopped together: a containment unit is the devices that share streams or cannot be reset
//! apart, over any number of steps.
//!
//! At a death all of it is cut off. Its owners are declared to stop and start together, so the supervisor stops those
//! that are alive as soon as it hears of the death, and all of it is contained before any of them runs again.

use pci_api::QuiesceState;
use pci_api::client::Failure;
use plan::iommu::DeviceEntry;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, DeviceSet};
use crate::life::{Asked, ForSharers, State};
use crate::server::Server;

/// How the start of a quiesce went.
pub(crate) fn how(started: Result<(), Failure>) -> Asked {
    match started {
        Ok(()) => Asked::Begun,
        Err(Failure::Refused(pci_api::Error::Quiescing)) => Asked::Joined,
        Err(failure) if failure.is_outage() => Asked::Unheard,
        Err(failure) if failure.is_silence() => Asked::Gone,
        Err(_) => Asked::Refused,
    }
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Asks the PCI task, and once more with the device's reset unit stopped if that is in the way.
    pub(crate) fn quiesce(&mut self, index: DeviceIndex) -> Result<(), Failure> {
        let mut started = self.system.quiesce_start(index);
        if started == Err(Failure::Refused(pci_api::Error::UnitActive)) {
            let unit = self.reset_unit(index);
            self.turn_closed_off(unit, index);
            self.stop_unit(unit, index);
            started = self.system.quiesce_start(index);
        }
        self.devices.life_mut(index).asked(how(started));
        if started.is_ok() {
            self.note_covered(index);
        }
        started
    }

    /// Turns bus mastering off for closed devices of a unit. A closed device may still be bus master
    /// if the PCI task did not answer when it was to be turned off.
    fn turn_closed_off(&mut self, unit: DeviceSet, index: DeviceIndex) {
        for other in unit.without(index) {
            let device = &self.devices[other];
            if !device.life().reaches_memory() {
                let _ = self.system.bus_master(other, false);
            }
        }
    }

    /// A reset may take others of its unit along: these are being made quiet as well. Only those that are claimed: a
    /// free one may be always open again as soon as the reset is over, before anybody has looked at its result.
    fn note_covered(&mut self, index: DeviceIndex) {
        for other in self.reset_unit(index).without(index) {
            let device = &self.devices[other];
            let State::Claimed(owner) = device.life().state() else {
                continue;
            };
            let idle =
                device.life().for_sharers() == ForSharers::No && device.life().may_be_under_way();
            let covered = Ok(QuiesceState::Running);
            if idle && self.system.quiesce_result(other) == covered {
                self.devices.life_mut(other).covered(owner);
            }
        }
    }

    /// The devices that cannot be reset apart from a device, itself included.
    fn reset_unit(&self, index: DeviceIndex) -> DeviceSet {
        self.those_with(index.set(), |entry| entry.reset_unit)
    }

    /// The devices that are contained together with a device: those that share its streams or cannot be reset apart
    /// from it, and so on from each of these.
    pub(crate) fn containment_unit(&self, index: DeviceIndex) -> DeviceSet {
        let mut unit = index.set();
        loop {
            let sharers = self.those_with(unit, |entry| entry.domain);
            let more = self.those_with(sharers, |entry| entry.reset_unit);
            if more == unit {
                return unit;
            }
            unit = more;
        }
    }

    /// A set of devices, and all that have a number in common with one of it.
    fn those_with(&self, mut set: DeviceSet, number: fn(&DeviceEntry) -> u32) -> DeviceSet {
        for index in set {
            let wanted = number(self.devices[index].entry());
            if wanted != plan::NONE {
                set.join(
                    self.devices
                        .those(|device| number(device.entry()) == wanted),
                );
            }
        }
        set
    }

    /// Turns off what is contained or would be reset together with a device.
    pub(crate) fn stop_unit(&mut self, unit: DeviceSet, index: DeviceIndex) {
        for other in unit.without(index) {
            let device = &self.devices[other];
            if device.life().is_open() && matches!(device.life().state(), State::Claimed(_)) {
                self.revoke(other);
            } else if device.life().is_always_open() {
                let _ = self.end_always_open(other);
            }
        }
    }
}
