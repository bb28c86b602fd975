//! What the server says of a device against what the kernel, the PCI task and the tables have of it.

use iommu::indices::DeviceIndex;
use iommu_api::{DeviceRequest, Operation, Status, StatusFlags};
use userlib::protocol::Wire;

use super::History;
use super::requests::Answer;
use crate::layout::AUDITOR;
use smmu_model::Check;

impl History<'_> {
    /// Every device is in one of the states that there are, and holds, streams and bus mastering are those of it.
    pub(super) fn check_states(&mut self) {
        let world = self.world.borrow();
        let sound = self.taken_over
            && !world.model.has_stopped()
            && !world.is_untold()
            && !world.kernel.held_death;
        drop(world);
        if !sound {
            return;
        }
        let device = self.chooser.below(self.machine.devices.len());
        if let Some(status) = self.status(device) {
            self.check_state(device, status.flags);
        }
    }

    /// What the server serves each claim by is as the lives of its devices say, and as everything that was granted
    /// since the claim began.
    pub(super) fn check_slots(&self) {
        if !self.server.slots_follow() {
            self.note(Check::State, || {
                "a slot that is not as its device's life".into()
            });
        }
        for device in 0..self.machine.devices.len() {
            let held = self.held.get(device).copied().flatten();
            let (Some(held), Some(index)) = (held, DeviceIndex::new(device)) else {
                continue;
            };
            let slot = self.server.slot(index);
            if held.revoked || slot.served() != Some(held.claim.handle) {
                continue;
            }
            let grants = self.world.borrow();
            let bytes: u64 = grants
                .oracle
                .grants(device)
                .iter()
                .map(|grant| grant.bytes)
                .sum();
            // What waits for a flush may be flushed by now.
            let waits = grants.oracle.bytes_that_wait(device);
            drop(grants);
            let mapped = slot.mapped() * 4096;
            if slot.user() != held.owner || !(bytes..=bytes + waits).contains(&mapped) {
                self.note(Check::State, || {
                    format!("device {device}: {bytes:#x} bytes are mapped, the slot has {slot:x?}")
                });
            }
        }
    }

    /// What the server says of a device, whatever becomes of it otherwise.
    pub(super) fn status(&mut self, device: usize) -> Option<Status> {
        let auditor = self.world.borrow().kernel.id(AUDITOR);
        let words = DeviceRequest {
            device: device as u32,
        }
        .to_words();
        self.immortal = true;
        let answer = self.ask(auditor, Operation::Status, &words[..1]);
        self.immortal = false;
        match answer {
            Answer::Now(0, payload) => Status::from_words(&payload),
            _ => None,
        }
    }

    fn check_state(&self, device: usize, flags: StatusFlags) {
        let world = self.world.borrow();
        let claimed = flags.has(StatusFlags::CLAIMED);
        let open = flags.has(StatusFlags::OPEN);
        let revoked = flags.has(StatusFlags::STORM);
        let waits = flags.has(StatusFlags::QUIESCING);
        let stuck = flags.has(StatusFlags::STUCK);
        let held = world
            .kernel
            .holds
            .iter()
            .any(|hold| hold.device as usize == device);
        let on = world.fabric.is_bus_master(device);
        let translates = world.is_open(device);
        let shared = (0..self.machine.devices.len()).any(|other| {
            other != device && self.machine.share(other, device) && world.is_open(other)
        });
        let streams = !self.machine.streams_of(device).is_empty();
        let wrong = match () {
            () if u32::from(claimed) + u32::from(waits) + u32::from(stuck) > 1 => {
                Some("is in two states")
            }
            () if (claimed || waits || stuck) != held => {
                Some("is in a state that its hold is not for")
            }
            () if open && (revoked || waits || stuck) => Some("is open and cut off"),
            () if open && !translates => Some("is open and its streams are closed"),
            () if !open && streams && translates && !shared => {
                Some("is closed and its streams are open")
            }
            () if claimed && !open && !revoked => Some("is claimed and closed, and nobody is told"),
            () if on && !open => Some("is bus master and closed"),
            () if claimed && open && !on => Some("is claimed and open, and off"),
            () => None,
        };
        drop(world);
        if let Some(wrong) = wrong {
            self.note(Check::State, || {
                format!("device {device} {wrong}: {flags:?}, held {held}, bus master {on}, translates {translates}")
            });
        }
    }
}
