//! Random histories: clients, drivers and devices that do whatever they may, and what may happen to them.

mod claims;
mod exchanges;
mod faults;
mod imposing;
mod lenders;
mod maps;
mod pci;
mod pools;
mod reference;
mod requests;
mod rest;
mod states;
mod successor;
mod unmaps;

use std::cell::RefCell;
use std::rc::Rc;

use abi::TaskId;
use iommu::Server;
use iommu::plan_view::PlanView;
use iommu_api::{Claim, Handle, Operation};
use zerocopy::IntoBytes;

use super::intent::Intent;
use super::layout::Machine;
use super::oracle::Grant;
use super::sabotage::{Mutant, Sabotage};
use super::troubles::Troubles;
use super::world::{Shared, World};
use smmu_model::Ambient;
use smmu_model::{Check, Finding};
use smmu_model::{Chooser, Features, Liberties};

/// What a history is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Seed of everything.
    pub seed: u64,
    /// Steps.
    pub steps: u64,
    /// The machine.
    pub machine: &'static Machine,
    /// The part; `None` for one of them by seed.
    pub features: Option<Features>,
    /// How devices and SMMU behave.
    pub liberties: Liberties,
    /// What goes wrong around the server.
    pub troubles: Troubles,
    /// Half of the steps are about pools that clients lend, their lenders, and what waits for a flush.
    pub aimed: bool,
    /// Print every request and what became of it.
    pub trace: bool,
    /// A seeded fault.
    pub mutant: Option<Mutant>,
}

/// What came of a history.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The first thing found wrong.
    pub finding: Option<Finding>,
    /// Steps until then.
    pub steps: u64,
    /// How often the seeded fault struck.
    pub struck: u64,
    /// Counts of what happened: claims, maps, unmaps, faults recorded, deaths, restarts,
    /// successors of the server; deaths of it in a turn, and in a start;
    /// deaths of the PCI task; devices taken away for a dead lender.
    pub counts: [u64; 11],
}

/// A claim that a driver has.
#[derive(Clone, Copy, Debug)]
struct Held {
    owner: TaskId,
    claim: Claim,
    sequence: u64,
    revoked: bool,
}

/// A request that the server has not answered.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    sender: TaskId,
    device: usize,
    operation: Operation,
}

/// The steps of a history that is aimed, in place of the upper half of all: claims, maps of a client's pool, unmaps, flushes, accesses,
/// deaths of drivers and lenders.
const AIMED: [usize; 16] = [0, 4, 12, 12, 12, 12, 13, 14, 19, 19, 20, 21, 26, 27, 31, 31];

struct History<'p> {
    machine: &'static Machine,
    plan: PlanView<'p>,
    world: Rc<RefCell<World>>,
    shared: Shared,
    server: Server<'p, Shared, Shared>,
    chooser: Chooser,
    aimed: bool,
    trace: bool,
    held: Vec<Option<Held>>,
    /// Each device's claim, as the answers so far have it.
    sessions: Vec<Option<reference::Session>>,
    /// First address and pages of each lease that is mapped for a device, if they are known.
    leases: Vec<Option<Vec<(u64, u64)>>>,
    /// The handle of each device's last claim.
    handles: Vec<Option<Handle>>,
    waiting: Vec<Waiting>,
    /// By device, of the last look: faults told, fewest and most records written by then.
    faults: Vec<(u64, u64, u64)>,
    lost: (u64, u64),
    /// Losses of state by device that the server has been told of.
    losses: Vec<u64>,
    deadline: Option<u64>,
    /// The server has taken over what its predecessor left, and was answered by the PCI task in all of it.
    taken_over: bool,
    /// The server does not die in what it does now.
    immortal: bool,
    /// It dies after so many operations of what it does next.
    brief: Option<usize>,
    counts: [u64; 11],
}

