//! The surroundings of the server's core: the model as its hardware, kernel and PCI task as its system.

use std::cell::RefCell;
use std::rc::Rc;

use abi::{Code, TaskId};
use iommu::hardware::{Hardware, Held, Pinned, System};
use iommu::log::Line;
use pci_api::client::CallError;
use pci_api::{BootStatus, Description, DeviceState, Error, QuiesceState};

use super::death::Fuse;
use super::fabric::Fabric;
use super::intent::Intent;
use super::kernel::Kernel;
use super::layout::{self, DEVICES, Layout, TABLES};
use super::oracle::Oracle;
use super::sabotage::Sabotage;
use crate::finding::{Check, Findings};
use crate::{Chooser, Features, Liberties, Model};

/// A reply that the server gave later than at once.
#[derive(Clone, Copy, Debug)]
pub struct Reply {
    /// To whom.
    pub to: TaskId,
    /// The code.
    pub code: u32,
    /// The payload.
    pub payload: [u64; 8],
}

/// Everything around the core.
pub struct World {
    /// The SMMU.
    pub model: Model,
    /// The kernel.
    pub kernel: Kernel,
    /// The PCI task.
    pub fabric: Fabric,
    /// What was granted.
    pub oracle: Oracle,
    /// What is wrong with the server, on purpose.
    pub sabotage: Sabotage,
    /// The plan.
    pub layout: Layout,
    /// How long the server lives.
    pub fuse: Fuse,
    /// What the request under way is to change; `None` between requests of claimants.
    pub intent: Option<Intent>,
    /// Late replies.
    pub replies: Vec<Reply>,
    /// Tasks that `iommu-fault` was posted to.
    pub posts: Vec<usize>,
    /// Lines of the log, for a failing history.
    pub lines: u64,
}

/// A handle on the world, for the core and for the history.
#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<World>>);

impl World {
    /// A world before the server's first instruction: caches full of an earlier user's entries.
    #[must_use]
    pub fn new(features: Features, liberties: Liberties, seed: u64, sabotage: Sabotage) -> Self {
        let mut chooser = Chooser::new(seed ^ 0x9e37_79b9_7f4a_7c15);
        let (layout, mut memory) = layout::build(&features, &mut chooser, sabotage.shares_asids());
        sabotage.image(&layout, &mut memory);
        let mut model = Model::new(features, liberties, seed, memory, &layout::STREAMS);
        model.leave_behind(layout::FOREIGN);
        if chooser.once_in(2) {
            model.leave_on();
        }
        Self {
            model,
            kernel: Kernel::new(),
            fabric: Fabric::default(),
            oracle: Oracle::default(),
            sabotage,
            layout,
            fuse: Fuse::default(),
            intent: None,
            replies: Vec::new(),
            posts: Vec::new(),
            lines: 0,
        }
    }

    /// What landed since the last look is checked against what is granted now.
    pub fn check_landed(&mut self) {
        let landed = self.model.take_landed();
        self.oracle.landed(&landed, &mut self.model.findings);
    }

    /// Everything that a stream could reach is checked against what is granted now, and bus mastering
    /// against who holds the device.
    pub fn audit(&mut self) {
        let mut findings = std::mem::take(&mut self.model.findings);
        let fabric = &self.fabric;
        let started = |stream: u32| {
            let mut devices = DEVICES.iter().enumerate();
            devices.any(|(device, planned)| {
                planned.streams.contains(&stream) && fabric.is_bus_master(device)
            })
        };
        self.oracle.audit(&self.model, started, &mut findings);
        for device in 0..DEVICES.len() {
            let held = self
                .kernel
                .holds
                .iter()
                .any(|hold| hold.device as usize == device);
            let stands = DEVICES.get(device).is_some_and(|planned| planned.standing);
            // Without the PCI task nobody can turn it off.
            if !held && !stands && self.fabric.is_bus_master(device) && !self.fabric.down {
                findings.note(Check::Containment, || {
                    format!("device {device} is bus master, and nobody has it")
                });
            }
        }
        self.model.findings = findings;
    }

