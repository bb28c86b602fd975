//! Taking devices and giving them back.

use abi::TaskId;
use iommu_api::{Claim, DeviceRequest, Error, Operation, Sequenced};
use userlib::protocol::Wire;

use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, TaskIndex};
use crate::life::State;
use crate::log::Line;
use crate::message::{Reply, Request};
use crate::server::Server;
use crate::waiting::Granted;
use crate::why::Why;

impl<H: Hardware, S: System> Server<'_, H, S> {
    pub(crate) fn claim(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let sender = request.sender;
        match self.device_of(request, Claim::LEN) {
            Ok(index) => self
                .claim_device(index, sender)
                .map_err(|why| self.note_refusal(index, sender, why)),
            Err(Error::NoSuchDevice) => {
                let asked = DeviceRequest::from_words(&request.payload);
                let number = asked.map_or(u32::MAX, |asked| asked.device);
                Err(self.note_unknown(number, sender))
            }
            Err(error) => Err(error),
        }
    }

    fn claim_device(&mut self, index: DeviceIndex, sender: TaskId) -> Result<Reply, Why> {
        let device = &self.devices[index];
        device.may_claim(sender).map_err(|_| Why::NotOwner)?;
        // The claim exists: its reply was lost, or it was made with an earlier life of this server.
        if device.life().state() == State::Claimed(sender) {
            return Ok(Reply::words(self.claim_of(index).to_words(), Claim::LEN));
        }
        if let Some(why) = device.unusable() {
            return Err(why);
        }
        match device.life().state() {
            State::Claimed(_) => return Err(Why::EarlierLife),
            State::Quiescing(_) => return Err(Why::BeingMadeQuiet),
            State::HeldForever(_) => return Err(device.why_not_quiet()),
            State::Free => {}
        }
        if let Some(why) = self.sharer_bars(index) {
            return Err(why);
        }
        let device = &self.devices[index];
        let quiet = device.life().is_quiet_for(sender);
        // A hold of a device that is in use means that its claim was granted, also to a successor of this server.
        let was_always_open = device.life().is_always_open() && !quiet;
        if was_always_open && self.end_always_open(index).is_err() {
            return Err(Why::Smmu);
        }
        // Held before anything can reach its memory.
        let refused = match self.system.hold(sender, index) {
            abi::Code::OK => None,
            abi::Code::EXHAUSTED => Some(Why::NoSlot),
            _ => Some(Why::NotHeld),
        };
        if let Some(why) = refused {
            if was_always_open {
                self.open_always(index);
            }
            return Err(why);
        }
        if quiet {
            return match self.grant(index, sender)? {
                Granted::Open(claim) => Ok(Reply::words(claim.to_words(), Claim::LEN)),
                Granted::Undoing => Ok(Reply::Later),
            };
        }
        self.devices.life_mut(index).await_claim(sender);
        self.start_quiesce(index);
        Ok(Reply::Later)
    }

    pub(crate) fn release(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        request.shape(Sequenced::LEN, 0)?;
        let head = Sequenced::from_words(&request.payload).ok_or(Error::Malformed)?;
        let owner = request.sender;
        let claimed = self.devices.claimed(head.handle, owner);
        let index = claimed.ok_or(Error::StaleHandle)?;
        let slot = self.devices.slot_mut(index).ok_or(Error::StaleHandle)?;
        if let Some(recorded) = slot.begin(Operation::Release, head.sequence)? {
            return Ok(Reply::recorded(recorded));
        }
        self.flush_before(index);
        let device = &self.devices[index];
        let nothing_mapped = !self.devices.slot(index).has_mappings()
            && !device.life().is_revoked()
            && !self.plan.reaches_pools(device.entry());
        let always_open = nothing_mapped && device.life().is_always_open();
        let (name, told) = (device.entry().name, !device.session.is_first_of_life());
        // Off is always granted; if the PCI task is down, its successor begins with it off.
        let stays_on = !always_open && self.system.bus_master(index, false).is_err();
        if !told {
            self.system.log(Line::Released {
                name: name.as_str(),
                owner,
            });
        }
        if !nothing_mapped {
            // What shares its streams reaches what is mapped for it, and would go on while it is made quiet.
            self.end_always_open_sharers(index);
        }
        // Closed before it is quiet: what is under way finds no translation, whoever dies meanwhile.
        if !always_open && self.close(index, false).is_err() {
            self.note_broken(index);
            self.hold_forever(index, TaskIndex::of(owner));
            return Err(Error::HardwareFailure);
        }
        if !nothing_mapped {
            // Through streams that stay open, what has no bus mastering could begin something anew after its reset.
            if self.stays_in_reach(index) && !self.retract(index) {
                self.note_broken(index);
                self.hold_forever(index, TaskIndex::of(owner));
                return Err(Error::HardwareFailure);
            }
            self.devices.life_mut(index).await_release(owner);
            self.forget_quiet_of_non_pci_sharers(index);
            self.quiesce_sharers(index);
            self.start_quiesce(index);
            return Ok(Reply::Later);
        }
        self.devices.life_mut(index).end_by_word(owner);
        if stays_on {
            self.note_still_on(index);
        }
        self.give_back_pools(index);
        let _ = self.system.lift(TaskIndex::of(owner), index);
        // While a member of its alias set is made quiet, what is mapped for that one is within reach of this one too:
        // its claimant left it alone, and no longer speaks for it.
        if always_open && self.stays_cut_off(index) {
            let _ = self.end_always_open(index);
        }
        Ok(Reply::words([0; 8], 0))
    }
}