/// Runs a history until its end or the first finding.
#[must_use]
pub fn run(setting: &Setting) -> Outcome {
    let mut chooser = Chooser::new(setting.seed);
    let features = setting
        .features
        .unwrap_or_else(|| Features::any(&mut chooser));
    let sabotage = setting
        .mutant
        .map_or_else(Sabotage::default, Sabotage::with);
    let machine = setting.machine;
    let world = World::new(
        machine,
        setting.troubles,
        features,
        setting.liberties,
        setting.seed,
        sabotage,
    );
    let words = world.layout.blob.clone();
    let world = Rc::new(RefCell::new(world));
    let shared = Shared(world.clone());
    let plan = plan::Blob::new(words.as_bytes())
        .ok()
        .and_then(|blob| PlanView::new(&blob).ok());
    let Some(plan) = plan else {
        return refused("the plan is refused");
    };
    let Ok(server) = Server::new(plan, shared.clone(), |_| shared.clone()) else {
        return refused("the server is not made");
    };
    let devices = machine.devices.len();
    let mut history = History {
        machine,
        plan,
        world,
        shared,
        server,
        chooser,
        aimed: setting.aimed,
        trace: setting.trace,
        held: vec![None; devices],
        sessions: vec![None; devices],
        leases: vec![None; devices],
        handles: vec![None; devices],
        waiting: Vec::new(),
        faults: vec![(0, 0, 0); devices],
        lost: (0, 0),
        losses: vec![0; devices],
        deadline: None,
        taken_over: false,
        immortal: false,
        brief: None,
        counts: [0; 11],
    };
    history.start();
    history.check();
    if history.taken_over {
        history.look_at_faults(true);
    }
    let mut steps = 0;
    while steps < setting.steps && !history.has_finding() {
        history.step();
        steps += 1;
    }
    if !history.has_finding() {
        history.come_to_rest();
    }
    let world = history.world.borrow();
    Outcome {
        finding: world.model.findings.first().cloned(),
        steps,
        struck: world.sabotage.struck,
        counts: history.counts,
    }
}

fn refused(why: &str) -> Outcome {
    let finding = Finding {
        check: Check::Refusal,
        detail: why.into(),
    };
    Outcome {
        finding: Some(finding),
        ..Outcome::default()
    }
}

/// Pages of what is reached without a request that devices use: as many as any part has addresses for.
const PAGES_USED: u64 = 1 << 20;

