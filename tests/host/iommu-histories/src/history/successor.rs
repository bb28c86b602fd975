//! The server dies, between requests or in one, and a new life of it goes on.

use abi::TaskId;
use iommu::Server;
use iommu_api::{Claim, DeviceRequest, Operation};
use userlib::protocol::Wire;

use super::{Held, History};
use crate::intent::Intent;
use crate::kernel::{Hold, Pin};
use crate::layout::TABLES;
use crate::world::Leaves;
use crate::world::Shared;
use smmu_model::Check;

/// Once in how many turns of the server it dies in the turn, and a start of it in the start.
const DEATHS: u32 = 12;
const DEATHS_AT_START: u32 = 3;

/// What a death leaves.
struct Estate {
    /// Devices in use, with their living claimants.
    used: Vec<(usize, TaskId)>,
    /// Those of them that are not to be cut off with another one.
    working: Vec<(usize, TaskId)>,
    /// Devices that nobody has claimed and that are always open, neither to be cut off with another one, with what they and those
    /// that share their streams had lost.
    always_open: Vec<(usize, u64)>,
    /// Streams through which nothing can be reached.
    closed: Vec<u32>,
    /// What each domain maps.
    leaves: Vec<Leaves>,
    /// Holds and pins.
    holds: Vec<Hold>,
    pins: Vec<Option<Pin>>,
}

