//! Requests, and what their senders do when the server dies in one of them.

use abi::TaskId;
use iommu::indices::DeviceIndex;
use iommu::{Reply, Request};
use iommu_api::{Operation, Sequenced};

use super::{Held, History};
use crate::intent::Intent;
use crate::sabotage::{Asked, Kind, Mistake};
use smmu_model::Check;

/// What a request came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// A code and a payload.
    Now(u32, [u64; 8]),
    /// The reply comes later.
    Later,
    /// The server died in it, and its successor has started.
    Died,
}

impl Answer {
    /// The code and the payload of an answer at once.
    pub(super) fn now(self) -> Option<(u32, [u64; 8])> {
        match self {
            Self::Now(code, payload) => Some((code, payload)),
            Self::Later | Self::Died => None,
        }
    }
}

impl History<'_> {
    pub(super) fn ask(&mut self, sender: TaskId, operation: Operation, words: &[u64]) -> Answer {
        let expected = self.expect(sender, operation, words);
        let mut sent = Asked {
            sender,
            operation,
            words: words.to_vec(),
        };
        self.misunderstand(&mut sent);
        let mut payload = [0; 8];
        for (to, from) in payload.iter_mut().zip(&sent.words) {
            *to = *from;
        }
        let request = Request {
            sender: sent.sender,
            operation: operation as u16,
            len: size_of_val(&sent.words[..]),
            reply_capacity: 64,
            payload,
            long: &sent.words,
            leases: 0,
        };
        if self.trace {
            eprintln!("{sender:x?} {operation:?} {words:x?}");
        }
        let bystanders = self.bystanders(words);
        let reply = self.serve(|server| server.handle(&request));
        self.check_bystanders(&bystanders, operation);
        if self.trace {
            eprintln!(" -> {reply:x?}");
        }
        match reply {
            Some(Reply::Now { code, payload, .. }) => {
                let code = self.mistake(operation, code);
                self.compare(expected, (sender, operation, words), (code, payload[0]));
                Answer::Now(code, payload)
            }
            Some(Reply::Later) => Answer::Later,
            None => {
                self.succeed();
                Answer::Died
            }
        }
    }

    /// What a server that looks less closely takes a request for.
    fn misunderstand(&mut self, asked: &mut Asked) {
        let Some(Kind::Message(Mistake::Request(change))) = self.world.borrow().sabotage.kind()
        else {
            return;
        };
        let named = self.device_of(asked.words.first().copied().unwrap_or(0));
        let slot = named.and_then(DeviceIndex::new);
        let slot = slot.map(|index| self.server.slot(index));
        let before = asked.clone();
        if let Some(slot) = slot.filter(|slot| slot.served().is_some()) {
            change(slot, asked);
        }
        self.world.borrow_mut().sabotage.struck += u64::from(*asked != before);
    }

    /// What it answers instead of an error.
    fn mistake(&mut self, operation: Operation, code: u32) -> u32 {
        let Some(Kind::Message(Mistake::Answer(change))) = self.world.borrow().sabotage.kind()
        else {
            return code;
        };
        let changed = change(operation, code);
        self.world.borrow_mut().sabotage.struck += u64::from(changed != code);
        changed
    }

    /// Devices that a request about a device, or about a claim of it, has nothing to do with, and whose streams are
    /// open.
    fn bystanders(&self, words: &[u64]) -> Vec<usize> {
        let about = words.first().copied().unwrap_or(0);
        let device = self.device_of(about).unwrap_or(about as usize);
        let unit = |device| self.machine.device(device).map(|d| d.reset_unit);
        let world = self.world.borrow();
        let apart = |other: &usize| {
            let own = *other == device || self.machine.share(*other, device);
            !own && unit(*other) != unit(device) && world.is_open(*other)
        };
        (0..self.machine.devices.len()).filter(apart).collect()
    }

    /// The device that a handle was given for, now or before.
    fn device_of(&self, handle: u64) -> Option<usize> {
        let mut given = self.handles.iter();
        given.position(|given| given.is_some_and(|given| given.0 == handle))
    }

    fn check_bystanders(&self, before: &[usize], operation: Operation) {
        let world = self.world.borrow();
        let mut closed = before.iter().filter(|&&device| !world.is_open(device));
        let closed = closed.next().copied();
        drop(world);
        if let Some(device) = closed {
            self.note(Check::Bystander, || {
                format!("{operation:?} for another closed device {device}")
            });
        }
    }

    /// A request of a claimant that changes what is mapped. If the server dies in it, the claimant sends it
    /// again under the handle it has by then, until it is answered or the claim is over.
    pub(super) fn change(
        &mut self,
        (device, mut held): (usize, Held),
        operation: Operation,
        words: impl Fn(Sequenced) -> Vec<u64>,
        intent: &Intent,
    ) -> Option<(u32, [u64; 8])> {
        loop {
            if !intent.unmaps.is_empty() {
                self.quieten(device);
            }
            let head = self.head(device, &held);
            let in_order = head.sequence.wrapping_sub(held.sequence) <= 1;
            let words = words(head);
            self.world.borrow_mut().intent = Some(intent.clone());
            let answer = self.ask(held.owner, operation, &words);
            self.world.borrow_mut().intent = None;
            if let (false, Some((0, _))) = (in_order, answer.now()) {
                self.note(Check::Protocol, || {
                    format!("device {device}: {operation:?} out of order was served")
                });
            }
            if answer != Answer::Died {
                return answer.now();
            }
            let again = self.held.get(device).copied().flatten();
            held = again.filter(|again| again.owner == held.owner)?;
        }
    }

    pub(super) fn is_waiting(&self, sender: TaskId) -> bool {
        self.waiting.iter().any(|waiting| waiting.sender == sender)
    }

    /// Whether a device's claimant has asked for the end of its claim, and waits.
    pub(super) fn is_released(&self, device: usize) -> bool {
        self.waiting
            .iter()
            .any(|waiting| waiting.device == device && waiting.operation == Operation::Release)
    }

    /// A claimed device of a driver that can ask.
    pub(super) fn driver(&mut self) -> Option<(usize, Held)> {
        let devices = self.machine.devices.len();
        let start = self.chooser.below(devices);
        for offset in 0..devices {
            let device = (start + offset) % devices;
            let Some(held) = self.held.get(device).copied().flatten() else {
                continue;
            };
            if self.world.borrow().kernel.is_current(held.owner) && !self.is_waiting(held.owner) {
                return Some((device, held));
            }
        }
        None
    }

    /// The head of the next request; once in a while a wrong one.
    pub(super) fn head(&mut self, device: usize, held: &Held) -> Sequenced {
        let handle = held.claim.handle;
        if self.chooser.once_in(40) {
            return Sequenced {
                handle,
                sequence: self.chooser.word(),
            };
        }
        if let Some(held) = self.held.get_mut(device).and_then(Option::as_mut) {
            held.sequence += 1;
        }
        Sequenced {
            handle,
            sequence: held.sequence + 1,
        }
    }
}