impl History<'_> {
    fn has_finding(&self) -> bool {
        !self.world.borrow().model.findings.all().is_empty()
    }

    fn note(&self, check: Check, detail: impl FnOnce() -> String) {
        self.world.borrow_mut().model.findings.note(check, detail);
    }

    fn step(&mut self) {
        self.refresh_ambient();
        self.touch();
        let drawn = match self.chooser.below(32) {
            drawn if !self.aimed || drawn < 16 => drawn,
            drawn => AIMED[drawn - 16],
        };
        match drawn {
            0..=2 => self.claim(),
            3 => self.release(),
            4..=9 => self.map(),
            10 => self.map_list(),
            11 => self.map_lease(),
            12 => self.use_pool(),
            13..=16 => self.unmap(),
            17 => self.exchange(),
            18 if self.chooser.once_in(2) => self.exchange_list(),
            18 => self.unmap_list(),
            19 if self.chooser.once_in(2) => self.use_pool(),
            19 => self.flush(),
            20..=25 => self.access(),
            26 => self.die(),
            27 => self.restart(),
            31 if self.chooser.once_in(2) => self.outlive_lender(),
            28 => self.look_at_faults(false),
            29 if self.chooser.once_in(2) => self.impose(),
            29 if self.chooser.once_in(2) => self.probe(),
            29 => self.garbage(),
            30 if self.chooser.once_in(4) => self.succeed(),
            30 if self.chooser.once_in(4) => self.pci_dies(),
            30 if self.stops() => {}
            _ => self.pass(),
        }
        self.deliver();
        self.check();
        if self.chooser.once_in(4) {
            self.check_states();
        }
    }

    /// What must hold between any two requests.
    fn check(&self) {
        self.check_reach();
        // A seeded fault may give the server false answers, and false answers may lead to any combination of states.
        let sabotaged = self.world.borrow().sabotage.has_mutant();
        if !sabotaged && !self.server.is_at_rest() {
            self.note(Check::State, || "a device between two states".into());
        }
        if !sabotaged {
            self.check_slots();
        }
        let mut world = self.world.borrow_mut();
        // What an earlier life of the server left, this one has taken over.
        if self.taken_over && !world.model.has_stopped() {
            world.check_pins();
            world.check_lent_is_pinned();
        }
        // Whatever a successor finds closed and cannot explain it leaves closed.
        let troubles = world.fabric.troubles;
        let undisturbed = troubles.quiesce_failures == 0
            && troubles.call_deaths == 0
            && !world.fabric.refused
            && !world.model.has_stopped()
            && !world.sabotage.has_succeeded();
        if undisturbed && !world.is_untold() {
            world.check_always_open();
        }
    }

    /// Devices of living and dead drivers may use what they were granted at any moment.
    fn refresh_ambient(&mut self) {
        let mut world = self.world.borrow_mut();
        let mut ambient = Vec::new();
        for (device, planned) in self.machine.devices.iter().enumerate() {
            if !world.may_act(device) {
                continue;
            }
            let own = world.oracle.usable(device);
            // Through the streams that they share it reaches what is mapped for another. Only a claimant agrees to
            // leave alone what that one releases.
            let agrees = world.has_claimant(device);
            let mates: Vec<Grant> = (0..self.machine.devices.len())
                .filter(|&other| other != device && self.machine.share(other, device))
                .filter(|&other| !agrees || !self.is_released(other))
                .flat_map(|other| world.oracle.usable(other).collect::<Vec<_>>())
                .collect();
            let mate = self.chooser.pick(&mates).copied();
            for grant in own.chain(mate).collect::<Vec<_>>() {
                let pages = (grant.bytes / 4096).min(PAGES_USED);
                let page = self.chooser.below(pages as usize) as u64;
                let Some(&stream) = self.chooser.pick(planned.streams) else {
                    continue;
                };
                let write = grant.write && self.chooser.once_in(2);
                let input = grant.input + page * 4096 + self.chooser.below(4096) as u64;
                ambient.push(Ambient {
                    device: device as u32,
                    stream,
                    input,
                    write,
                });
            }
        }
        world.model.ambient = ambient;
    }

    /// Notifications reach the server, soon or later.
    fn deliver(&mut self) {
        if self.chooser.once_in(3) {
            return;
        }
        let (death, quiesced, event, error) = {
            let mut guard = self.world.borrow_mut();
            let world = &mut *guard;
            (
                std::mem::take(&mut world.kernel.held_death),
                std::mem::take(&mut world.fabric.quiesced),
                std::mem::take(&mut world.model.event_interrupt),
                std::mem::take(&mut world.model.error_interrupt),
            )
        };
        if self.trace && (death || quiesced) {
            eprintln!("told: death {death}, quiesced {quiesced}");
        }
        if death {
            let mates = self.world.borrow().mates_of_dead();
            let now = self.world.borrow().model.clock();
            if self.serve(Server::on_held_death).is_none() {
                return self.succeed();
            }
            let mut world = self.world.borrow_mut();
            world.told_of_lenders(now);
            world.check_cut_off();
            world.check_units_cut_off(&mates);
        }
        if quiesced && self.serve(Server::on_quiesced).is_none() {
            return self.succeed();
        }
        let up = std::mem::take(&mut self.world.borrow_mut().fabric.up);
        if up && self.pci_is_up().is_none() {
            return self.succeed();
        }
        let bits = u32::from(event) << 16 | u32::from(error) << 17;
        if bits != 0 && self.serve(|server| server.on_interrupt(bits)).is_none() {
            return self.succeed();
        }
        if let Some(deadline) = self.world.borrow_mut().timer.take() {
            self.deadline = Some(deadline);
        }
        if let Some(deadline) = self.server.take_new_deadline() {
            self.deadline = Some(deadline);
        }
        if self.tell_time().is_none() {
            return self.succeed();
        }
        let replies = std::mem::take(&mut self.world.borrow_mut().replies);
        for reply in replies {
            let position = self
                .waiting
                .iter()
                .position(|waiting| waiting.sender == reply.to);
            let Some(position) = position else { continue };
            let waiting = self.waiting.swap_remove(position);
            if self.trace {
                eprintln!("{waiting:x?} -> {reply:x?}");
            }
            self.answered(waiting, reply.code, &reply.payload);
        }
    }

    /// The timer, soon or later. `None` if the server dies.
    fn tell_time(&mut self) -> Option<()> {
        let released = self.released();
        let mut world = self.world.borrow_mut();
        world.check_awaited(self.deadline, &released);
        drop(world);
        let now = self.world.borrow_mut().model.now();
        if self
            .deadline
            .is_some_and(|deadline| now >= deadline || self.chooser.once_in(4))
        {
            self.deadline = None;
            {
                let mut world = self.world.borrow_mut();
                world.model.pass(200);
                // It unmaps nothing but what was.
                world.intent = Some(Intent::default());
            }
            let served = self.on_timer();
            self.world.borrow_mut().intent = None;
            served?;
            if let Some(deadline) = self.server.take_new_deadline() {
                self.deadline = Some(deadline);
            }
        }
        // What an SMMU that has stopped keeps nobody can take from it.
        let mut world = self.world.borrow_mut();
        if !world.model.has_stopped() {
            world.oracle.expire(now);
        }
        drop(world);
        Some(())
    }
}
