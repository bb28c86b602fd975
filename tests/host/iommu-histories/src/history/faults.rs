//! What devices do wrong, and what is told of it.

use iommu_api::{DeviceRequest, HandleRequest, Operation, Status};
use userlib::protocol::Wire;

use super::History;
use super::requests::Answer;
use crate::layout::{AUDITOR, Recipe, WINDOW};
use smmu_model::Check;

impl History<'_> {
    /// A device does what it should, or something else.
    pub(super) fn access(&mut self) {
        let device = self.chooser.below(self.machine.devices.len());
        if !self.world.borrow().may_act(device) {
            return;
        }
        let held = self.held.get(device).copied().flatten();
        let lives = held.filter(|held| self.world.borrow().kernel.is_current(held.owner));
        if lives.is_some_and(|held| !held.revoked && !self.is_waiting(held.owner))
            && self.chooser.once_in(2)
        {
            self.try_grants(device);
            return;
        }
        let mut world = self.world.borrow_mut();
        let Some(&stream) = self.chooser.pick(self.machine.streams_of(device)) else {
            return;
        };
        for _ in 0..1 + self.chooser.below(6) {
            let input = match self.chooser.below(4) {
                0 => 0x7000_0000 - 4096 + self.chooser.below(4) as u64 * 4096,
                1 => WINDOW + self.chooser.below(600) as u64 * 4096,
                2 => self.chooser.word(),
                _ => 0x5000_0000 + self.chooser.below(64) as u64 * 4096,
            };
            let write = self.chooser.once_in(2);
            // An address that happens to be granted is checked when it lands.
            let _ = world.model.access(device as u32, stream, input, write);
        }
        world.finish_parted();
        let released =
            |other| self.machine.share(other, device) && other != device && self.is_released(other);
        if lives.is_some() && world.is_open(device) && (0..self.machine.devices.len()).any(released)
        {
            // Its claimant goes on, and has agreed to the release: nothing of it is under way when that ends.
            world.model.finish_device(device as u32);
        }
    }

    /// A task has the registers of its devices at all times, and may start something in one that it has not claimed.
    pub(super) fn touch(&mut self) {
        let mut world = self.world.borrow_mut();
        if !self.chooser.once_in(world.fabric.troubles.touches) {
            return;
        }
        let device = self.chooser.below(self.machine.devices.len());
        let planned = &self.machine.devices[device];
        // By the plan's written word one without a recipe is not used before its first claim.
        let touchable = planned.owner != plan::NONE && planned.recipe != Recipe::None;
        let owner = planned.owner as usize;
        let life = world.kernel.id(owner);
        // Who waits for a reply does nothing else.
        if touchable && world.kernel.is_alive(owner) && !self.is_waiting(life) {
            world.fabric.touch(device as u32, life);
            if self.trace {
                eprintln!("{life:x?} touches device {device}");
            }
        }
    }

    /// G8: faults are told, or their loss is.
    pub(super) fn look_at_faults(&mut self, start: bool) {
        if !self.taken_over || self.world.borrow().model.has_stopped() {
            // What was told by then is not known.
            return self.take_faults();
        }
        let auditor = self.world.borrow().kernel.id(AUDITOR);
        let (dropped, lost_before) = (self.world.borrow().model.events_lost, self.lost);
        let mut lost = lost_before.1;
        for &device in self.machine.watched {
            let Some(&stream) = self.machine.streams_of(device).first() else {
                continue;
            };
            let low = self.world.borrow().model.written(stream);
            let words = DeviceRequest {
                device: device as u32,
            }
            .to_words();
            let answer = self.ask(auditor, Operation::Status, &words[..1]);
            if answer == Answer::Died {
                return;
            }
            let Some(status) = answer.now().and_then(|(code, payload)| {
                (code == 0).then(|| Status::from_words(&payload)).flatten()
            }) else {
                self.note(Check::Protocol, || {
                    format!("status of device {device}: {answer:x?}")
                });
                return;
            };
            let high = self.world.borrow().model.written(stream);
            let (told, fewest, written) = self.faults[device];
            let least = told + low.saturating_sub(written);
            let most = told + (high - fewest);
            let was_lost = status.lost > lost_before.1;
            lost = status.lost;
            let right = status.faults <= most && (status.faults >= least || was_lost);
            if !start && !right {
                self.note(Check::Delivery, || {
                    format!("device {device}: {status:?}, written {low}..={high} after {told} of {written}")
                });
            }
            self.counts[3] += status.faults.saturating_sub(told);
            // Without a loss what was told says what was written. After one it is only known that all
            // written before were taken or lost.
            let seen = status.faults.saturating_sub(told) + written;
            let (few, many) = if was_lost || start || fewest != written {
                (low, high)
            } else {
                (seen, seen)
            };
            self.faults[device] = (status.faults, few, many);
        }
        if !start && dropped > lost_before.0 && lost == lost_before.1 {
            self.note(Check::Delivery, || {
                format!("{dropped} records dropped, {lost} losses told")
            });
        }
        // What was dropped during the look may have been told already.
        self.lost = (self.world.borrow().model.events_lost, lost);
        self.take_faults();
    }

    pub(super) fn take_faults(&mut self) {
        let Some((_, held)) = self.driver() else {
            return;
        };
        let words = HandleRequest {
            handle: held.claim.handle,
        }
        .to_words();
        let answer = self.ask(held.owner, Operation::NextFault, &words[..1]);
        if let Some((code, _)) = answer.now()
            && code != 0
        {
            self.note(Check::Protocol, || format!("next_fault answered {code:#x}"));
        }
    }

    /// A message of random words: it must change nothing that others have.
    pub(super) fn garbage(&mut self) {
        let sender = {
            let world = self.world.borrow();
            world.kernel.id(3 + self.chooser.below(5))
        };
        if self.is_waiting(sender) || !self.world.borrow().kernel.is_current(sender) {
            return;
        }
        let operation = match self.chooser.below(3) {
            0 => Operation::Map,
            1 => Operation::UnmapList,
            _ => Operation::NextFault,
        };
        let words: Vec<u64> = (0..self.chooser.below(12))
            .map(|_| self.chooser.word() >> self.chooser.below(64))
            .collect();
        if let Answer::Now(0, _) = self.ask(sender, operation, &words) {
            self.note(Check::Protocol, || {
                format!("{operation:?} {words:x?} was granted")
            });
        }
    }
}