    /// A device is turned on only if nothing of anybody else can be under way in it; turned off with
    /// something mapped, only a reset says so.
    pub(crate) fn check_started(&mut self, device: u32, on: bool) {
        if !on {
            let on = self.fabric.is_bus_master(device as usize);
            let oracle = &self.oracle;
            let number = device as usize;
            let used = !oracle.grants(number).is_empty() || oracle.unasked(number).is_some();
            if on && used {
                self.fabric.set_user(device, Some(TaskId::KERNEL));
            }
            return;
        }
        let mut holds = self.kernel.holds.iter();
        let holder = holds
            .find(|hold| hold.device == device)
            .map(|hold| hold.task);
        let user = self.fabric.user(device);
        if holder.is_none() {
            // It stands: whoever has its registers may use it, claimed or not.
            self.fabric.set_user(device, user.or(Some(TaskId::KERNEL)));
            return;
        }
        if user.is_some() && user != holder {
            self.model.findings.note(Check::Containment, || {
                format!(
                    "device {device} is turned on for {holder:x?}, not reset since {user:x?} had it"
                )
            });
        }
        self.fabric.set_user(device, holder);
    }

    /// The server was told of deaths: the devices of the dead are cut off by now.
    pub fn check_cut_off(&mut self) {
        let mut findings = std::mem::take(&mut self.model.findings);
        for hold in &self.kernel.holds {
            if !self.kernel.is_current(hold.task) {
                let device = hold.device as usize;
                self.oracle.cut_off(&self.model, device, &mut findings);
                if self.fabric.is_bus_master(device) && !self.fabric.down {
                    findings.note(Check::Containment, || {
                        format!("device {device} of a dead task is bus master")
                    });
                }
            }
        }
        self.model.findings = findings;
    }

    /// Whether all streams of a device are open, as their entries were stored last.
    #[must_use]
    pub fn is_open(&self, device: usize) -> bool {
        let streams = DEVICES
            .get(device)
            .map_or(&[][..], |planned| planned.streams);
        streams.iter().all(|&stream| {
            let word = self.model.memory.latest(TABLES + layout::entry_of(stream));
            let open = if layout::bypasses(device) {
                0b1001
            } else {
                0b1011
            };
            word.is_some_and(|word| word & 0b1111 == open)
        })
    }

    /// The successor has started: a living task is held only for what it has to use or to release.
    pub fn check_holds(&mut self, was_in_use: impl Fn(usize) -> bool) {
        for hold in &self.kernel.holds {
            let device = hold.device as usize;
            let mut pins = self.kernel.pins.iter().flatten();
            let kept = was_in_use(device)
                || !self.kernel.is_current(hold.task)
                || !self.oracle.grants(device).is_empty()
                || self.oracle.unasked(device).is_some()
                || pins.any(|pin| pin.device == hold.device);
            if !kept {
                self.model
                    .findings
                    .note(Check::Leak, || format!("{hold:x?} is for nothing"));
            }
        }
    }

    /// A device is about to be turned on: if a dead task had it, it was made quiet, and of what was mapped for
    /// it nothing is left.
    pub(crate) fn check_start(&mut self, device: usize) {
        let mut left = self.oracle.clone();
        left.clear(device);
        let mut holds = self.kernel.holds.iter();
        let dead =
            holds.any(|hold| hold.device as usize == device && !self.kernel.is_current(hold.task));
        if !dead {
            return;
        }
        let mut findings = std::mem::take(&mut self.model.findings);
        if self.fabric.result(device as u32) != Some(QuiesceState::Quiet) {
            findings.note(Check::Containment, || {
                format!("device {device} of a dead task goes on before it was quiet")
            });
        }
        left.audit(&self.model, |_| false, &mut findings);
        self.model.findings = findings;
    }

    /// Something happened that the server was not told of yet.
    pub fn is_untold(&self) -> bool {
        self.kernel.held_death || self.fabric.quiesced || self.fabric.up || self.fabric.down
    }

    /// Devices with direct regions stand while nobody that shares their streams is held.
    pub fn check_standing(&mut self) {
        for (device, planned) in DEVICES.iter().enumerate() {
            let mut holds = self.kernel.holds.iter();
            let held = holds.any(|hold| {
                let other = DEVICES.get(hold.device as usize);
                other.is_some_and(|other| other.domain == planned.domain)
            });
            if !planned.standing || held {
                continue;
            }
            let closed = planned
                .streams
                .iter()
                .any(|stream| self.model.reachable(*stream).runs.is_empty());
            if closed || !self.fabric.is_bus_master(device) {
                self.model.findings.note(Check::Containment, || {
                    format!("device {device} is cut off, and nobody had it")
                });
            }
        }
    }

