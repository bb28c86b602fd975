//! Random histories: clients, drivers and devices that do whatever they may, and what may happen to them.

use std::cell::RefCell;
use std::rc::Rc;

use abi::TaskId;
use iommu::plan_view::PlanView;
use iommu::{Reply, Request, Server};
use iommu_api::{
    Claim, DeviceRequest, Error, Extent, HandleRequest, Map, MapFlags, MapLease, MapList,
    Operation, Sequenced, Status, Unmap, UnmapList,
};

use zerocopy::IntoBytes;

use super::kernel::Lent;
use super::layout::{AUDITOR, CLIENT, DEVICES, DRIVERS, POOLS, WINDOW};
use super::oracle::Grant;
use super::sabotage::{Mutant, Sabotage};
use super::world::{Shared, World};
use crate::finding::{Check, Finding};
use crate::model::Ambient;
use crate::{Chooser, Features, Liberties};

/// What a history is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Seed of everything.
    pub seed: u64,
    /// Steps.
    pub steps: u64,
    /// The part; `None` for one of them by seed.
    pub features: Option<Features>,
    /// How devices and SMMU behave.
    pub liberties: Liberties,
    /// Once in how many quiesces one fails; 0 for never.
    pub quiesce_failures: u32,
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
    /// Counts of what happened: claims, maps, unmaps, faults recorded, deaths, restarts.
    pub counts: [u64; 6],
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

