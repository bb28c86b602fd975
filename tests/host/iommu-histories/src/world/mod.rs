//! The surroundings of the server's core: the model as its hardware, kernel and PCI task as its system.

mod calls;
mod checks;
mod interrupted;
mod lenders;
mod registers;
mod surroundings;
mod tables;

pub use interrupted::Leaves;
pub(crate) use interrupted::is_parted;

use std::cell::RefCell;
use std::rc::Rc;

use abi::TaskId;
use pci_api::client::Failure;
use smmu::stream::{bypass_word, stage1_word};

use self::lenders::Lenders;
use super::fabric::Fabric;
use super::fuse::Fuse;
use super::intent::Intent;
use super::kernel::Kernel;
use super::layout::{self, Layout, Machine, TABLES};
use super::oracle::Oracle;
use super::sabotage::{Sabotage, View};
use super::troubles::Troubles;
use smmu_model::Check;
use smmu_model::{Chooser, Features, Liberties, Model};

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
    /// Devices that their holders could have used, as far as the server knows.
    pub exposed: Vec<bool>,
    /// Dead lenders of pools.
    pub lenders: Lenders,
    /// The timer that the server set.
    pub timer: Option<u64>,
    /// Lines of the log, for a failing history.
    pub lines: u64,
}

/// A handle on the world, for the core and for the history.
#[derive(Clone)]
pub struct Shared(pub Rc<RefCell<World>>);

impl World {
    /// A world before the server's first instruction: caches full of an earlier user's entries.
    #[must_use]
    pub fn new(
        machine: &'static Machine,
        troubles: Troubles,
        features: Features,
        liberties: Liberties,
        seed: u64,
        sabotage: Sabotage,
    ) -> Self {
        let mut chooser = Chooser::new(seed ^ 0x9e37_79b9_7f4a_7c15);
        let (layout, mut memory) = layout::build(
            machine,
            &features,
            &mut chooser,
            layout::Faults {
                one_asid: sabotage.shares_asids(),
                lends_beyond: sabotage.lends_beyond(),
            },
        );
        sabotage.image(&layout, &mut memory);
        let mut model = Model::new(features, liberties, seed, memory, machine.streams);
        model.sleeps_too = sabotage.looks_once();
        model.leave_behind(layout::FOREIGN);
        if chooser.once_in(2) {
            model.leave_on();
        }
        Self {
            model,
            kernel: Kernel::new(),
            fabric: Fabric::new(machine, troubles, &mut chooser),
            oracle: Oracle::new(machine),
            sabotage,
            layout,
            fuse: Fuse::default(),
            intent: None,
            replies: Vec::new(),
            posts: Vec::new(),
            exposed: vec![false; machine.devices.len()],
            lenders: Lenders::new(machine.devices.len()),
            timer: None,
            lines: 0,
        }
    }

    /// What a seeded fault looks at.
    fn view(&self) -> View<'_> {
        View {
            model: &self.model,
            layout: &self.layout,
            intent: self.intent.as_ref(),
            starting: self.sabotage.adopts(),
        }
    }

    /// Whether all streams of a device are open to its domain, as their entries were stored last.
    #[must_use]
    pub fn is_open(&self, device: usize) -> bool {
        let machine = self.layout.machine;
        let Some(domain) = self.layout.domain_of(device) else {
            return false;
        };
        let open = if machine.bypasses(device) {
            bypass_word()
        } else {
            stage1_word(TABLES + domain.context)
        };
        let mut streams = machine.streams_of(device).iter();
        streams.all(|&stream| {
            let at = TABLES + layout::entry_of(stream);
            self.model.memory.latest(at) == Some(open)
        })
    }

    /// Whether a living task is held for a device.
    #[must_use]
    pub fn has_claimant(&self, device: usize) -> bool {
        let mut holds = self.kernel.holds.iter();
        holds.any(|hold| hold.device as usize == device && self.kernel.is_current(hold.task))
    }

    /// Something happened that the server was not told of yet.
    #[must_use]
    pub fn is_untold(&self) -> bool {
        self.kernel.held_death || self.fabric.quiesced || !self.knows_pci()
    }

    /// Whether a device may start transactions that the SMMU translates: what nothing gates acts before the SMMU is
    /// on as well, and is the platform's to keep quiet until then.
    #[must_use]
    pub fn may_act(&self, device: usize) -> bool {
        self.fabric.may_act(device) && self.model.control() & 1 != 0
    }

    /// The server was told of the PCI task's life, which goes on.
    #[must_use]
    pub fn knows_pci(&self) -> bool {
        !self.fabric.up && self.fabric.silence().is_none()
    }

    /// The PCI task dies, or its next life starts.
    pub fn switch_pci(&mut self) {
        if self.fabric.down {
            self.restart_pci();
        } else {
            self.fabric.die(&mut self.model.chooser);
        }
    }

    fn restart_pci(&mut self) {
        self.fabric.restart(&mut self.model.chooser);
        let fabric = &self.fabric;
        let ambient = &mut self.model.ambient;
        ambient.retain(|ambient| fabric.may_act(ambient.device as usize));
    }

    /// A call of the server to the PCI task, which may die before it does what it is asked to do, before it has noted
    /// that, or after; its next life may run before the next call.
    pub(crate) fn call<T>(
        &mut self,
        answer: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let deaths = self.fabric.troubles.call_deaths;
        if self.fabric.down && deaths > 0 && self.model.chooser.once_in(8) {
            self.restart_pci();
        }
        if let Some(silence) = self.fabric.silence() {
            self.fabric.disturbances += 1;
            return Err(silence);
        }
        if !self.model.chooser.once_in(deaths) {
            let answer = answer(self);
            self.fabric.keep();
            return answer;
        }
        // What it would have answered nobody learns.
        let done = self.model.chooser.below(3);
        if done > 0 {
            let _ = answer(self);
        }
        if done > 1 {
            self.fabric.keep();
        }
        self.fabric.die(&mut self.model.chooser);
        self.fabric.disturbances += 1;
        Err(Failure::Dead)
    }

    /// Time passes for the PCI task: resets end.
    pub fn pass(&mut self) {
        for device in self.fabric.pass(&mut self.model.chooser) {
            self.reset(device);
        }
    }

    /// A device is reset, by its own recipe or with its bus.
    pub(crate) fn reset(&mut self, device: usize) {
        if self.fabric.is_bus_master(device) {
            self.model.findings.note(Check::Containment, || {
                format!("device {device} is reset in use")
            });
        }
        self.fabric.set_user(device as u32, None);
        let ambient = &mut self.model.ambient;
        ambient.retain(|ambient| ambient.device as usize != device);
        self.check_landed();
        if self.sabotage.skips_reset() {
            self.sabotage.struck += 1;
        } else {
            self.model.reset_device(device as u32);
        }
    }
}
