//! The surroundings of the server's core: the model as its hardware, kernel and PCI task as its system.

mod checks;
mod surroundings;

use std::cell::RefCell;
use std::rc::Rc;

use abi::{Code, TaskId};
use pci_api::client::CallError;

use super::death::Fuse;
use super::fabric::Fabric;
use super::intent::Intent;
use super::kernel::Kernel;
use super::layout::{self, Layout, Machine, TABLES};
use super::oracle::Oracle;
use super::sabotage::Sabotage;
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
    pub fn new(
        machine: &'static Machine,
        features: Features,
        liberties: Liberties,
        seed: u64,
        sabotage: Sabotage,
    ) -> Self {
        let mut chooser = Chooser::new(seed ^ 0x9e37_79b9_7f4a_7c15);
        let (layout, mut memory) =
            layout::build(machine, &features, &mut chooser, sabotage.shares_asids());
        sabotage.image(&layout, &mut memory);
        let mut model = Model::new(features, liberties, seed, memory, machine.streams);
        model.leave_behind(layout::FOREIGN);
        if chooser.once_in(2) {
            model.leave_on();
        }
        Self {
            model,
            kernel: Kernel::new(),
            fabric: Fabric::new(machine),
            oracle: Oracle::new(machine),
            sabotage,
            layout,
            fuse: Fuse::default(),
            intent: None,
            replies: Vec::new(),
            posts: Vec::new(),
            lines: 0,
        }
    }

    /// Whether all streams of a device are open, as their entries were stored last.
    #[must_use]
    pub fn is_open(&self, device: usize) -> bool {
        let machine = self.layout.machine;
        machine.streams_of(device).iter().all(|&stream| {
            let word = self.model.memory.latest(TABLES + layout::entry_of(stream));
            let open = if machine.bypasses(device) {
                0b1001
            } else {
                0b1011
            };
            word.is_some_and(|word| word & 0b1111 == open)
        })
    }

    /// Something happened that the server was not told of yet.
    pub fn is_untold(&self) -> bool {
        self.kernel.held_death || self.fabric.quiesced || self.fabric.up || self.fabric.down
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
            let machine = self.layout.machine;
            let unit = machine
                .device(device as usize)
                .map(|planned| planned.reset_unit);
            for (other, planned) in machine.devices.iter().enumerate() {
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
