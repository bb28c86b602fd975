//! Taking a device away by force, and what shares its streams with it.

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::log::Line;
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Takes the use of a claimed device away, and of those that share its streams: their claimants have
    /// to release them. A claimant whose device was closed and who is not told would wait for ever.
    pub(crate) fn revoke(&mut self, index: DeviceIndex) {
        self.cut_off(index);
        self.mark_revoked(index);
    }

    /// Bus mastering off and streams closed, those shared with others too. Neither is proof that
    /// nothing lands any more; only a quiesce is.
    pub(crate) fn cut_off(&mut self, index: DeviceIndex) {
        self.flush_before(index);
        self.shut(index);
        for other in self.devices.sharers(index) {
            let device = &self.devices[other];
            let open = device.life().is_open();
            if open || device.life().is_always_open() {
                self.shut(other);
                if open {
                    self.mark_revoked(other);
                }
            }
        }
    }

    /// Cuts one device off, whoever shares its streams. Bus mastering goes first, so that the closed streams refuse
    /// only what was under way; were they first, a busy device would fill the event queue until it is turned off.
    pub(crate) fn shut(&mut self, index: DeviceIndex) {
        let _ = self.system.bus_master(index, false);
        if self.close(index, true).is_err() {
            self.note_broken(index);
        }
    }

    pub(crate) fn mark_revoked(&mut self, index: DeviceIndex) {
        let owner = self.devices.life_mut(index).revoke();
        if let Some(owner) = owner {
            self.system.post_fault(owner);
        }
    }

    /// Leaves a device cut off and all that it could reach held, for good.
    pub(crate) fn hold_forever(&mut self, index: DeviceIndex, owner: TaskIndex) {
        self.cut_off(index);
        self.devices.life_mut(index).hold_forever(owner);
        self.list_held_forever(index);
    }

    /// Says that what a device could reach stays held.
    pub(crate) fn list_held_forever(&mut self, index: DeviceIndex) {
        let why = self.devices[index].not_quiet();
        let name = self.name(index);
        self.system.log(Line::Stuck {
            name: name.as_str(),
            why,
        });
    }
}
