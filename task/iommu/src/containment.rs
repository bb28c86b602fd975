//! Deaths, forced revocation, quiescing.

use abi::TaskId;
use iommu_api::Error;
use pci_api::QuiesceState;
use pci_api::client::Failure;
use smmu::Command;
use userlib::protocol::Wire;

use crate::claims::Granted;
use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::life::{ForSharers, Purpose, Quiet, State};
use crate::log::Line;
use crate::refusals::{NotQuiet, Why};
use crate::server::Server;
use crate::settling::Sharers;
use crate::space::Kind;
use crate::units::how;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// A held task died: whatever devices it had are cut off and made quiet.
    ///
    /// A dead lender needs nothing here: its pages stay pinned, and it stays held, until the driver that
    /// mapped them unmaps or dies itself.
    pub fn on_held_death(&mut self) {
        let estate = self.read_estate();
        for index in self.devices.all() {
            let owner = self.devices[index].life.held_by();
            let dead = estate.hold(index).filter(|hold| hold.dead);
            if let Some(hold) = dead
                && owner == Some(TaskIndex::of(hold.owner))
            {
                self.contain(index, hold.owner);
            }
        }
    }

    /// Cuts a dead task's device off, and its containment unit with it: what shares its StreamIDs or
    /// cannot be reset apart. `next` is the id of the task's next life.
    pub(crate) fn contain(&mut self, index: DeviceIndex, next: TaskId) {
        let device = &mut self.devices[index];
        let runs = match device.life.state() {
            State::Quiescing(Purpose::Death(_)) | State::HeldForever(_) | State::Free => return,
            State::Quiescing(_) => true,
            State::Claimed(_) => false,
        };
        let (name, mapped) = (device.entry().name, device.mapped());
        device.life.die(next);
        self.system.log(Line::Contained {
            name: name.as_str(),
            owner: TaskIndex::of(next).number(),
            mapped,
        });
        // A device that was being released or claimed shares streams that others may have open.
        self.cut_off(index);
        self.stop_unit(self.containment_unit(index), index);
        self.doubt_ungated(index);
        self.settle_sharers(index);
        if !runs {
            self.start_quiesce(index);
        }
    }

    /// Bus mastering off and streams closed, those shared with others too. Neither is proof that
    /// nothing lands any more; only a quiesce is.
    fn cut_off(&mut self, index: DeviceIndex) {
        self.shut(index);
        for other in self.devices.sharers(index) {
            let device = &self.devices[other];
            let open = device.life.is_open();
            if open || device.life.is_always_open() {
                self.shut(other);
                if open {
                    self.mark_revoked(other);
                }
            }
        }
    }

    /// Cuts one device off, whoever shares its streams.
    fn shut(&mut self, index: DeviceIndex) {
        let _ = self.system.bus_master(index, false);
        if self.close(index, true).is_err() {
            self.note_broken(index);
        }
    }

    pub(crate) fn mark_revoked(&mut self, index: DeviceIndex) {
        let device = &mut self.devices[index];
        if let Some(owner) = device.life.revoke() {
            self.system.post_fault(owner);
        }
    }

    /// Takes the use of a claimed device away, and of those that share its streams: their claimants have
    /// to release them. A claimant whose device was closed and who is not told would wait for ever.
    pub(crate) fn revoke(&mut self, index: DeviceIndex) {
        self.cut_off(index);
        self.mark_revoked(index);
    }

    /// Whether what shares a domain with a device keeps its streams closed: it is being made quiet, or
    /// never was, and through an open stream it could go on.
    pub(crate) fn sharer_bars(&self, index: DeviceIndex) -> Option<Why> {
        let mut bars = None;
        for other in self.devices.sharers(index) {
            match self.devices[other].life.state() {
                State::HeldForever(_) => return Some(Why::SharerNotQuiet(other)),
                // One that waits for its own claim has had nothing opened or mapped since it was quiet.
                State::Quiescing(Purpose::Claim(_)) | State::Free | State::Claimed(_) => {}
                State::Quiescing(_) => bars = Some(Why::SharerNotYet(other)),
            }
        }
        bars
    }

    /// Asks the PCI task to make a device quiet; the state already says what for. A failure to start is
    /// handled as a failed quiesce.
    pub(crate) fn start_quiesce(&mut self, index: DeviceIndex) {
        let device = &mut self.devices[index];
        let Some(purpose) = device.life.unquiet_purpose() else {
            // It was cut off before, and made quiet since, for what shares its streams.
            self.end_when_settled(index);
            return;
        };
        let started = self.quiesce(index);
        self.devices[index].life.quiesces_for(purpose, how(started));
        match started {
            Ok(()) => {}
            // One that runs already ends with the same notification.
            Err(Failure::Refused(pci_api::Error::Quiescing)) => {}
            // Asked again when the PCI task is up again.
            Err(failure) if failure.is_outage() => {}
            Err(Failure::Refused(pci_api::Error::NoRecipe)) if self.is_first_use(index) => {
                // Nothing but firmware can have used it, and the plan says in writing that nobody
                // can make it quiet.
                self.quiesced(index, true);
            }
            Err(error) => {
                self.note_not_quiet(index, error.into());
                self.quiesced(index, false);
            }
        }
    }

    /// Notes why a device cannot be made quiet.
    pub(crate) fn note_not_quiet(&mut self, index: DeviceIndex, why: NotQuiet) {
        self.devices[index].note_not_quiet(why);
    }

    /// Whether nobody but firmware and the task that claims a device can ever have made it begin anything.
    fn is_first_use(&self, index: DeviceIndex) -> bool {
        let device = &self.devices[index];
        let first = |life: TaskId| life.generation() == 0;
        device.session.claims() == 0
            && !device.life.was_used_before()
            && matches!(device.life.state(), State::Quiescing(Purpose::Claim(life)) if first(life))
    }

    /// The PCI task finished some quiesce, or is up again.
    pub fn on_quiesced(&mut self) {
        self.take_results();
        self.stand_free();
    }

    fn take_results(&mut self) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            let own = device.life.unquiet_purpose().is_some();
            if !own && device.life.for_sharers() != ForSharers::Running {
                continue;
            }
            if device.life.is_unasked() {
                self.ask_again(index, own);
                continue;
            }
            match self.system.quiesce_result(index) {
                Ok(QuiesceState::Running) => {}
                Ok(QuiesceState::Quiet) if own => self.quiesced(index, true),
                Ok(QuiesceState::Quiet) => self.settled(index, true),
                // A new life of the PCI task knows nothing of it.
                Ok(QuiesceState::Never) => self.ask_again(index, own),
                Err(failure) if failure.is_outage() => {}
                Ok(QuiesceState::Failed(failure)) => {
                    self.failed(index, own, NotQuiet::Failed(failure));
                }
                Err(error) => self.failed(index, own, error.into()),
            }
        }
        self.go_on();
    }

    fn ask_again(&mut self, index: DeviceIndex, own: bool) {
        if own {
            self.start_quiesce(index);
        } else {
            self.settle_again(index);
        }
    }

    /// A device could not be made quiet, for its own sake or for others.
    fn failed(&mut self, index: DeviceIndex, own: bool, why: NotQuiet) {
        self.note_not_quiet(index, why);
        if own {
            self.quiesced(index, false);
        } else {
            self.settled(index, false);
        }
    }

    /// A quiesce ended: what it was for goes on.
    fn quiesced(&mut self, index: DeviceIndex, quiet: bool) {
        let device = &mut self.devices[index];
        let State::Quiescing(purpose) = device.life.state() else {
            return;
        };
        if quiet && device.life.began_early() {
            self.start_quiesce(index);
            return;
        }
        if quiet {
            device.life.now_quiet();
        }
        // Who joined one that was under way may have to be alone with the device for another.
        let again = match purpose {
            Purpose::Claim(life) | Purpose::Death(life) => {
                device.life.quiet() != Quiet::Known(life)
            }
            Purpose::Refusal(..) | Purpose::Release(_) => false,
        };
        match purpose {
            _ if quiet && again => self.start_quiesce(index),
            Purpose::Claim(owner) => {
                // What shares the domain may have begun to be made quiet meanwhile.
                let not_quiet = device.why_not_quiet();
                let refused = if quiet {
                    self.sharer_bars(index)
                } else {
                    Some(not_quiet)
                };
                match refused {
                    None => self.complete_claim(index, owner),
                    Some(why) => self.refuse_claim(index, owner, why),
                }
            }
            _ if quiet => self.end_when_settled(index),
            _ => self.end(index, false),
        }
    }

    /// Ends the release or the containment of a device that is quiet, once what shares its streams is quiet
    /// as well.
    pub(crate) fn end_when_settled(&mut self, index: DeviceIndex) {
        match self.settle_sharers(index) {
            Sharers::Quiet => self.end(index, true),
            Sharers::NotQuiet => self.end(index, false),
            Sharers::Wait => {}
        }
    }

    fn end(&mut self, index: DeviceIndex, quiet: bool) {
        let State::Quiescing(purpose) = self.devices[index].life.state() else {
            return;
        };
        match purpose {
            Purpose::Claim(_) => {}
            Purpose::Refusal(owner, error) => {
                let result = self.finish_release(index, TaskIndex::of(owner), quiet);
                let code = result.err().unwrap_or(error) as u32;
                self.system.reply(owner, code, &[0; 8], 0);
            }
            Purpose::Release(owner) => {
                let result = self.finish_release(index, TaskIndex::of(owner), quiet);
                let code = result.err().map_or(0, |error| error as u32);
                self.system.reply(owner, code, &[0; 8], 0);
            }
            Purpose::Death(next) => {
                if self
                    .finish_release(index, TaskIndex::of(next), quiet)
                    .is_ok()
                {
                    let name = self.name(index);
                    self.system.log(Line::Lifted {
                        name: name.as_str(),
                    });
                }
            }
        }
    }

    fn refuse_claim(&mut self, index: DeviceIndex, owner: TaskId, why: Why) {
        let error = self.note_refusal(index, owner, why);
        let device = &mut self.devices[index];
        device.life.refuse();
        let _ = self.system.lift(TaskIndex::of(owner), index);
        self.system.reply(owner, error as u32, &[0; 8], 0);
    }

    fn complete_claim(&mut self, index: DeviceIndex, owner: TaskId) {
        let (code, payload, len) = match self.grant(index, owner) {
            Ok(Granted::Open(claim)) => (0, claim.to_words(), iommu_api::Claim::LEN),
            Ok(Granted::Undoing) => return,
            Err(why) => (self.note_refusal(index, owner, why) as u32, [0; 8], 0),
        };
        self.system.reply(owner, code, &payload, len);
    }

    /// After a quiesce: empties the device's mappings and lifts what held its owner; or, if it is not quiet,
    /// leaves all of it held for good, with the device cut off.
    fn finish_release(
        &mut self,
        index: DeviceIndex,
        owner: TaskIndex,
        quiet: bool,
    ) -> Result<(), Error> {
        let emptied = quiet && {
            let closed = self.close(index, false).is_ok();
            closed && self.unmap_all(index)
        };
        if !emptied {
            self.stick(index, owner);
            return Err(if quiet {
                Error::HardwareFailure
            } else {
                Error::NotQuiet
            });
        }
        self.unpin_all(index);
        let device = &mut self.devices[index];
        device.life.free();
        // The hold first: to a successor a device that is held and in use is a claim.
        let _ = self.system.lift(owner, index);
        self.stand_free();
        Ok(())
    }

    /// Leaves a device cut off and all that it could reach held, for good.
    pub(crate) fn stick(&mut self, index: DeviceIndex, owner: TaskIndex) {
        self.cut_off(index);
        self.devices[index].life.hold_forever(owner);
        self.list_stuck(index);
    }

    /// Says that what a device could reach stays held.
    pub(crate) fn list_stuck(&mut self, index: DeviceIndex) {
        let why = self.devices[index].not_quiet();
        let name = self.name(index);
        self.system.log(Line::Stuck {
            name: name.as_str(),
            why,
        });
    }

    /// Clears every entry that was made for a device, and makes the SMMU forget them: all that it caches of the
    /// domain at once, however they lie. False if it does not confirm.
    fn unmap_all(&mut self, index: DeviceIndex) -> bool {
        let Some(parts) = self.parts(index) else {
            return false;
        };
        let (member, asid) = (parts.device.member(), parts.space.asid);
        if parts.device.mapped() == 0 {
            return true;
        }
        for kind in [Kind::Pages, Kind::Blocks] {
            parts.space.part(kind).clear_all(parts.hardware, member);
        }
        let queue = &mut parts.running.queue;
        let queued = queue.push(parts.hardware, Command::TlbAsid { asid });
        // An entry that is 0 is free, and may be mapped again before this is confirmed: only by a broken SMMU's
        // devices, none of which is ever opened again.
        if queued.is_err() || queue.sync(parts.hardware).is_err() {
            return false;
        }
        parts.device.count_unmapped(u64::MAX);
        true
    }

    fn unpin_all(&mut self, index: DeviceIndex) {
        let system = &mut self.system;
        self.pins.retain(|pin| {
            if pin.device == index {
                let _ = system.unpin(pin.slot);
            }
            pin.device != index
        });
        self.devices[index].count_no_pins();
    }

    /// The SMMU of a device does not confirm commands any more.
    pub(crate) fn note_broken(&mut self, index: DeviceIndex) {
        let Some(smmu) = self.smmu_of(index) else {
            return;
        };
        self.note_refused(smmu);
        if let Some(smmu) = self.smmus.get(smmu) {
            self.system.log(Line::CommandTimeout {
                name: smmu.entry.name.as_str(),
            });
        }
    }

    pub(crate) fn name(&self, index: DeviceIndex) -> plan::Name {
        self.devices[index].entry().name
    }
}
