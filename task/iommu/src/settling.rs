//! Waiting for what shares streams with a device.
//!
//! Through the shared entries each member of an alias set reaches what is mapped for any other. When one was cut off,
//! by a death or by force, the others were cut off with it; but an access of theirs that was under way may
//! still land. So nothing that was mapped is given back before each of them is known to be quiet too.

use pci_api::client::Failure;

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::ownership::{Quiet, Settling, State};
use crate::server::Server;

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
            let device = &mut self.devices[other];
            if device.entry.non_pci == 1 && !device.open {
                device.quiet = Quiet::Unknown;
                // A claimant that waits for the server has it begin nothing. One that was cut off does not wait, nor
                // does who watches it.
                if device.settling == Settling::Running || device.entry.watched == 1 {
                    device.began_early = true;
                }
            }
        }
    }

    /// Makes every cut-off device that shares streams with `index`, and may have something under way, quiet.
    pub(crate) fn settle_sharers(&mut self, index: DeviceIndex) -> Sharers {
        let mut found = Sharers::Quiet;
        for other in self.devices.sharers(index) {
            if !self.devices[other].may_be_under_way() {
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
        match (device.state, device.settling) {
            (State::Stuck(_), _) | (_, Settling::Failed) => return Sharers::NotQuiet,
            (State::Quiescing(_), _) | (_, Settling::Running) => return Sharers::Wait,
            (State::Free | State::Claimed(_), Settling::No) => {}
        }
        // Of a free device nobody knows which life of its owner is up.
        let sole_life = match device.state {
            State::Claimed(owner) => Some(owner),
            _ => None,
        };
        let (settling, sole_life) = match self.quiesce(other) {
            Ok(()) => (Settling::Running, sole_life),
            // One that runs already ends with the same notification.
            Err(Failure::Refused(pci_api::Error::Quiescing)) => (Settling::Running, None),
            // Asked again when the PCI task is up again.
            Err(failure) if failure.is_outage() => (Settling::Running, sole_life),
            Err(error) => {
                self.note_not_quiet(other, error.into());
                (Settling::Failed, None)
            }
        };
        let device = &mut self.devices[other];
        device.settling = settling;
        device.sole_life = sole_life;
        match settling {
            Settling::Failed => Sharers::NotQuiet,
            Settling::No | Settling::Running => Sharers::Wait,
        }
    }

    /// A new life of the PCI task knows nothing of what was begun, or it began too early.
    pub(crate) fn settle_again(&mut self, index: DeviceIndex) {
        self.devices[index].settling = Settling::No;
        self.settle(index);
    }

    /// What became of a device that is made quiet for the sake of others.
    pub(crate) fn settled(&mut self, index: DeviceIndex, quiet: bool) {
        let device = &mut self.devices[index];
        if !quiet {
            device.settling = Settling::Failed;
        } else if device.began_early {
            self.settle_again(index);
        } else {
            device.now_quiet();
        }
    }

    /// Goes on with everything that is quiet itself and waited for others.
    pub(crate) fn go_on(&mut self) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            let quiescing = matches!(device.state, State::Quiescing(_));
            if quiescing && device.unquiet_purpose().is_none() {
                self.end_when_settled(index);
            }
        }
    }
}
