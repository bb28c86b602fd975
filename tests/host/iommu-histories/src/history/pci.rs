//! The PCI task dies and comes back; the SMMU stops.

use iommu::Server;
use iommu_api::StatusFlags;

use super::History;
use smmu_model::Check;

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

    /// The server is told that the PCI task is up again, or will not come back: what is claimed and open goes on unless it lost its state,
    /// whatever has become of that life meanwhile. `None` if the server dies of it.
    pub(super) fn pci_is_up(&mut self) -> Option<()> {
        self.world.borrow_mut().fabric.refresh();
        let before = self.world.borrow().fabric.disturbances;
        let (kept, lost) = self.kept_and_lost();
        self.serve(Server::on_pci_up)?;
        let answered = {
            let fabric = &self.world.borrow().fabric;
            !fabric.retired && fabric.disturbances == before
        };
        if answered {
            self.check_told(&lost);
        }
        self.check_not_revoked(&kept);
        if answered {
            self.note_losses();
        }
        if !self.taken_over && answered {
            self.take_over();
        }
        Some(())
    }

    /// What is claimed and on, with what it had lost by now; and what was on until a life of the PCI task, of which the
    /// server is told now, found that it had lost its state.
    fn kept_and_lost(&self) -> (Vec<(usize, u64)>, Vec<usize>) {
        let used = self.in_use();
        let fabric = &self.world.borrow().fabric;
        let kept = used.iter().filter(|&&device| fabric.is_bus_master(device));
        let kept = kept.map(|&device| (device, fabric.losses(device)));
        let lost = |device: &&usize| {
            !fabric.is_bus_master(**device) && fabric.losses(**device) > self.losses[**device]
        };
        (kept.collect(), used.iter().filter(lost).copied().collect())
    }

    /// The server was told of all that devices have lost.
    pub(super) fn note_losses(&mut self) {
        let fabric = &self.world.borrow().fabric;
        for (device, losses) in self.losses.iter_mut().enumerate() {
            *losses = fabric.losses(device);
        }
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
    fn check_told(&mut self, lost: &[usize]) {
        for &device in lost {
            let flags = self.status(device).map(|status| status.flags);
            let claimed = flags.is_some_and(|flags| flags.has(StatusFlags::CLAIMED));
            let revoked = flags.is_some_and(|flags| flags.has(StatusFlags::STORM));
            if claimed && !revoked || self.world.borrow().fabric.is_bus_master(device) {
                self.note(Check::Function, || {
                    format!("device {device} lost its state, and its claim goes on")
                });
            }
        }
    }

    /// That the PCI task was started again, or did not answer everything, is no reason to take a device from its
    /// claimant that lost nothing, nor by what shares its streams.
    fn check_not_revoked(&self, kept: &[(usize, u64)]) {
        let world = self.world.borrow();
        let fabric = &world.fabric;
        // A reset that was under way, and takes others on the bus, is begun again.
        let alone = |device: usize| self.machine.devices[device].below.is_none();
        let lost = |other: usize| fabric.losses(other) > self.losses[other];
        let beside = |device: usize| {
            let mut others = 0..self.machine.devices.len();
            others.any(|other| self.machine.share(device, other) && lost(other))
        };
        let off = |device: usize| !world.is_open(device) || !fabric.is_bus_master(device);
        let mut kept = kept.iter();
        let revoked = kept.find(|&&(device, losses)| {
            let kept = fabric.losses(device) == losses && !beside(device);
            kept && alone(device) && off(device)
        });
        let judged = fabric.troubles.mismatches == 0 && !fabric.retired;
        let revoked = revoked.filter(|_| judged).copied();
        drop(world);
        if let Some((device, _)) = revoked {
            self.note(Check::Liveness, || {
                format!("device {device} is revoked though it lost nothing")
            });
        }
    }
}
