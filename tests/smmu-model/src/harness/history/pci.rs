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

    /// The server is told that the PCI task is up again: what is claimed and open goes on unless it lost its state,
    /// whatever has become of that life meanwhile. `None` if the server dies of it.
    pub(super) fn pci_is_up(&mut self) -> Option<()> {
        self.world.borrow_mut().fabric.refresh();
        let before = self.world.borrow().fabric.disturbances;
        let used: Vec<usize> = self.in_use();
        let (kept, lost): (Vec<usize>, Vec<usize>) = {
            let fabric = &self.world.borrow().fabric;
            used.into_iter()
                .partition(|&device| fabric.is_bus_master(device))
        };
        self.serve(Server::on_pci_up)?;
        let answered = self.world.borrow().fabric.disturbances == before;
        if answered {
            self.check_told(&lost);
        }
        self.check_not_revoked(&kept, &lost);
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

    /// What was under way in a device that lost its state is gone: it is not turned on again for that claim, and its
    /// claimant is told.
    fn check_told(&self, lost: &[usize]) {
        let world = self.world.borrow();
        let goes_on = |device: usize| world.is_open(device) || world.fabric.is_bus_master(device);
        let silent = lost.iter().copied().find(|&device| goes_on(device));
        drop(world);
        if let Some(device) = silent {
            self.note(Check::Function, || {
                format!("device {device} lost its state, and its claim goes on")
            });
        }
    }

    /// That the PCI task was started again, or did not answer everything, is no reason to take a device from its
    /// claimant that lost nothing, nor by what shares its streams.
    fn check_not_revoked(&self, kept: &[usize], lost: &[usize]) {
        let world = self.world.borrow();
        let troubles = world.fabric.troubles;
        // A reset that was under way, and takes others on the bus, is begun again.
        let alone = |device: usize| self.machine.devices[device].below.is_none();
        let beside = |device: usize| lost.iter().any(|&lost| self.machine.share(device, lost));
        let mut kept = kept.iter();
        let off = |device: usize| !world.is_open(device) || !world.fabric.is_bus_master(device);
        let revoked = kept.find(|&&device| alone(device) && !beside(device) && off(device));
        let judged = troubles.mismatches == 0 && !world.fabric.retired;
        let revoked = revoked.filter(|_| judged).copied();
        drop(world);
        if let Some(device) = revoked {
            self.note(Check::Liveness, || {
                format!("device {device} is revoked though it lost nothing")
            });
        }
    }
}
