//! Waiting for what shares streams with a device.
//!
//! Through the shared entries each member of an alias set reaches what is mapped for any other. When one was cut off,
//! by a death or by force, the others were cut off with it; but an access of theirs that was under way may
//! still land. So nothing that was mapped is given back before each of them is known to be quiet too.

use crate::hardware::{Hardware, System};
use crate::indices::DeviceIndex;
use crate::life::{ForSharers, Purpose, State};
use crate::server::Server;
use crate::units::how;
use crate::why::Why;

/// The state of the other devices of a domain.
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
    /// Makes every cut-off device that shares streams with `index`, and may have something under way, quiet.
    pub(crate) fn quiesce_sharers(&mut self, index: DeviceIndex) -> Sharers {
        let mut found = Sharers::Quiet;
        for other in self.devices.sharers(index) {
            if !self.devices[other].life().may_be_under_way() {
                continue;
            }
            match self.quiesce_sharer(other) {
                Sharers::Quiet => {}
                Sharers::Wait if found == Sharers::NotQuiet => {}
                worse => found = worse,
            }
        }
        found
    }

    /// Makes a sharer quiet. A device that is already being made quiet for another reason needs no
    /// second quiesce.
    fn quiesce_sharer(&mut self, other: DeviceIndex) -> Sharers {
        let device = &self.devices[other];
        match (device.life().state(), device.life().for_sharers()) {
            (State::HeldForever(_), _) | (_, ForSharers::Failed) => return Sharers::NotQuiet,
            (State::Quiescing(_), _) | (_, ForSharers::Running) => return Sharers::Wait,
            (State::Free | State::Claimed(_), ForSharers::No) => {}
        }
        let started = self.quiesce(other);
        self.devices
            .life_mut(other)
            .quiesces_for_sharers(how(started));
        let device = &mut self.devices[other];
        match started {
            Err(failure) if !device.life().is_for_sharers() => {
                device.note_not_quiet(failure.into());
                Sharers::NotQuiet
            }
            _ => Sharers::Wait,
        }
    }

    /// A new life of the PCI task knows nothing of what was begun, or it began too early.
    pub(crate) fn quiesce_sharer_again(&mut self, index: DeviceIndex) {
        self.devices.life_mut(index).once_more_for_sharers();
        self.quiesce_sharer(index);
    }

    /// Takes the result for a device that was made quiet because others share its streams.
    pub(crate) fn sharer_quiesced(&mut self, index: DeviceIndex, quiet: bool) {
        if !quiet {
            self.devices.life_mut(index).failed_for_sharers();
        } else if self.devices[index].life().began_early() {
            self.quiesce_sharer_again(index);
        } else {
            self.devices.life_mut(index).now_quiet();
        }
    }

    /// Whether what shares a domain with a device keeps its streams closed: it is being made quiet, or
    /// never was, and through an open stream it could go on.
    pub(crate) fn sharer_bars(&self, index: DeviceIndex) -> Option<Why> {
        let mut bars = None;
        for other in self.devices.sharers(index) {
            match self.devices[other].life().state() {
                State::HeldForever(_) => return Some(Why::SharerNotQuiet(other)),
                // One that waits for its own claim has had nothing opened or mapped since it was quiet.
                State::Quiescing(Purpose::Claim(_)) | State::Free | State::Claimed(_) => {}
                State::Quiescing(_) => bars = Some(Why::SharerNotYet(other)),
            }
        }
        bars
    }

    /// Whether what is mapped for a device whose streams were closed is in reach of one that nobody answers for: a member
    /// of its alias set has them open, and another has no bus mastering that could be off.
    pub(crate) fn stays_in_reach(&self, index: DeviceIndex) -> bool {
        let sharers = self.devices.sharers(index);
        let mut others = sharers.into_iter();
        let open = others.any(|other| self.devices[other].life().reaches_memory());
        let mut all = index.set().into_iter().chain(sharers);
        open && all.any(|member| {
            let life = self.devices[member].life();
            life.is_ungated() && !life.is_open()
        })
    }

    /// Whether something that shares streams or a reset with a free device is not over yet.
    pub(crate) fn stays_cut_off(&self, index: DeviceIndex) -> bool {
        let own = self.devices[index].entry();
        let mut others = self.devices.iter();
        self.sharer_bars(index).is_some()
            || others.any(|(other, device)| {
                let sharer = device.entry().domain == own.domain;
                let unit = device.entry().reset_unit == own.reset_unit;
                other != index
                    && (sharer && device.life().is_revoked()
                        || unit && matches!(device.life().state(), State::Quiescing(_)))
            })
    }
}
