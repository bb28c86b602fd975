//! The PCI task dies and comes back; the SMMU stops.

use iommu::Server;

use super::History;
use crate::finding::Check;

impl History<'_> {
    pub(super) fn pci_dies(&mut self) {
        let mut world = self.world.borrow_mut();
        if !world.fabric.down {
            self.counts[9] += 1;
            world.switch_pci();
        }
    }

    /// Time passes for the PCI task, or a next life of it starts.
    pub(super) fn pass(&mut self) {
        let mut world = self.world.borrow_mut();
        if world.fabric.down {
            world.switch_pci();
        } else {
            world.pass();
        }
    }

    /// From now on the SMMU completes no command, or so it may be.
    pub(super) fn stops(&mut self) -> bool {
        let mut world = self.world.borrow_mut();
        // One of 32 steps comes here, less often than once.
        let rarity = world.fabric.troubles.stops / 32;
        let stops = self.chooser.once_in(rarity);
        if stops {
            if self.trace {
                eprintln!("the SMMU stops");
            }
            world.model.stop_for_good();
        }
        stops
    }

    /// The server is told that the PCI task is up again: what is claimed and open can start again, whatever
    /// has become of that life meanwhile. `None` if the server dies of it.
    pub(super) fn pci_is_up(&mut self) -> Option<()> {
        self.world.borrow_mut().fabric.refresh();
        let before = self.world.borrow().fabric.disturbances;
        let used: Vec<usize> = self.in_use();
        self.serve(Server::on_pci_up)?;
        let answered = self.world.borrow().fabric.disturbances == before;
        if answered {
            self.check_started_again();
        } else {
            self.check_not_revoked(&used);
        }
        if !self.settled && answered {
            self.settle();
        }
        Some(())
    }

    /// Claimed devices whose claimants can use them, or could if the PCI task let them.
    pub(super) fn in_use(&self) -> Vec<usize> {
        let world = self.world.borrow();
        let held = self.held.iter().enumerate();
        let used = held.filter(|(device, held)| {
            held.is_some_and(|held| {
                !held.revoked && !self.is_waiting(held.owner) && world.kernel.is_current(held.owner)
            }) && world.is_open(*device)
        });
        used.map(|(device, _)| device).collect()
    }

    /// The server was told that the PCI task is up again: what is claimed and open can start again.
    fn check_started_again(&self) {
        let world = self.world.borrow();
        let mut used = self.in_use().into_iter();
        let stopped =
            used.find(|&device| !world.fabric.is_bus_master(device) && self.is_as_planned(device));
        drop(world);
        if let Some(device) = stopped {
            self.note(Check::Function, || {
                format!("device {device} stays off after the PCI task's restart")
            });
        }
    }

    /// The PCI task did not answer everything: that is no reason to take a device from its claimant.
    fn check_not_revoked(&self, used: &[usize]) {
        let world = self.world.borrow();
        let troubles = world.fabric.troubles;
        // A reset that was under way, and takes others on the bus, is begun again.
        let alone = |device: usize| self.machine.devices[device].below.is_none();
        let mut used = used.iter().filter(|&&device| alone(device));
        let lost = used.find(|&&device| !world.is_open(device));
        let judged = troubles.mismatches == 0 && troubles.call_deaths > 0;
        let lost = lost.filter(|_| judged && !world.fabric.retired).copied();
        drop(world);
        if let Some(device) = lost {
            self.note(Check::Liveness, || {
                format!("device {device} is revoked as the PCI task gives no answer")
            });
        }
    }
}
