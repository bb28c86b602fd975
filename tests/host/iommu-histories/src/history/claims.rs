//! Claims, releases, deaths, restarts.

use iommu_api::{Claim, DeviceRequest, Error, Operation, Sequenced};
use userlib::protocol::Wire;

use super::requests::Answer;
use super::{History, Waiting};
use crate::intent::Intent;
use crate::layout::{CLIENT, DRIVERS};
use smmu_model::Check;

impl History<'_> {
    pub(super) fn claim(&mut self) {
        let device = self.chooser.below(self.machine.devices.len() + 1);
        let owner = self
            .machine
            .device(device)
            .map_or(plan::NONE, |planned| planned.owner);
        let foreign = self.chooser.once_in(16) || owner == plan::NONE;
        let task = if foreign {
            DRIVERS[self.chooser.below(3)]
        } else {
            owner as usize
        };
        let sender = self.world.borrow().kernel.id(task);
        if !self.world.borrow().kernel.is_alive(task) || self.is_waiting(sender) {
            return;
        }
        let words = DeviceRequest {
            device: device as u32,
        }
        .to_words();
        let waiting = Waiting {
            sender,
            device,
            operation: Operation::Claim,
        };
        loop {
            match self.ask(sender, Operation::Claim, &words[..1]) {
                Answer::Now(code, payload) => {
                    if code == 0 && owner != task as u32 {
                        self.note(Check::Protocol, || {
                            format!("device {device} claimed by task {task}")
                        });
                    }
                    return self.answered(waiting, code, &payload);
                }
                Answer::Later => return self.waiting.push(waiting),
                // It asks again, if it has not died meanwhile.
                Answer::Died if self.world.borrow().kernel.is_current(sender) => {}
                Answer::Died => return,
            }
        }
    }

    pub(super) fn answered(&mut self, waiting: Waiting, code: u32, payload: &[u64; 8]) {
        let Waiting {
            sender,
            device,
            operation,
        } = waiting;
        if !self.world.borrow().kernel.is_current(sender) {
            return;
        }
        self.check_hardware(device, code);
        if code == Error::NotQuiet as u32 {
            self.world.borrow_mut().check_not_quiet(device);
        }
        match (operation, code) {
            (Operation::Claim, 0) => match Claim::from_words(payload) {
                Some(claim) => {
                    self.counts[0] += 1;
                    self.begin_session(device, sender, &claim);
                    let known = self.held.get(device).copied().flatten();
                    if known.is_none_or(|held| held.claim.handle != claim.handle) {
                        self.keep_claim(device, sender, claim);
                        self.check_claim(device);
                    }
                }
                None => self.note(Check::Protocol, || format!("claim answered {payload:x?}")),
            },
            (Operation::Release, code) => {
                if let Some(slot) = self.held.get_mut(device) {
                    *slot = None;
                }
                if code == 0 {
                    self.world.borrow_mut().oracle.clear(device);
                }
            }
            _ => {}
        }
    }

    /// A claim is of a device that can start something, or its claimant is told that it cannot. Without the PCI task
    /// nothing can start, and one that was cut off before is told all the same: through streams that it shares it
    /// may look as if it were in use.
    fn check_claim(&mut self, device: usize) {
        loop {
            let Some(held) = self.held.get(device).copied().flatten() else {
                return;
            };
            let world = self.world.borrow();
            let known = world.knows_pci();
            if known && world.fabric.is_bus_master(device) {
                return;
            }
            drop(world);
            let words = |head: Sequenced| head.to_words()[..2].to_vec();
            let answer = self.change((device, held), Operation::Flush, words, &Intent::default());
            match answer {
                Some((0, _)) if !known => {}
                Some((0, _)) => self.note(Check::Adoption, || {
                    format!("device {device} is claimed and cut off, and nobody is told")
                }),
                // Its number was a wrong one.
                Some((code, _)) if code == Error::OutOfSequence as u32 => continue,
                Some((code, _)) => self.changed(device, code),
                None => {}
            }
            return;
        }
    }

    pub(super) fn release(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let world = self.world.borrow();
        let idle = world.oracle.grants(device).is_empty() && world.oracle.unasked(device).is_none();
        drop(world);
        if idle {
            self.quieten(device);
        } else {
            self.agree(device);
        }
        let head = self.head(device, &held);
        let waiting = Waiting {
            sender: held.owner,
            device,
            operation: Operation::Release,
        };
        match self.ask(held.owner, Operation::Release, &head.to_words()[..2]) {
            Answer::Now(code, payload) if code == 0 || code == Error::HardwareFailure as u32 => {
                self.answered(waiting, code, &payload);
            }
            Answer::Now(..) => {}
            Answer::Later => self.waiting.push(waiting),
            // What is left of the claim it learns by claiming, and releases that.
            Answer::Died => {}
        }
    }

    pub(super) fn die(&mut self) {
        let task = if self.chooser.once_in(4) {
            CLIENT
        } else {
            DRIVERS[self.chooser.below(3)]
        };
        if self.world.borrow().kernel.is_alive(task) {
            self.end(task);
        }
    }

    /// A task's life ends.
    pub(super) fn end(&mut self, task: usize) {
        self.counts[4] += 1;
        self.world.borrow_mut().kernel.die(task);
        if self.trace {
            eprintln!("task {task} dies");
        }
        self.waiting
            .retain(|waiting| waiting.sender.index() != task);
        for slot in &mut self.held {
            if slot.is_some_and(|held| held.owner.index() == task) {
                *slot = None;
            }
        }
    }

    /// G5: what runs again finds nothing of its earlier life within reach of a device.
    pub(super) fn restart(&mut self) {
        let start = self.chooser.below(8);
        for offset in 0..8 {
            let task = (start + offset) % 8;
            let mut world = self.world.borrow_mut();
            if !world.kernel.restart(task) {
                continue;
            }
            self.counts[5] += 1;
            if self.trace {
                eprintln!("task {task} runs again");
            }
            world.check_restart(task);
        }
    }
}
