//! What must be over when nothing goes wrong any more.

use iommu_api::StatusFlags;

use super::History;
use crate::troubles::Troubles;
use smmu_model::{Check, SECOND};

/// Rounds in which everything that is under way ends: a chain of quiesces, each of a few steps, with every
/// notification late.
const ROUNDS: u32 = 400;

impl History<'_> {
    /// Nobody dies or asks for anything any more. Then whoever waits is answered, and what is being made quiet is, or
    /// is known not to be.
    pub(super) fn come_to_rest(&mut self) {
        self.immortal = true;
        self.world.borrow_mut().fabric.troubles = Troubles::default();
        for _ in 0..ROUNDS {
            self.world.borrow_mut().model.pass(SECOND / 100);
            self.pass();
            self.deliver();
            self.check_reach();
        }
        if let Some(waiting) = self.waiting.first().copied() {
            self.note(Check::Liveness, || format!("{waiting:x?} waits for ever"));
        }
        for device in 0..self.machine.devices.len() {
            let status = self.status(device);
            if status.is_some_and(|status| status.flags.has(StatusFlags::QUIESCING)) {
                self.note(Check::Liveness, || {
                    format!("device {device} is being made quiet for ever")
                });
            }
            if status.is_some_and(|status| !status.flags.has(StatusFlags::STUCK)) {
                self.world.borrow_mut().check_none_waits(device);
            }
        }
    }
}
