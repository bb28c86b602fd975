//! Waiting for what shares streams with a device.
//!
//! Through the shared entries each member of an alias set reaches what is mapped for any other. When one was cut off,
//! by a death or by force, the others were cut off with it; but an access of theirs that was under way may
//! still land. So nothing that was mapped is given back before each of them is known to be quiet too.

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::life::{ForSharers, State};
use crate::server::Server;
use crate::units::how;

/// What is known of the others of a domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Sharers {
    /// None has anything under way.
    Quiet,
    /// At least one is being made quiet.
    Wait,
    /// At least one cannot be made quiet.
    NotQuiet,
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// What is not on PCI and shares streams with `index` could act as long as these were open, whether or not it
    /// was claimed: nothing is known of it any more, nor will be by what makes it quiet already.
    pub(crate) fn doubt_ungated(&mut self, index: DeviceIndex) {
        for other in self.devices.sharers(index) {
            self.devices[other].life.shared_streams_were_open();
        }
    }

    /// Makes every cut-off device that shares streams with `index`, and may have something under way, quiet.
    pub(crate) fn settle_sharers(&mut self, index: DeviceIndex) -> Sharers {
        let mut found = Sharers::Quiet;
        for other in self.devices.sharers(index) {
            if !self.devices[other].life.may_be_under_way() {
                continue;
            }
            match self.settle(other) {
                Sharers::Quiet => {}
                Sharers::Wait if found == Sharers::NotQuiet => {}
                worse => found = worse,
            }
        }
        found
    }

    /// One that is being made quiet for a reason of its own ends by itself.
    fn settle(&mut self, other: DeviceIndex) -> Sharers {
        let device = &self.devices[other];
        match (device.life.state(), device.life.for_sharers()) {
            (State::HeldForever(_), _) | (_, ForSharers::Failed) => return Sharers::NotQuiet,
            (State::Quiescing(_), _) | (_, ForSharers::Running) => return Sharers::Wait,
            (State::Free | State::Claimed(_), ForSharers::No) => {}
        }
        let started = self.quiesce(other);
        let device = &mut self.devices[other];
        device.life.quiesces_for_sharers(how(started));
        match started {
            Err(failure) if !device.life.is_for_sharers() => {
                device.note_not_quiet(failure.into());
                Sharers::NotQuiet
            }
            _ => Sharers::Wait,
        }
    }

    /// A new life of the PCI task knows nothing of what was begun, or it began too early.
    pub(crate) fn settle_again(&mut self, index: DeviceIndex) {
        self.devices[index].life.once_more_for_sharers();
        self.settle(index);
    }

    /// What became of a device that is made quiet for the sake of others.
    pub(crate) fn settled(&mut self, index: DeviceIndex, quiet: bool) {
        let device = &mut self.devices[index];
        if !quiet {
            device.life.failed_for_sharers();
        } else if device.life.began_early() {
            self.settle_again(index);
        } else {
            device.life.now_quiet();
        }
    }

    /// Goes on with everything that is quiet itself and waited for others.
    pub(crate) fn go_on(&mut self) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            if device.life.waits_for_sharers() {
                self.end_when_settled(index);
            }
        }
    }
}