struct History<'p> {
    world: Rc<RefCell<World>>,
    server: Server<'p, Shared, Shared>,
    chooser: Chooser,
    trace: bool,
    held: Vec<Option<Held>>,
    waiting: Vec<Waiting>,
    /// Devices whose owner died while it waited for the end of a release.
    releasing: Vec<usize>,
    /// By device: faults told, records written, of the last look.
    faults: Vec<(u64, u64)>,
    lost: (u64, u64),
    deadline: Option<u64>,
    counts: [u64; 6],
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
    let mut world = World::new(features, setting.liberties, setting.seed, sabotage);
    world.fabric.failures = setting.quiesce_failures;
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
    let mut history = History {
        world,
        server,
        chooser,
        trace: setting.trace,
        held: vec![None; DEVICES.len()],
        waiting: Vec::new(),
        releasing: Vec::new(),
        faults: vec![(0, 0); DEVICES.len()],
        lost: (0, 0),
        deadline: None,
        counts: [0; 6],
    };
    history.server.boot();
    history.check();
    history.look_at_faults(true);
    let mut steps = 0;
    while steps < setting.steps && !history.has_finding() {
        history.step();
        steps += 1;
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

impl History<'_> {
    fn has_finding(&self) -> bool {
        !self.world.borrow().model.findings.all().is_empty()
    }

    fn note(&self, check: Check, detail: impl FnOnce() -> String) {
        self.world.borrow_mut().model.findings.note(check, detail);
    }

    fn step(&mut self) {
        self.refresh_ambient();
        match self.chooser.below(32) {
            0..=2 => self.claim(),
            3 => self.release(),
            4..=9 => self.map(),
            10 => self.map_list(),
            11 | 12 => self.map_lease(),
            13..=17 => self.unmap(),
            18 => self.unmap_list(),
            19 => self.flush(),
            20..=25 => self.access(),
            26 => self.die(),
            27 => self.restart(),
            28 => self.look_at_faults(false),
            29 => self.garbage(),
            _ => self.world.borrow_mut().pass(),
        }
        self.deliver();
        self.check();
    }

    /// What must hold between any two requests.
    fn check(&self) {
        let mut world = self.world.borrow_mut();
        world.check_landed();
        world.audit();
    }

    /// Devices of living and dead drivers may use what they were granted at any moment.
    fn refresh_ambient(&mut self) {
        let mut world = self.world.borrow_mut();
        let mut ambient = Vec::new();
        for (device, planned) in DEVICES.iter().enumerate() {
            if !world.fabric.is_bus_master(device) {
                continue;
            }
            for grant in world.oracle.grants(device) {
                let page = self.chooser.below((grant.bytes / 4096) as usize) as u64;
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
            self.server.on_held_death();
            self.world.borrow_mut().check_cut_off(&self.releasing);
        }
        if quiesced {
            self.server.on_quiesced();
        }
        if event || error {
            self.server
                .on_interrupt(u32::from(event) << 16 | u32::from(error) << 17);
        }
        if let Some(deadline) = self.server.take_new_deadline() {
            self.deadline = Some(deadline);
        }
        let now = self.world.borrow_mut().model.now();
        if self
            .deadline
            .is_some_and(|deadline| now >= deadline || self.chooser.once_in(4))
        {
            self.deadline = None;
            self.world.borrow_mut().model.pass(200);
            self.server.on_timer();
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

    fn ask(
        &mut self,
        sender: TaskId,
        operation: Operation,
        words: &[u64],
    ) -> Option<(u32, [u64; 8])> {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut payload = [0; 8];
        for (to, from) in payload.iter_mut().zip(words) {
            *to = *from;
        }
        let request = Request {
            sender,
            operation: operation as u16,
            len: bytes.len(),
            reply_capacity: 64,
            payload,
            long: if bytes.len() > 64 { &bytes } else { &[] },
            leases: 0,
        };
        let reply = self.server.handle(&request);
        if self.trace {
            eprintln!("{sender:x?} {operation:?} {words:x?} -> {reply:x?}");
        }
        match reply {
            Reply::Now { code, payload, .. } => Some((code, payload)),
            Reply::Later => None,
        }
    }

    fn is_waiting(&self, sender: TaskId) -> bool {
        self.waiting.iter().any(|waiting| waiting.sender == sender)
    }

    fn claim(&mut self) {
        let device = self.chooser.below(DEVICES.len() + 1);
        let owner = DEVICES
            .get(device)
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
        match self.ask(sender, Operation::Claim, &words[..1]) {
            Some((code, payload)) => {
                if code == 0 && owner != task as u32 {
                    self.note(Check::Protocol, || {
                        format!("device {device} claimed by task {task}")
                    });
                }
                self.answered(waiting, code, &payload);
            }
            None => self.waiting.push(waiting),
        }
    }

    fn answered(&mut self, waiting: Waiting, code: u32, payload: &[u64; 8]) {
        let Waiting {
            sender,
            device,
            operation,
        } = waiting;
        if !self.world.borrow().kernel.is_current(sender) {
            return;
        }
        match (operation, code) {
            (Operation::Claim, 0) => match Claim::from_words(payload) {
                Some(claim) => {
                    self.counts[0] += 1;
                    self.releasing.retain(|&releasing| releasing != device);
                    let known = self.held.get(device).copied().flatten();
                    let again = known.filter(|held| held.claim.handle == claim.handle);
                    let held = again.unwrap_or(Held {
                        owner: sender,
                        claim,
                        sequence: claim.sequence,
                        revoked: false,
                    });
                    if let Some(slot) = self.held.get_mut(device) {
                        *slot = Some(held);
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

    /// A claimed device of a driver that can ask, with the next number.
    fn driver(&mut self) -> Option<(usize, Held)> {
        let start = self.chooser.below(DEVICES.len());
        for offset in 0..DEVICES.len() {
            let device = (start + offset) % DEVICES.len();
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
    fn head(&mut self, device: usize, held: &Held) -> Sequenced {
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

    fn release(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        if self.world.borrow().oracle.grants(device).is_empty() {
            self.quieten(device);
        }
        let head = self.head(device, &held);
        let waiting = Waiting {
            sender: held.owner,
            device,
            operation: Operation::Release,
        };
        match self.ask(held.owner, Operation::Release, &head.to_words()[..2]) {
            Some((code, payload)) if code == 0 || code == Error::HardwareFailure as u32 => {
                self.answered(waiting, code, &payload);
            }
            Some(_) => {}
            None => self.waiting.push(waiting),
        }
    }

    /// A device ends what it does, as its driver promises by unmapping.
    fn quieten(&mut self, device: usize) {
        let mut world = self.world.borrow_mut();
        for (other, planned) in DEVICES.iter().enumerate() {
            // What shares its StreamIDs could have used the same pages.
            if planned.domain == DEVICES[device].domain {
                world
                    .model
                    .ambient
                    .retain(|ambient| ambient.device as usize != other);
                world.model.finish_device(other as u32);
            }
        }
        world.check_landed();
    }

    fn flags(&mut self) -> (MapFlags, bool) {
        match self.chooser.below(16) {
            0..=9 => (MapFlags::READ_WRITE, true),
            10..=14 => (MapFlags::READ, false),
            _ => (MapFlags(2), true),
        }
    }

    /// Where: chosen by the server, or fixed, perhaps where something is or where nothing can be.
    fn place(&mut self, device: usize, pages: u64, flags: MapFlags) -> (MapFlags, u64) {
        if !self.chooser.once_in(3) {
            return (flags, 0);
        }
        let blocks = flags.has(MapFlags::BLOCKS);
        let slots = if blocks { 4 } else { 520 };
        let slot = self.chooser.below(slots) as u64;
        let base = match self.world.borrow().layout.domain_of(device) {
            Some(domain) if blocks => domain.block_base,
            _ => WINDOW,
        };
        let unit = if blocks { 2 << 20 } else { 4096 };
        let _ = pages;
        (flags.with(MapFlags::FIXED), base + slot * unit)
    }

    fn map(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let task = held.owner.index();
        let pool = self.chooser.below(2) as u32 * u32::from(self.chooser.once_in(2));
        let known = POOLS
            .iter()
            .find(|entry| entry.0 == task && entry.1 == pool);
        let pool_pages = known.map_or(1, |entry| entry.3 / 4096);
        let (mut flags, write) = self.flags();
        let (mut first, mut pages) = (
            self.chooser.below(pool_pages as usize) as u64,
            1 + self.chooser.below(4) as u64,
        );
        if device == 4 && self.chooser.once_in(6) {
            // Beyond what is invalidated page by page.
            pages = 60 + self.chooser.below(80) as u64;
        } else if device == 4 && self.chooser.once_in(3) {
            flags = flags.with(MapFlags::BLOCKS);
            first = first / 512 * 512;
            pages = 512;
        }
        let (flags, iova) = self.place(device, pages, flags);
        let head = self.head(device, &held);
        let extent = Extent {
            first: first as u32,
            pages: pages as u32,
        };
        let map = Map {
            head,
            extent,
            pool: pool as u16,
            flags,
            iova,
        };
        let Some((code, payload)) = self.ask(held.owner, Operation::Map, &map.to_words()[..5])
        else {
            return;
        };
        let inside = known.is_some() && first + pages <= pool_pages;
        self.changed(device, code);
        if code == 0 {
            if !inside || !flags.readable() {
                self.note(Check::Protocol, || {
                    format!("device {device}: {map:?} was granted")
                });
            }
            let output = known.map_or(0, |entry| entry.2) + first * 4096;
            self.granted(device, &held, payload[0], &[(output, pages)], write);
        }
    }

    fn map_list(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let Some(&(_, pool, pa, len)) = POOLS.iter().find(|entry| entry.0 == held.owner.index())
        else {
            return;
        };
        let (flags, write) = self.flags();
        let mut extents = Vec::new();
        let mut granted = Vec::new();
        for _ in 0..1 + self.chooser.below(9) {
            let first = self.chooser.below((len / 4096).min(16) as usize) as u64;
            let pages = 1 + self.chooser.below(2) as u64;
            extents.push(Extent {
                first: first as u32,
                pages: pages as u32,
            });
            granted.push((pa + first * 4096, pages));
        }
        let inside = extents
            .iter()
            .all(|extent| u64::from(extent.first) + u64::from(extent.pages) <= len / 4096);
        let (flags, iova) = self.place(device, 1, flags);
        let head = self.head(device, &held);
        let mut words = MapList {
            head,
            pool: pool as u16,
            flags,
            iova,
        }
        .to_words()
        .to_vec();
        words.extend(extents.iter().map(|extent| extent.to_word()));
        let Some((code, payload)) = self.ask(held.owner, Operation::MapList, &words) else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            if !inside {
                self.note(Check::Protocol, || {
                    format!("device {device}: {extents:?} was granted")
                });
            }
            self.granted(device, &held, payload[0], &granted, write);
        }
    }

    fn map_lease(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let lender = self.world.borrow().kernel.id(CLIENT);
        let Some(&(_, _, pa, len)) = POOLS.iter().find(|entry| entry.0 == CLIENT) else {
            return;
        };
        let first = self.chooser.below((len / 4096) as usize) as u64;
        let pages = 1 + self.chooser.below(3) as u64;
        let (flags, write) = self.flags();
        let (flags, iova) = self.place(device, pages, flags);
        let writable = !self.chooser.once_in(4);
        let alive = self.world.borrow().kernel.is_alive(CLIENT);
        if alive {
            self.world.borrow_mut().kernel.lease = Some(Lent {
                lender,
                driver: held.owner,
                pa,
                len,
                writable,
            });
        }
        let head = self.head(device, &held);
        let map = MapLease {
            head,
            extent: Extent {
                first: first as u32,
                pages: pages as u32,
            },
            lease: u16::from(self.chooser.once_in(16)),
            flags,
            iova,
            lender: lender.0,
        };
        self.world.borrow_mut().unmapping = Some(Vec::new());
        let answer = self.ask(held.owner, Operation::MapLease, &map.to_words()[..6]);
        self.world.borrow_mut().unmapping = None;
        self.world.borrow_mut().kernel.lease = None;
        let Some((code, payload)) = answer else {
            return;
        };
        self.changed(device, code);
        if code == 0 {
            let inside = alive && first + pages <= len / 4096 && map.lease == 0;
            if !inside || (write && !writable) {
                self.note(Check::Protocol, || {
                    format!("device {device}: {map:?} was granted")
                });
            }
            self.granted(
                device,
                &held,
                payload[0],
                &[(pa + first * 4096, pages)],
                write,
            );
        }
    }

    /// After a request that changes something: a hardware failure or a revocation cuts the device off.
    fn changed(&mut self, device: usize, code: u32) {
        if code == Error::StreamBlocked as u32
            && let Some(held) = self.held.get_mut(device).and_then(Option::as_mut)
        {
            held.revoked = true;
        }
        if code == Error::HardwareFailure as u32 {
            self.note(Check::Liveness, || {
                format!("device {device}: hardware failure")
            });
        }
        if code == Error::Unavailable as u32 || Error::from_code(code).is_none() && code != 0 {
            self.note(Check::Protocol, || {
                format!("device {device}: code {code:#x}")
            });
        }
    }

    /// The server granted a run of addresses: it must translate at once, and as asked.
    fn granted(
        &mut self,
        device: usize,
        held: &Held,
        iova: u64,
        outputs: &[(u64, u64)],
        write: bool,
    ) {
        self.counts[1] += 1;
        let mut input = iova;
        for &(output, pages) in outputs {
            let bytes = pages * 4096;
            let grant = Grant {
                input,
                output,
                bytes,
                write,
            };
            let mut world = self.world.borrow_mut();
            let taken = (0..DEVICES.len()).any(|other| {
                DEVICES[other].domain == DEVICES[device].domain
                    && world.oracle.grants(other).iter().any(|other| {
                        input < other.input + other.bytes && other.input < input + bytes
                    })
            });
            if taken {
                world
                    .model
                    .findings
                    .note(Check::Protocol, || format!("{grant:x?} overlaps"));
            }
            world.oracle.grant(device, grant);
            world.model.interest(input);
            input += bytes;
        }
        if !held.revoked {
            self.try_grants(device);
        }
    }

    /// Uses a grant as it may be used, and as it may not.
    fn try_grants(&mut self, device: usize) {
        let mut world = self.world.borrow_mut();
        if !world.fabric.is_bus_master(device) {
            return;
        }
        let (Some(&grant), Some(&stream)) = (
            self.chooser.pick(world.oracle.grants(device)),
            self.chooser.pick(DEVICES[device].streams),
        ) else {
            return;
        };
        let offset = self.chooser.below(grant.bytes as usize) as u64;
        let write = self.chooser.once_in(2);
        let outcome = world
            .model
            .access(device as u32, stream, grant.input + offset, write);
        let right = match outcome {
            Ok(flight) => flight.output == grant.output + offset && (grant.write || !write),
            Err(fault) => write && !grant.write && fault == crate::Fault::Permission,
        };
        if !right {
            world.model.findings.note(Check::Function, || {
                format!("device {device} stream {stream:#x} {grant:x?}+{offset:#x} write {write}: {outcome:x?}")
            });
        }
    }

    fn unmap(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let grants = self.world.borrow().oracle.grants(device).to_vec();
        let mut target = self
            .chooser
            .pick(&grants)
            .map(|grant| (grant.input, grant.bytes / 4096));
        if self.chooser.once_in(8) {
            target = Some((WINDOW + self.chooser.below(513) as u64 * 4096, 1));
        }
        let Some((mut input, mut pages)) = target else {
            return;
        };
        if pages < 512 && self.chooser.once_in(4) {
            let skip = self.chooser.below(pages as usize) as u64;
            input += skip * 4096;
            pages -= skip;
        }
        self.quieten(device);
        let head = self.head(device, &held);
        let unmap = Unmap {
            head,
            iova: input,
            pages,
        };
        self.world.borrow_mut().unmapping = Some(vec![(input, pages * 4096)]);
        let answer = self.ask(held.owner, Operation::Unmap, &unmap.to_words()[..4]);
        self.world.borrow_mut().unmapping = None;
        let Some((code, _)) = answer else { return };
        self.changed(device, code);
        if code == 0 {
            self.counts[2] += 1;
            self.unmapped(device, input, pages);
        } else if code == Error::NotMapped as u32 && self.is_granted(device, input, pages) {
            self.note(Check::Protocol, || {
                format!("device {device}: {unmap:x?} refused")
            });
        }
    }

    fn is_granted(&self, device: usize, input: u64, pages: u64) -> bool {
        let world = self.world.borrow();
        let grants = world.oracle.grants(device);
        (0..pages).all(|page| {
            let at = input + page * 4096;
            grants
                .iter()
                .any(|grant| (grant.input..grant.input + grant.bytes).contains(&at))
        })
    }

    fn unmapped(&mut self, device: usize, input: u64, pages: u64) {
        if !self.is_granted(device, input, pages) {
            self.note(Check::Protocol, || {
                format!("device {device}: unmapped what was not mapped")
            });
        }
        self.world
            .borrow_mut()
            .oracle
            .revoke(device, input, pages * 4096);
    }

    fn unmap_list(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let mut grants = self.world.borrow().oracle.grants(device).to_vec();
        self.chooser.shuffle(&mut grants);
        grants.truncate(1 + self.chooser.below(9));
        let mut extents: Vec<Extent> = grants
            .iter()
            .map(|grant| Extent {
                first: (grant.input / 4096) as u32,
                pages: (grant.bytes / 4096) as u32,
            })
            .collect();
        let stray = Extent {
            first: (WINDOW / 4096) as u32 + 500,
            pages: 1,
        };
        // A range named twice is the protocol's own case, tested on target.
        let named =
            |extent: &Extent| (extent.first..extent.first + extent.pages).contains(&stray.first);
        if self.chooser.once_in(4) && !extents.iter().any(named) {
            extents.push(stray);
        }
        if extents.is_empty() {
            return;
        }
        self.quieten(device);
        let head = self.head(device, &held);
        let mut words = UnmapList { head }.to_words().to_vec();
        words.extend(extents.iter().map(|extent| extent.to_word()));
        let bytes = |pages: u32| u64::from(pages) * 4096;
        let runs = extents
            .iter()
            .map(|extent| (bytes(extent.first), bytes(extent.pages)));
        self.world.borrow_mut().unmapping = Some(runs.collect());
        let answer = self.ask(held.owner, Operation::UnmapList, &words);
        self.world.borrow_mut().unmapping = None;
        let Some((code, _)) = answer else { return };
        self.changed(device, code);
        if code == 0 {
            for extent in extents {
                self.counts[2] += 1;
                self.unmapped(
                    device,
                    u64::from(extent.first) * 4096,
                    u64::from(extent.pages),
                );
            }
        }
    }

    fn flush(&mut self) {
        let Some((device, held)) = self.driver() else {
            return;
        };
        let head = self.head(device, &held);
        if let Some((code, _)) = self.ask(held.owner, Operation::Flush, &head.to_words()[..2]) {
            self.changed(device, code);
        }
    }

    /// A device does what it should, or something else.
    fn access(&mut self) {
        let device = self.chooser.below(DEVICES.len());
        if !self.world.borrow().fabric.is_bus_master(device) {
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
        let Some(&stream) = self.chooser.pick(DEVICES[device].streams) else {
            return;
        };
        for _ in 0..1 + self.chooser.below(6) {
            let input = match self.chooser.below(3) {
                0 => WINDOW + self.chooser.below(600) as u64 * 4096,
                1 => self.chooser.word(),
                _ => 0x5000_0000 + self.chooser.below(64) as u64 * 4096,
            };
            let write = self.chooser.once_in(2);
            // An address that happens to be granted is checked when it lands.
            let _ = world.model.access(device as u32, stream, input, write);
        }
    }

    fn die(&mut self) {
        let task = if self.chooser.once_in(4) {
            CLIENT
        } else {
            DRIVERS[self.chooser.below(3)]
        };
        let mut world = self.world.borrow_mut();
        if !world.kernel.is_alive(task) {
            return;
        }
        self.counts[4] += 1;
        world.kernel.die(task);
        if self.trace {
            eprintln!("task {task} dies");
        }
        let releasing = &mut self.releasing;
        self.waiting.retain(|waiting| {
            let dead = waiting.sender.index() == task;
            if dead && waiting.operation == Operation::Release {
                releasing.push(waiting.device);
            }
            !dead
        });
        for slot in &mut self.held {
            if slot.is_some_and(|held| held.owner.index() == task) {
                *slot = None;
            }
        }
    }

    /// G5: what runs again finds nothing of its earlier life within reach of a device.
    fn restart(&mut self) {
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

    /// G8: faults are told, or their loss is.
    fn look_at_faults(&mut self, start: bool) {
        let auditor = self.world.borrow().kernel.id(AUDITOR);
        let (dropped, lost_before) = (self.world.borrow().model.events_lost, self.lost);
        let mut lost = lost_before.1;
        for device in [1, 4, 5] {
            let Some(&stream) = DEVICES[device].streams.first() else {
                continue;
            };
            let low = self.world.borrow().model.written(stream);
            let words = DeviceRequest {
                device: device as u32,
            }
            .to_words();
            let answer = self.ask(auditor, Operation::Status, &words[..1]);
            let Some(status) = answer.and_then(|(code, payload)| {
                (code == 0).then(|| Status::from_words(&payload)).flatten()
            }) else {
                self.note(Check::Protocol, || {
                    format!("status of device {device}: {answer:x?}")
                });
                return;
            };
            let high = self.world.borrow().model.written(stream);
            let (told, written) = self.faults[device];
            let (least, most) = (told + (low - written.min(low)), told + (high - written));
            let was_lost = status.lost > lost_before.1;
            lost = status.lost;
            let right = status.faults <= most && (status.faults >= least || was_lost);
            if !start && !right {
                self.note(Check::Delivery, || {
                    format!("device {device}: {status:?}, written {low}..={high} after {told} of {written}")
                });
            }
            self.counts[3] += status.faults.saturating_sub(told);
            // Where the truth is between two numbers, the next look starts from what was told.
            let seen = status.faults.saturating_sub(told) + written;
            self.faults[device] = (status.faults, if was_lost || start { high } else { seen });
        }
        if !start && dropped > lost_before.0 && lost == lost_before.1 {
            self.note(Check::Delivery, || {
                format!("{dropped} records dropped, {lost} losses told")
            });
        }
        self.lost = (dropped, lost);
        self.take_faults();
    }

    fn take_faults(&mut self) {
        let Some((_, held)) = self.driver() else {
            return;
        };
        let words = HandleRequest {
            handle: held.claim.handle,
        }
        .to_words();
        if let Some((code, _)) = self.ask(held.owner, Operation::NextFault, &words[..1])
            && code != 0
        {
            self.note(Check::Protocol, || format!("next_fault answered {code:#x}"));
        }
    }

    /// A message of random words: it must change nothing that others have.
    fn garbage(&mut self) {
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
        if let Some((0, _)) = self.ask(sender, operation, &words) {
            self.note(Check::Protocol, || {
                format!("{operation:?} {words:x?} was granted")
            });
        }
    }
}
