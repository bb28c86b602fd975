//! The lender of a pool dies while a driver has it mapped, and the driver does not answer.

use iommu::Server;
use iommu::indices::DeviceIndex;
use iommu::life::{Purpose, State};
use iommu_api::{Error, HandleRequest, Operation};
use userlib::protocol::Wire;

use super::History;
use crate::layout::CLIENT;
use smmu_model::{Check, SECOND};

impl History<'_> {
    /// The lender dies, and the time that drivers have passes, or half of it. If nothing of it is mapped, something is.
    pub(super) fn outlive_lender(&mut self) {
        let devices = 0..self.machine.devices.len();
        let used = {
            let world = self.world.borrow();
            devices.filter(|&device| world.uses_pool(device)).count()
        };
        if used == 0 {
            return (0..4).for_each(|_| self.use_pool());
        }
        if self.world.borrow().kernel.is_alive(CLIENT) {
            self.end(CLIENT);
            self.deliver();
        }
        let time = self.chooser.below(4) as u64 * (SECOND / 2);
        self.world.borrow_mut().model.pass(time);
    }

    /// The server was told that time has passed. `None` if it died of it.
    pub(super) fn on_timer(&mut self) -> Option<()> {
        let before = {
            let mut world = self.world.borrow_mut();
            world.posts.clear();
            let holds = world.kernel.holds.iter();
            let held = holds.map(|hold| hold.device as usize);
            held.filter(|&device| world.is_open(device))
                .collect::<Vec<_>>()
        };
        let now = self.world.borrow().model.clock();
        self.serve(Server::on_timer)?;
        let released = self.released();
        let taken = {
            let mut world = self.world.borrow_mut();
            world.check_overdue(now, &released);
            world.taken()
        };
        for (device, owner) in taken {
            self.counts[10] += 1;
            if self.trace {
                eprintln!("device {device} is taken away from {owner:x?}");
            }
            let mates = before.iter().copied();
            let mates: Vec<usize> = mates
                .filter(|&other| self.machine.contained_together(device, other))
                .collect();
            let mut world = self.world.borrow_mut();
            world.check_taken(device, owner);
            world.check_units_cut_off(&mates);
            drop(world);
            self.check_stale(device);
        }
        Some(())
    }

    /// By device, whether its claim was ended by its claimant, and it is not quiet yet.
    pub(super) fn released(&self) -> Vec<bool> {
        let is = |device: usize| {
            let life = DeviceIndex::new(device).map(|index| self.server.life(index));
            life.is_some_and(|life| matches!(life.state(), State::Quiescing(Purpose::Release(_))))
        };
        (0..self.machine.devices.len()).map(is).collect()
    }

    /// A claim is over: its handle is stale.
    fn check_stale(&mut self, device: usize) {
        let Some(held) = self.held.get_mut(device).and_then(Option::take) else {
            return;
        };
        let words = HandleRequest {
            handle: held.claim.handle,
        }
        .to_words();
        self.immortal = true;
        let answer = self.ask(held.owner, Operation::NextFault, &words[..1]);
        self.immortal = false;
        if answer.now().map(|(code, _)| code) != Some(Error::StaleHandle as u32) {
            self.note(Check::Lender, || {
                format!("device {device} is taken away, and its claim goes on: {answer:x?}")
            });
        }
    }
}
