//! The work that waits until a device is quiet: claims, refusals and ends of claims, and the lifting of holds. What
//! comes of a quiesce is carried out here and nowhere else.
//!
//! This server's files call each other downwards only: requests and events (`protocol`, `turns`, `start`) call claims,
//! deaths and adoption, these call this file, and it calls what cuts off, what opens and what closes. It would be an
//! alternative that events gave out lists of actions and one place carried them out. But the outcome of an action decides
//! on the next one (a stream that is not confirmed to be closed holds memory for good), so that lists would have to be
//! stored in the midst, in room that has a bound: where it ended, a containment would be lost. Calls that only go down
//! need no such room, and a life's transitions are one file all the same.

use abi::TaskId;
use iommu_api::{Claim, Error};
use pci_api::QuiesceState;
use pci_api::client::Failure;
use smmu::Command;
use userlib::protocol::Wire;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::life::{ForSharers, Purpose, Quiet, State};
use crate::log::Line;
use crate::quiesce_sharers::Sharers;
use crate::server::Server;
use crate::space::{Kind, Part};
use crate::units::how;
use crate::why::{NotQuiet, Why};

/// The state of a grant that was not refused at once.
pub(crate) enum Granted {
    /// The device is open.
    Open(Claim),
    /// The device could not be opened; the refusal comes when it has been made quiet.
    Undoing,
}

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// The PCI task finished some quiesce, or is up again.
    pub fn on_quiesced(&mut self) {
        self.take_results();
        self.reopen_always_open();
    }

    pub(crate) fn take_results(&mut self) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            let own = device.life().unquiet_purpose().is_some();
            if !own && device.life().for_sharers() != ForSharers::Running {
                continue;
            }
            if device.life().is_unasked() {
                self.ask_again(index, own);
                continue;
            }
            match self.system.quiesce_result(index) {
                Ok(QuiesceState::Running) => {}
                Ok(QuiesceState::Quiet) if own => self.quiesced(index, true),
                Ok(QuiesceState::Quiet) => self.sharer_quiesced(index, true),
                // A new life of the PCI task knows nothing of it.
                Ok(QuiesceState::Never) => self.ask_again(index, own),
                Err(failure) if failure.is_outage() => {}
                Ok(QuiesceState::Failed(failure)) => {
                    self.failed(index, own, NotQuiet::Failed(failure));
                }
                Err(error) => self.failed(index, own, error.into()),
            }
        }
        self.resume_waiting();
    }

    pub(crate) fn ask_again(&mut self, index: DeviceIndex, own: bool) {
        if own {
            self.start_quiesce(index);
        } else {
            self.quiesce_sharer_again(index);
        }
    }

    /// Asks the PCI task to make a device quiet; the state already says what for. A failure to start is
    /// handled as a failed quiesce.
    pub(crate) fn start_quiesce(&mut self, index: DeviceIndex) {
        let device = &mut self.devices[index];
        let Some(purpose) = device.life().unquiet_purpose() else {
            // It was cut off before, and made quiet since, for what shares its streams.
            self.end_when_sharers_are_quiet(index);
            return;
        };
        let started = self.quiesce(index);
        self.devices
            .life_mut(index)
            .quiesces_for(purpose, how(started));
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
    pub(crate) fn is_first_use(&self, index: DeviceIndex) -> bool {
        let device = &self.devices[index];
        let first = |life: TaskId| life.generation() == 0;
        device.session.claims() == 0
            && !device.life().was_used_before()
            && matches!(device.life().state(), State::Quiescing(Purpose::Claim(life)) if first(life))
    }

    /// A device could not be made quiet, for its own sake or for others.
    pub(crate) fn failed(&mut self, index: DeviceIndex, own: bool, why: NotQuiet) {
        self.note_not_quiet(index, why);
        if own {
            self.quiesced(index, false);
        } else {
            self.sharer_quiesced(index, false);
        }
    }

    /// A quiesce ended: what it was for goes on.
    pub(crate) fn quiesced(&mut self, index: DeviceIndex, quiet: bool) {
        let device = &self.devices[index];
        let State::Quiescing(purpose) = device.life().state() else {
            return;
        };
        if quiet && device.life().began_early() {
            self.start_quiesce(index);
            return;
        }
        if quiet {
            self.devices.life_mut(index).now_quiet();
        }
        let device = &self.devices[index];
        // Who joined one that was under way may have to be alone with the device for another.
        let again = match purpose {
            Purpose::Claim(life) | Purpose::Death(life) => {
                device.life().quiet() != Quiet::Known(life)
            }
            Purpose::Refusal(..) | Purpose::Release(_) | Purpose::Taken(_) => false,
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
            _ if quiet => self.end_when_sharers_are_quiet(index),
            _ => self.end(index, false),
        }
    }

    /// Goes on with everything that is quiet itself and waited for others.
    pub(crate) fn resume_waiting(&mut self) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            if device.life().waits_for_sharers() {
                self.end_when_sharers_are_quiet(index);
            }
        }
    }

    /// Ends the release or the containment of a device that is quiet, once what shares its streams is quiet
    /// as well.
    pub(crate) fn end_when_sharers_are_quiet(&mut self, index: DeviceIndex) {
        match self.quiesce_sharers(index) {
            Sharers::Quiet => self.end(index, true),
            Sharers::NotQuiet => self.end(index, false),
            Sharers::Wait => {}
        }
    }

    pub(crate) fn end(&mut self, index: DeviceIndex, quiet: bool) {
        let State::Quiescing(purpose) = self.devices[index].life().state() else {
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
            Purpose::Death(held) | Purpose::Taken(held) => {
                if self
                    .finish_release(index, TaskIndex::of(held), quiet)
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

    pub(crate) fn refuse_claim(&mut self, index: DeviceIndex, owner: TaskId, why: Why) {
        let error = self.note_refusal(index, owner, why);
        self.devices.life_mut(index).refuse();
        let _ = self.system.lift(TaskIndex::of(owner), index);
        self.system.reply(owner, error as u32, &[0; 8], 0);
    }

    pub(crate) fn complete_claim(&mut self, index: DeviceIndex, owner: TaskId) {
        let (code, payload, len) = match self.grant(index, owner) {
            Ok(Granted::Open(claim)) => (0, claim.to_words(), iommu_api::Claim::LEN),
            Ok(Granted::Undoing) => return,
            Err(why) => (self.note_refusal(index, owner, why) as u32, [0; 8], 0),
        };
        self.system.reply(owner, code, &payload, len);
    }

    /// Opens a quiet, held device for `owner`: the stream first, then bus mastering. The device
    /// is quiet, so that the open stream carries nothing until bus mastering is on. In the other order the device's
    /// first accesses could meet a closed stream, and be told to the owner as faults of the new claim.
    pub(crate) fn grant(&mut self, index: DeviceIndex, owner: TaskId) -> Result<Granted, Why> {
        let opened = self.open(index).map_err(|_| Why::Smmu);
        let started = opened.and_then(|()| {
            let mastering = self.system.bus_master(index, true);
            mastering.map_err(|error| match error {
                Failure::Refused(error) => Why::NoBusMaster(Some(error)),
                _ => Why::NoBusMaster(None),
            })
        });
        if let Err(why) = started {
            return self.undo_grant(index, owner, why);
        }
        self.devices.grant(index, owner);
        let device = &self.devices[index];
        if device.session.is_first_of_life() {
            self.system.log(Line::Claimed {
                name: device.entry().name.as_str(),
                owner,
            });
        }
        Ok(Granted::Open(self.claim_of(index)))
    }

    /// A grant failed half-way: nobody knows whether bus mastering is on, and the streams were open. They are
    /// closed, and the hold is lifted as soon as nothing can reach the owner's memory any more.
    pub(crate) fn undo_grant(
        &mut self,
        index: DeviceIndex,
        owner: TaskId,
        why: Why,
    ) -> Result<Granted, Why> {
        let _ = self.system.bus_master(index, false);
        let closed = self.close(index, false);
        self.devices.life_mut(index).forget_quiet();
        if closed.is_err() {
            self.note_broken(index);
            self.hold_forever(index, TaskIndex::of(owner));
            return Err(why);
        }
        if self.plan.reaches_pools(self.devices[index].entry()) {
            self.devices
                .life_mut(index)
                .await_refusal(owner, why.error());
            self.note_refusal(index, owner, why);
            self.start_quiesce(index);
            return Ok(Granted::Undoing);
        }
        self.devices.life_mut(index).free();
        let _ = self.system.lift(TaskIndex::of(owner), index);
        Err(why)
    }

    pub(crate) fn claim_of(&self, index: DeviceIndex) -> Claim {
        let slot = self.devices.slot(index);
        Claim {
            handle: slot.handle(),
            sequence: slot.sequence(),
            window: self.window(index),
        }
    }

    /// After a quiesce: empties the device's mappings and lifts what held its owner; or, if it is not quiet,
    /// leaves all of it held for good, with the device cut off.
    pub(crate) fn finish_release(
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
            self.hold_forever(index, owner);
            return Err(if quiet {
                Error::HardwareFailure
            } else {
                Error::NotQuiet
            });
        }
        self.unpin_all(index);
        self.give_back_pools(index);
        self.devices.life_mut(index).free();
        // The hold first: to a successor a device that is held and in use is a claim.
        let _ = self.system.lift(owner, index);
        self.reopen_always_open();
        Ok(())
    }

    /// Clears every entry that was made for a device, and makes the SMMU forget them. False if it does not confirm.
    pub(crate) fn unmap_all(&mut self, index: DeviceIndex) -> bool {
        let unmapped = self.invalidate(index, |part, hardware, member| {
            part.clear_all(hardware, member);
        });
        if unmapped && let Some(slot) = self.devices.slot_mut(index) {
            slot.count_unmapped(u64::MAX);
        }
        unmapped
    }

    /// Nothing reaches what is mapped for a device any more, but all of it stays on record: what reached it may have an
    /// access under way. False if the SMMU does not confirm.
    pub(crate) fn retract(&mut self, index: DeviceIndex) -> bool {
        self.invalidate(index, |part, hardware, member| {
            part.retract_all(hardware, member);
        })
    }

    /// Makes every entry that was made for a device invalid, and the SMMU forget them: all that it caches of the domain
    /// at once, however they lie.
    fn invalidate(&mut self, index: DeviceIndex, each: impl Fn(&mut Part, &mut H, u64)) -> bool {
        let member = self.devices[index].member();
        let mapped = self.devices.slot(index).mapped();
        let Some(behind) = self.behind(index) else {
            return false;
        };
        let asid = behind.space.asid;
        if mapped == 0 {
            return true;
        }
        for kind in [Kind::Pages, Kind::Blocks] {
            each(behind.space.part(kind), behind.hardware, member);
        }
        let queue = &mut behind.running.queue;
        let queued = queue.push(behind.hardware, Command::TlbAsid { asid });
        // An entry that is 0 is free, and may be mapped again before this is confirmed: only by a broken SMMU's
        // devices, none of which is ever opened again.
        queued.is_ok() && queue.sync(behind.hardware).is_ok()
    }

    pub(crate) fn unpin_all(&mut self, index: DeviceIndex) {
        let system = &mut self.system;
        self.kept.pins.retain(|pin| {
            if pin.device == index {
                let _ = system.unpin(pin.slot);
            }
            pin.device != index
        });
        if let Some(slot) = self.devices.slot_mut(index) {
            slot.count_no_pins();
        }
    }
}
