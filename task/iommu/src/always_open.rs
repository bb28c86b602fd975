//! Devices with direct regions: what firmware or hardware needs mapped 1:1 at any time.
//!
//! Such a device is *always open*: it is bus master and its streams translate whether or not anybody has claimed it.
//! As long as nothing is mapped for it, it reaches its direct regions only. Whatever cuts it off ends that; it is
//! opened again when what it was cut off for is over.

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::life::State;
use crate::log::{DirectLine, Line};
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Finds out which devices may be always open: those that the PCI task found as planned.
    pub(crate) fn find_always_open(&mut self, boot_refused: bool) {
        let plan = self.plan;
        for index in self.devices.all() {
            let entry = self.devices[index].entry();
            if entry.always_open != 1 || entry.stream_count == 0 || plan.domain_of(entry).is_none()
            {
                continue;
            }
            let may_be_always_open = match self.system.pci_describe(index) {
                Ok(_) if self.is_distrusted(index) => false,
                Ok(found) => !boot_refused && found.state == pci_api::DeviceState::Ready,
                // Asked again when the PCI task's next life is up; what is always open goes on until then.
                Err(failure) if failure.is_outage() => continue,
                Err(_) => false,
            };
            self.devices
                .life_mut(index)
                .allow_always_open(may_be_always_open);
        }
    }

    /// The boot is refused after some SMMU was turned on: nothing is always open, on any.
    pub(crate) fn forbid_always_open(&mut self) {
        for index in self.devices.all() {
            let life = self.devices[index].life();
            let (may, open) = (life.may_be_always_open(), life.is_open());
            self.devices.life_mut(index).allow_always_open(false);
            if may && open {
                // Its claimant has to hear of it, or waits for ever.
                self.revoke(index);
            } else if may && self.close(index, true).is_err() {
                self.note_broken(index);
            }
        }
    }

    /// Lists what a device with direct regions reaches at any time, for people: in an identity domain also the
    /// pools, which are in the same tables.
    pub(crate) fn list_direct(&mut self, index: DeviceIndex) {
        let device = &self.devices[index];
        let (entry, always_open) = (device.entry(), device.life().may_be_always_open());
        if entry.always_open != 1 {
            return;
        }
        let Some(domain) = device.domain() else {
            return;
        };
        for range in self.plan.premapped_of(domain) {
            self.system.log(Line::Direct(DirectLine {
                name: entry.name.as_str(),
                pool: range.is_pool(),
                base: range.iova,
                len: range.len,
                always_open,
            }));
        }
    }

    /// Opens every device that may be always open and is not: at the start, and when what one was cut off for is over.
    pub(crate) fn reopen_always_open(&mut self) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            let waits = device.life().waits_to_be_always_open();
            if waits && !self.stays_cut_off(index) {
                self.open_always(index);
            }
        }
    }

    /// Opens the streams of a free device, then turns bus mastering on. If that fails it stays cut off, until
    /// [`Self::reopen_always_open`] is called again.
    pub(crate) fn open_always(&mut self, index: DeviceIndex) {
        let opened = self.open(index).is_ok();
        let started = opened && self.system.bus_master(index, true).is_ok();
        if !started {
            let _ = self.end_always_open(index);
            if !opened {
                self.devices.life_mut(index).keep_closed(true);
            }
            return;
        }
        self.devices.life_mut(index).always_opened();
        let name = self.name(index);
        self.system.log(Line::AlwaysOpen {
            name: name.as_str(),
        });
    }

    /// Bus mastering on for what is always open and is not claimed: at the start, and where it was lost while the PCI task was
    /// down.
    pub(crate) fn restore_bus_mastering(&mut self) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            let always_open =
                device.life().is_always_open() && device.life().state() == State::Free;
            if always_open && self.still_master(index) == Some(false) {
                self.restore_bus_mastering_of(index);
            }
        }
        self.reopen_always_open();
    }

    fn restore_bus_mastering_of(&mut self, index: DeviceIndex) {
        let started = match self.system.bus_master(index, true) {
            Ok(()) => true,
            // It has said nothing: its next life is asked.
            Err(failure) if failure.is_outage() => true,
            Err(_) => false,
        };
        if !started {
            let _ = self.end_always_open(index);
        }
    }
}
