//! Taking devices and giving them back.

use abi::TaskId;
use iommu_api::{Claim, Error, Operation, Sequenced};

use crate::changes::Begun;
use crate::hardware::{Hardware, System};
use crate::log::Line;
use crate::ownership::{Purpose, Quiet, State};
use crate::protocol::{Reply, Request};
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    pub(crate) fn claim(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        let index = self.device_of(request, Claim::LEN)?;
        let sender = request.sender;
        let device = self.devices.get_mut(index).ok_or(Error::NoSuchDevice)?;
        device.may_claim(sender)?;
        if let Some(error) = device.unusable {
            return Err(error);
        }
        match device.state {
            // The claim exists: its reply was lost, or it was made with an earlier life of this server.
            State::Claimed(owner) if owner == sender => {
                let claim = self.claim_of(index).ok_or(Error::NoSuchDevice)?;
                return Ok(Reply::words(claim.to_words(), Claim::LEN));
            }
            State::Claimed(_) | State::Quiescing(_) => return Err(Error::Busy),
            State::Stuck(_) => return Err(Error::NotQuiet),
            State::Free => {}
        }
        if let Some(error) = self.sharer_bars(index) {
            return Err(error);
        }
        let device = self.devices.get(index).ok_or(Error::NoSuchDevice)?;
        let quiet = match device.quiet {
            Quiet::Known => true,
            Quiet::ByWord(life) => life == sender,
            Quiet::Unknown => false,
        };
        // A hold of a device that is in use means that its claim was granted, also to a successor of this server.
        let stood = device.standing && !quiet;
        if stood {
            self.stop_standing(index);
        }
        // Held before anything can reach its memory.
        let refused = match self.system.hold(sender, index as u32) {
            abi::Code::OK => None,
            abi::Code::EXHAUSTED => Some(Error::PinsExhausted),
            _ => Some(Error::Busy),
        };
        if let Some(error) = refused {
            if stood {
                self.stand(index);
            }
            return Err(error);
        }
        if quiet {
            let claim = self.grant(index, sender)?;
            return Ok(Reply::words(claim.to_words(), Claim::LEN));
        }
        if let Some(device) = self.devices.get_mut(index) {
            device.state = State::Quiescing(Purpose::Claim(sender));
        }
        self.start_quiesce(index);
        Ok(Reply::Later)
    }

    fn claim_of(&self, index: usize) -> Option<Claim> {
        let device = self.devices.get(index)?;
        Some(Claim {
            handle: device.handle(),
            sequence: device.sequence,
            window: self.spaces.get(device.entry.domain as usize)?.window(),
        })
    }

    /// Opens a quiet, held device for `owner`: the stream first, then bus mastering. On failure everything is
    /// as before and the hold is lifted.
    pub(crate) fn grant(&mut self, index: usize, owner: TaskId) -> Result<Claim, Error> {
        let opened = self.open(index).map_err(|_| Error::HardwareFailure);
        let started = opened.and_then(|()| {
            self.system
                .bus_master(index as u32, true)
                .map_err(|_| Error::Unavailable)
        });
        if let Err(error) = started {
            let _ = self.system.bus_master(index as u32, false);
            if self.close(index, false).is_err() {
                self.note_broken(index);
            }
            if let Some(device) = self.devices.get_mut(index) {
                device.state = State::Free;
            }
            let _ = self.system.lift(owner.index(), index as u32);
            return Err(error);
        }
        let device = self.devices.get_mut(index).ok_or(Error::NoSuchDevice)?;
        device.begin_claim(owner);
        device.standing = device.may_stand;
        if device.is_first_of_life() {
            self.system.log(Line::Claimed {
                name: device.entry.name.as_str(),
                owner,
            });
        }
        self.claim_of(index).ok_or(Error::NoSuchDevice)
    }

    pub(crate) fn release(&mut self, request: &Request<'_>) -> Result<Reply, Error> {
        request.shape(Sequenced::LEN, 0)?;
        let head = Sequenced::from_words(&request.payload);
        let owner = request.sender;
        let index = match self.begin(Operation::Release, head, owner)? {
            Begun::New(index) => index,
            Begun::Again(recorded) => return Ok(Reply::recorded(&recorded)),
        };
        let device = self.devices.get_mut(index).ok_or(Error::StaleHandle)?;
        let nothing_mapped = device.mapped == 0
            && device.pins == 0
            && !device.revoked
            && !self.plan.reaches_pools(device.entry);
        let stands = nothing_mapped && device.standing;
        let (name, told) = (device.entry.name, !device.is_first_of_life());
        if stands {
            device.open = false;
        } else {
            // Off is always granted; if the PCI task is down, its successor begins with it off.
            let _ = self.system.bus_master(index as u32, false);
        }
        if !told {
            self.system.log(Line::Released {
                name: name.as_str(),
                owner,
            });
        }
        if !nothing_mapped {
            // What shares its streams reaches what is mapped for it, and would go on while it is made quiet.
            self.stop_standing_sharers(index);
        }
        // Closed before it is quiet: what is under way finds no translation, whoever dies meanwhile.
        if !stands && self.close(index, false).is_err() {
            self.note_broken(index);
            self.stick(index, owner.index());
            return Err(Error::HardwareFailure);
        }
        if !nothing_mapped {
            if let Some(device) = self.devices.get_mut(index) {
                device.state = State::Quiescing(Purpose::Release(owner));
            }
            self.doubt_ungated(index);
            self.settle_sharers(index);
            self.start_quiesce(index);
            return Ok(Reply::Later);
        }
        if let Some(device) = self.devices.get_mut(index) {
            device.state = State::Free;
            device.quiet = Quiet::ByWord(owner);
        }
        let _ = self.system.lift(owner.index(), index as u32);
        Ok(Reply::words([0; 8], 0))
    }
}