impl<'p> History<'p> {
    /// Lets the server do something: `None` if it dies in it.
    pub(super) fn serve<T>(
        &mut self,
        act: impl FnOnce(&mut Server<'p, Shared, Shared>) -> T,
    ) -> Option<T> {
        let rarity = if self.immortal { 0 } else { DEATHS };
        let mut world = self.world.borrow_mut();
        world.fuse.light(&mut self.chooser, rarity);
        if let Some(operations) = self.brief.take() {
            world.fuse.cut(operations);
        }
        drop(world);
        let server = &mut self.server;
        let done = self.shared.outlive(|| act(server));
        self.counts[7] += u64::from(done.is_none());
        done
    }

    /// The server starts, over and over if it dies in it.
    pub(super) fn start(&mut self) {
        while self.begin_life().is_none() {
            self.counts[8] += 1;
            self.down();
        }
    }

    fn begin_life(&mut self) -> Option<()> {
        let mut world = self.world.borrow_mut();
        world.fuse.light(&mut self.chooser, DEATHS_AT_START);
        // Nothing is unmapped by a start but what was before.
        world.intent = Some(Intent::default());
        world.sabotage.start(true);
        world.forget_lenders();
        let begins = world.model.clock();
        drop(world);
        self.taken_over = false;
        let disturbances = {
            let mut world = self.world.borrow_mut();
            world.fabric.refresh();
            world.fabric.disturbances
        };
        let (plan, shared) = (self.plan, self.shared.clone());
        let started = self.shared.outlive(|| {
            let mut server = Server::new(plan, shared.clone(), |_| shared.clone()).ok()?;
            server.boot();
            Some(server)
        });
        let mut world = self.world.borrow_mut();
        world.intent = None;
        world.sabotage.start(false);
        world.told_of_lenders(begins);
        let answered = world.fabric.disturbances == disturbances;
        if started.is_some() && !world.model.has_stopped() {
            world.oracle.flush_all();
        }
        drop(world);
        if answered {
            self.note_losses();
        }
        self.taken_over = answered && started.is_some();
        match started? {
            Some(server) => self.server = server,
            None => self.note(Check::Refusal, || "the successor is not made".into()),
        }
        Some(())
    }

    /// G6: the server's death opens nothing, and its successor goes on with the claims that are alive.
    pub(super) fn succeed(&mut self) {
        self.counts[6] += 1;
        self.end_sessions();
        self.down();
        let mut estate = self.estate();
        while self.begin_life().is_none() {
            self.counts[8] += 1;
            self.down();
            // Whoever died meanwhile is not to be found alive.
            estate = self.estate();
        }
        let stopped = self.world.borrow().model.has_stopped();
        self.check_unopened(&estate);
        if !stopped {
            self.check_still_open(&estate);
        }
        if stopped {
            self.check_broken(&estate);
        } else {
            // The SMMU alone cuts off the dead.
            self.world.borrow_mut().check_cut_off();
        }
        if !stopped && self.taken_over {
            self.check_estate(&estate);
            self.immortal = true;
            for (device, owner) in estate.working {
                if self.is_as_planned(device) {
                    self.claim_again(device, owner);
                }
            }
            self.immortal = false;
            self.take_over();
        }
    }

    /// The server has the answers of the PCI task that it had not when it started.
    pub(super) fn take_over(&mut self) {
        self.taken_over = true;
        if self.world.borrow().model.has_stopped() {
            return;
        }
        self.world.borrow_mut().oracle.forget_parted();
        self.immortal = true;
        self.look_at_faults(true);
        self.immortal = false;
    }

    /// What happens while there is no server. Nothing that could not be reached can be reached now.
    fn down(&mut self) {
        if self.trace {
            eprintln!("the server dies");
        }
        self.forget_calls();
        self.world.borrow_mut().end_interrupted();
        self.check_reach();
        for _ in 0..self.chooser.below(4) {
            let deadly = self.world.borrow().fabric.troubles.call_deaths > 0;
            match self.chooser.below(4) {
                0 => self.die(),
                1 => self.restart(),
                2 if deadly => self.world.borrow_mut().switch_pci(),
                _ => {
                    let mut world = self.world.borrow_mut();
                    world.pass();
                    for _ in 0..self.chooser.below(12) {
                        world.model.now();
                    }
                }
            }
            self.check_reach();
        }
    }

    /// What must hold whether there is a server or not.
    pub(super) fn check_reach(&self) {
        let mut world = self.world.borrow_mut();
        world.check_landed();
        world.audit();
    }

    /// Whoever waits for a reply is told that the server died; what was posted to it is lost.
    fn forget_calls(&mut self) {
        self.waiting.clear();
        self.held.fill(None);
        self.faults.fill((0, 0, 0));
        self.deadline = None;
        let mut world = self.world.borrow_mut();
        world.replies.clear();
        world.timer = None;
        world.kernel.held_death = false;
        if world.fabric.down && world.fabric.troubles.call_deaths == 0 {
            world.switch_pci();
        }
        world.fabric.forget();
        world.model.event_interrupt = false;
        world.model.error_interrupt = false;
        world.sabotage.succeed();
        world.model.pass(1000);
    }

    fn estate(&self) -> Estate {
        let world = self.world.borrow();
        let holds = world.kernel.holds.iter();
        let in_use = holds.filter(|hold| {
            let device = hold.device as usize;
            world.fabric.is_bus_master(device)
                && world.is_open(device)
                && world.kernel.is_current(hold.task)
        });
        let used: Vec<_> = in_use
            .map(|hold| (hold.device as usize, hold.task))
            .collect();
        let doomed = |device: usize| {
            let mut holds = world.kernel.holds.iter();
            holds.any(|hold| {
                let dead = hold.device as usize;
                self.machine.contained_together(dead, device) && !world.kernel.is_current(hold.task)
            })
        };
        let working = used.iter().copied();
        let goes_on = |device| !doomed(device) && !world.is_retracted(device);
        let working = working.filter(|&(device, _)| goes_on(device)).collect();
        let always_open = (0..self.machine.devices.len()).filter(|&device| {
            let mut holds = world.kernel.holds.iter();
            self.machine.devices[device].always_open
                && !holds.any(|hold| hold.device as usize == device)
                && world.fabric.is_bus_master(device)
                && world.is_open(device)
                && !doomed(device)
        });
        let always_open = always_open.map(|device| (device, self.losses_beside(device)));
        let always_open = always_open.collect();
        // What is always open is open as soon as the SMMU is on with the planned tables.
        let off = !world.model.is_on_with(TABLES + world.layout.smmu.stream_l1);
        let closed = |stream: &u32| {
            let reachable = world.model.reachable(*stream);
            let begins = off && self.machine.is_always_open(*stream);
            reachable.runs.is_empty() && !reachable.untranslated && !begins
        };
        let domains = 0..world.layout.domains.len();
        Estate {
            used,
            working,
            always_open,
            closed: self
                .machine
                .streams
                .iter()
                .copied()
                .filter(closed)
                .collect(),
            leaves: domains.map(|domain| world.leaves(domain)).collect(),
            holds: world.kernel.holds.clone(),
            pins: world.kernel.pins.clone(),
        }
    }

    /// A successor of a server whose SMMU confirms nothing: nothing is given back, and bus mastering is off.
    fn check_broken(&mut self, estate: &Estate) {
        let mut world = self.world.borrow_mut();
        let world = &mut *world;
        let kept = |hold: &Hold| world.kernel.holds.contains(hold);
        let exposed = |hold: &Hold| world.exposed[hold.device as usize];
        let mut holds = estate.holds.iter();
        let lost = holds.find(|hold| exposed(hold) && !kept(hold)).copied();
        let pins = estate.pins != world.kernel.pins;
        let mut held = world.kernel.holds.iter();
        let on = held.find(|hold| world.fabric.is_bus_master(hold.device as usize));
        let on = on.filter(|_| self.taken_over && world.knows_pci()).copied();
        let findings = &mut world.model.findings;
        if let Some(hold) = lost {
            findings.note(Check::Release, || {
                format!("{hold:x?} is lifted, and the SMMU confirms nothing")
            });
        }
        if pins {
            findings.note(Check::Release, || {
                "a pin is lifted, and the SMMU confirms nothing".into()
            });
        }
        if let Some(hold) = on {
            findings.note(Check::Containment, || {
                format!("{hold:x?}: bus master on an SMMU that confirms nothing")
            });
        }
    }

    /// The successor has started: nothing was opened, mapped or taken from those who go on.
    fn check_unopened(&mut self, estate: &Estate) {
        for &stream in &estate.closed {
            let reachable = self.world.borrow().model.reachable(stream);
            if reachable.untranslated || !reachable.runs.is_empty() {
                self.note(Check::Adoption, || {
                    format!("stream {stream:#x} was closed: {reachable:x?}")
                });
            }
        }
        for (domain, before) in estate.leaves.iter().enumerate() {
            let after = self.world.borrow().leaves(domain);
            let made = after
                .iter()
                .find(|(input, leaf)| before.get(input) != Some(leaf));
            if let Some((_, leaf)) = made {
                self.note(Check::Adoption, || {
                    format!("{leaf:x?} of domain {domain} was mapped by nobody")
                });
            }
            let works = estate
                .working
                .iter()
                .any(|&(device, _)| self.machine.devices[device].domain as usize == domain);
            if works && after.len() < before.len() {
                self.note(Check::Adoption, || {
                    format!("something of domain {domain} was unmapped by nobody")
                });
            }
        }
    }

    /// What a device and those that share its streams had lost so far.
    fn losses_beside(&self, device: usize) -> u64 {
        let fabric = &self.world.borrow().fabric;
        let set = (0..self.machine.devices.len())
            .filter(|&other| other == device || self.machine.share(other, device));
        set.map(|other| fabric.losses(other)).sum()
    }

    /// What was always open still is, whether or not the PCI task answers; but what that does not find as planned, or what nobody
    /// will ever answer for.
    fn check_still_open(&mut self, estate: &Estate) {
        for &(device, losses) in &estate.always_open {
            let world = self.world.borrow();
            let fabric = &world.fabric;
            let answerable = !fabric.refused && !fabric.retired;
            let judged = answerable && losses == self.losses_beside(device);
            let always_open = world.is_open(device) && world.fabric.is_bus_master(device);
            drop(world);
            if judged && self.is_as_planned(device) && !always_open {
                self.note(Check::Adoption, || {
                    format!(
                        "device {device} was always open, and its server's successor cut it off"
                    )
                });
            }
        }
    }

    /// The successor has started, with a PCI task that answers: what nobody goes on with is out of the way.
    fn check_estate(&mut self, estate: &Estate) {
        let mut world = self.world.borrow_mut();
        let mut domains = 0..world.layout.domains.len();
        if let Some(domain) = domains.find(|&domain| world.has_parted(domain)) {
            world.model.findings.note(Check::Leak, || {
                format!("an entry of domain {domain} waits for a flush that nobody knows of")
            });
        }
        let used = |device| estate.used.iter().any(|&(used, _)| used == device);
        world.check_holds(used);
    }

    /// Whether neither a device nor what shares its streams was found to be another by now.
    pub(super) fn is_as_planned(&self, device: usize) -> bool {
        let world = self.world.borrow();
        let mut set = (0..self.machine.devices.len())
            .filter(|&other| other == device || self.machine.share(other, device));
        set.all(|other| world.fabric.is_as_planned(other))
    }

    /// A living claim goes on under another handle, with all that was mapped.
    fn claim_again(&mut self, device: usize, owner: TaskId) {
        let words = DeviceRequest {
            device: device as u32,
        }
        .to_words();
        let answer = self.ask(owner, Operation::Claim, &words[..1]);
        let known = self.handles[device];
        let claim = answer
            .now()
            .filter(|(code, _)| *code == 0)
            .and_then(|(_, payload)| Claim::from_words(&payload))
            .filter(|claim| Some(claim.handle) != known && claim.sequence == 0);
        let Some(claim) = claim else {
            self.note(Check::Adoption, || {
                format!("device {device} of {owner:x?}, known as {known:x?}, became {answer:x?}")
            });
            return;
        };
        self.keep_claim(device, owner, claim);
        if !self.world.borrow().fabric.is_bus_master(device) {
            self.note(Check::Adoption, || format!("device {device} was stopped"));
        }
        self.try_grants(device);
    }

    /// A claim that was granted, from its first request on.
    pub(super) fn keep_claim(&mut self, device: usize, owner: TaskId, claim: Claim) {
        self.handles[device] = Some(claim.handle);
        self.held[device] = Some(Held {
            owner,
            claim,
            sequence: claim.sequence,
            revoked: false,
        });
    }
}