    /// Pins are kept for what is mapped, and no longer.
    pub fn check_pins(&mut self) {
        for pin in self.kernel.pins.iter().flatten() {
            let grants = self.oracle.grants(pin.device as usize);
            let used = grants.iter().any(|grant| {
                grant.output < pin.pa + pin.len && pin.pa < grant.output + grant.bytes
            });
            if !used {
                self.model
                    .findings
                    .note(Check::Leak, || format!("nothing is mapped of {pin:x?}"));
            }
        }
    }

    /// Memory is given back; `left` is what remains granted.
    fn check_released(&mut self, left: &Oracle, device: usize, output: u64, bytes: u64) {
        self.check_landed();
        let mut findings: Findings = std::mem::take(&mut self.model.findings);
        left.released(&self.model, device, output, bytes, &mut findings);
        self.model.findings = findings;
    }

    /// A hold ends: all that was granted of the device's owner has to be out of reach.
    pub(crate) fn check_lift(&mut self, device: usize) {
        let mut left = self.oracle.clone();
        left.clear(device);
        let unasked = self.oracle.unasked(device);
        let grants = self.oracle.grants(device).to_vec();
        for grant in grants.into_iter().chain(unasked) {
            self.check_released(&left, device, grant.output, grant.bytes);
        }
    }

    /// A pin ends: with the request that unmaps it, or with everything of its device.
    pub(crate) fn check_unpin(&mut self, slot: u32) {
        let Some(pin) = self.kernel.pinned(slot) else {
            return;
        };
        let device = pin.device as usize;
        let mut left = self.oracle.clone();
        match &self.intent {
            None => left.clear(device),
            Some(intent) => {
                let runs = intent.unmaps.iter();
                runs.for_each(|&(input, bytes)| left.revoke(device, input, bytes));
            }
        }
        self.check_released(&left, device, pin.pa, pin.len);
    }

    /// A task runs again: nothing of its earlier life is within reach of a device.
    pub(crate) fn check_restart(&mut self, task: usize) {
        for &(_, _, pa, len) in layout::POOLS.iter().filter(|pool| pool.0 == task) {
            for device in 0..DEVICES.len() {
                let left = self.oracle.clone();
                self.check_released(&left, device, pa, len);
            }
        }
    }

    /// The PCI task dies, or its next life starts.
    pub fn switch_pci(&mut self) {
        if self.fabric.down {
            self.model.ambient.clear();
            self.fabric.restart();
        } else {
            self.fabric.down = true;
        }
    }

    fn pci(&self) -> Result<(), CallError> {
        let down = CallError::Unavailable(Code::DOWN);
        if self.fabric.down { Err(down) } else { Ok(()) }
    }

    /// Time passes for the PCI task: resets end.
    pub fn pass(&mut self) {
        for device in self.fabric.pass(&mut self.model.chooser) {
            let unit = DEVICES
                .get(device as usize)
                .map(|planned| planned.reset_unit);
            for (other, planned) in DEVICES.iter().enumerate() {
                if Some(planned.reset_unit) != unit {
                    continue;
                }
                if !self.fabric.is_bus_master(other) {
                    self.fabric.set_user(other as u32, None);
                }
                self.check_landed();
                if self.sabotage.skips_reset() {
                    self.sabotage.struck += 1;
                } else {
                    self.model.reset_device(other as u32);
                }
            }
        }
    }
}

impl Hardware for Shared {
    fn read32(&mut self, register: usize) -> u32 {
        let mut world = self.enter();
        let value = world.model.read32(register);
        world.read_register(register, value)
    }
    fn write32(&mut self, register: usize, value: u32) {
        self.enter().write_register(register, value);
    }
    fn read64(&mut self, register: usize) -> u64 {
        self.enter().model.read64(register)
    }
    fn write64(&mut self, register: usize, value: u64) {
        self.enter().write_register64(register, value);
    }
    fn load(&mut self, offset: u64) -> u64 {
        self.0.borrow_mut().load_word(offset)
    }
    fn store(&mut self, offset: u64, value: u64) {
        self.enter().store_word(offset, value);
    }
    fn publish(&mut self) {
        self.enter().barrier();
    }
    fn acquire(&mut self) {
        self.enter().acquire_barrier();
    }
    fn now(&mut self) -> u64 {
        self.enter().model.now()
    }
    fn ticks(&self, nanoseconds: u64) -> u64 {
        nanoseconds / 1000
    }
}

