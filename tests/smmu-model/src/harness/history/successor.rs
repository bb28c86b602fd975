//! The server dies, and a new life of it goes on.

use iommu::Server;
use iommu_api::{Claim, DeviceRequest, Operation};

use super::{Held, History};
use crate::finding::Check;
use crate::harness::layout::{DEVICES, STREAMS};

impl History<'_> {
    /// G6: the server's death opens nothing, and its successor goes on with the claims that are alive.
    pub(super) fn succeed(&mut self) {
        self.counts[6] += 1;
        let working = self.working();
        let closed = self.closed_streams();
        self.forget_calls();
        let shared = self.shared.clone();
        let Ok(server) = Server::new(self.plan, shared.clone(), |_| shared.clone()) else {
            self.note(Check::Refusal, || "the successor is not made".into());
            return;
        };
        self.server = server;
        self.server.boot();
        for stream in closed {
            let reachable = self.world.borrow().model.reachable(stream);
            if let Some(run) = reachable.runs.first() {
                self.note(Check::Adoption, || {
                    format!("stream {stream:#x} was closed and reaches {run:x?}")
                });
            }
        }
        self.world.borrow_mut().check_cut_off();
        for (device, held) in working {
            self.claim_again(device, held);
        }
        self.look_at_faults(true);
    }

    /// Claims that are in use: of living tasks, not cut off and not to be cut off.
    fn working(&self) -> Vec<(usize, Held)> {
        let world = self.world.borrow();
        let doomed = |device: usize| {
            let mut holds = world.kernel.holds.iter();
            holds.any(|hold| {
                DEVICES[hold.device as usize].domain == DEVICES[device].domain
                    && !world.kernel.is_current(hold.task)
            })
        };
        let works = |&(device, held): &(usize, Held)| {
            world.fabric.is_bus_master(device)
                && world.kernel.is_current(held.owner)
                && !doomed(device)
        };
        let held = self.held.iter().enumerate();
        held.filter_map(|(device, held)| Some((device, (*held)?)))
            .filter(works)
            .collect()
    }

    fn closed_streams(&self) -> Vec<u32> {
        let world = self.world.borrow();
        let closed = |stream: &u32| world.model.reachable(*stream).runs.is_empty();
        STREAMS.into_iter().filter(closed).collect()
    }

    /// Whoever waits for a reply is told that the server died; what was posted to it is lost.
    fn forget_calls(&mut self) {
        self.waiting.clear();
        self.held.fill(None);
        self.faults.fill((0, 0, 0));
        self.deadline = None;
        let mut world = self.world.borrow_mut();
        world.replies.clear();
        world.kernel.held_death = false;
        world.fabric.quiesced = false;
        world.model.event_interrupt = false;
        world.model.error_interrupt = false;
        world.sabotage.succeeded = true;
        world.model.pass(1000);
        if self.trace {
            eprintln!("the server dies");
        }
    }

    /// A living claim goes on under another handle, with all that was mapped.
    fn claim_again(&mut self, device: usize, held: Held) {
        let words = DeviceRequest {
            device: device as u32,
        }
        .to_words();
        let answer = self.ask(held.owner, Operation::Claim, &words[..1]);
        let claim = answer
            .filter(|(code, _)| *code == 0)
            .and_then(|(_, payload)| Claim::from_words(&payload))
            .filter(|claim| claim.handle != held.claim.handle && claim.sequence == 0);
        let Some(claim) = claim else {
            self.note(Check::Adoption, || {
                format!("device {device}: {held:x?} became {answer:x?}")
            });
            return;
        };
        let held = Held {
            claim,
            sequence: 0,
            ..held
        };
        self.held[device] = Some(held);
        if !self.world.borrow().fabric.is_bus_master(device) {
            self.note(Check::Adoption, || {
                format!("device {device} was stopped: {held:x?}")
            });
        }
        self.try_grants(device);
    }
}
