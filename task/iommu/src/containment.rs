//! Deaths, forced revocation, quiescing.

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::life::{Purpose, State};
use crate::log::Line;
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// A held task died: whatever devices it had are cut off and made quiet.
    ///
    /// Pages that a dead task lent for a request stay pinned, and it stays held, until the driver that mapped them unmaps
    /// or dies itself. For those of a pool that was lent as a whole the driver has a time.
    pub fn on_held_death(&mut self) {
        let estate = self.read_estate();
        for index in self.devices.all() {
            let owner = self.devices[index].life().held_by();
            let dead = estate.hold(index).filter(|hold| hold.dead);
            if let Some(hold) = dead
                && owner == Some(TaskIndex::of(hold.owner))
            {
                self.contain(index, Purpose::Death(hold.owner));
            }
        }
        self.lenders_died(|place| estate.is_lender_dead(place));
    }

    /// Cuts a device off for a death, or because it is taken away, and its containment unit with it: what shares its
    /// StreamIDs or cannot be reset apart.
    pub(crate) fn contain(&mut self, index: DeviceIndex, why: Purpose) {
        let device = &self.devices[index];
        let runs = match device.life().state() {
            State::Quiescing(Purpose::Death(_)) | State::HeldForever(_) | State::Free => return,
            State::Quiescing(_) => true,
            State::Claimed(_) => false,
        };
        let (name, mapped) = (device.entry().name, self.devices.slot(index).mapped());
        self.devices.life_mut(index).lose(why);
        self.system.log(Line::Contained {
            name: name.as_str(),
            owner: TaskIndex::of(why.life()).number(),
            mapped,
        });
        // A device that was being released or claimed shares streams that others may have open.
        self.cut_off(index);
        self.stop_unit(self.containment_unit(index), index);
        self.forget_quiet_of_non_pci_sharers(index);
        self.quiesce_sharers(index);
        if !runs {
            self.start_quiesce(index);
        }
    }
}