const NO_DEVICE: CallError = CallError::Refused(Error::NoSuchDevice);

impl System for Shared {
    fn hold(&mut self, task: TaskId, device: u32) -> Code {
        let mut world = self.enter();
        let code = world.kernel.hold(task, device);
        if code == Code::OK {
            world.oracle.hold(device as usize);
        }
        code
    }
    fn lift(&mut self, index: usize, device: u32) -> Code {
        let mut world = self.enter();
        if world.sabotage.keeps_hold() {
            return Code::OK;
        }
        world.check_lift(device as usize);
        world.oracle.clear(device as usize);
        world.kernel.lift(index, device)
    }
    fn pin(
        &mut self,
        driver: TaskId,
        lender: TaskId,
        lease: u32,
        device: u32,
        offset: u64,
        len: u64,
    ) -> Result<Pinned, Code> {
        self.enter()
            .kernel
            .pin(driver, lender, lease, device, offset, len)
    }
    fn unpin(&mut self, slot: u32) -> Code {
        let mut world = self.enter();
        world.check_unpin(slot);
        world.kernel.unpin(slot)
    }
    fn enumerate(&mut self, cursor: u64) -> Held {
        let mut world = self.enter();
        let held = world.kernel.enumerate(cursor);
        world.enumerated(held)
    }
    fn pci_status(&mut self) -> Result<BootStatus, CallError> {
        self.enter().pci()?;
        let ready = DEVICES.len() as u32;
        Ok(BootStatus {
            ready,
            mismatches: 0,
            undeclared: 0,
            refused: false,
        })
    }
    fn pci_describe(&mut self, device: u32) -> Result<Description, CallError> {
        let mut world = self.enter();
        world.pci()?;
        let planned = DEVICES.get(device as usize).ok_or(NO_DEVICE)?;
        let on = world.sabotage.finds_on() || world.fabric.is_bus_master(device as usize);
        Ok(Description {
            state: DeviceState::Ready,
            reason: None,
            bus_master: on,
            requester_id: planned.streams.first().copied().unwrap_or(0) as u16,
            vendor_id: 0x1af4,
            device_id: 0x1042,
            group: planned.reset_unit,
            buses: [0; 2],
        })
    }
    fn bus_master(&mut self, device: u32, on: bool) -> Result<(), CallError> {
        let mut world = self.enter();
        world.pci()?;
        world
            .set_bus_master(device, on)
            .then_some(())
            .ok_or(CallError::Refused(Error::NotQuiet))
    }
    fn quiesce_start(&mut self, device: u32) -> Result<(), CallError> {
        let mut guard = self.enter();
        let world = &mut *guard;
        world.pci()?;
        world.check_started(device, false);
        let started = world.fabric.quiesce(device, &mut world.model.chooser);
        if world.sabotage.is_quiet_at_once() || world.skips_unasked(device) {
            world.sabotage.struck += 1;
            world.fabric.pretend_quiet(device);
        }
        world
            .model
            .ambient
            .retain(|ambient| ambient.device != device);
        world.stand_early(device);
        started.then_some(()).ok_or(NO_DEVICE)
    }
    fn quiesce_result(&mut self, device: u32) -> Result<QuiesceState, CallError> {
        let mut world = self.enter();
        world.pci()?;
        world.pass();
        world.fabric.result(device).ok_or(NO_DEVICE)
    }
    fn reply(&mut self, to: TaskId, code: u32, payload: &[u64; 8], _len: usize) {
        self.enter().replies.push(Reply {
            to,
            code,
            payload: *payload,
        });
    }
    fn post_fault(&mut self, index: usize) {
        self.enter().posts.push(index);
    }
    fn log(&mut self, line: Line<'_>) {
        let mut world = self.enter();
        world.lines += 1;
        if let Line::SmmuRefused { why, .. } = line {
            world
                .model
                .findings
                .note(Check::Refusal, || format!("{why:?}"));
        }
    }
}
