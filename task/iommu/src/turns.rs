//! The turns of the server's loop: events, errors, storms, the timer.

use smmu::registers::{GERROR, GERRORN, gerror};

use crate::events::Share;
use crate::hardware::{Hardware, System};
use crate::indices::SmmuIndex;
use crate::life::State;
use crate::log::Line;
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Takes events of one SMMU, up to a turn's share. Each record is looked for at every device, which is bounded:
    /// a turn has at most `EVENTS_PER_TURN` records, and a plan `DEVICES_MAX` devices.
    pub(crate) fn drain(&mut self, index: SmmuIndex) {
        self.take_events(index, Share::Turn);
        self.block_storms();
    }

    /// Blocks the streams of devices that fault too often, and tells owner and people.
    fn block_storms(&mut self) {
        for index in self.devices.all() {
            let device = &mut self.devices[index];
            if !device.take_storm() || !device.life().reaches_memory() {
                continue;
            }
            let faults = device.faults.total;
            let name = device.entry().name;
            self.revoke(index);
            self.system.log(Line::Storm {
                name: name.as_str(),
                faults,
            });
            self.system.post_storm(index);
        }
    }

    /// The time came that [`Self::take_new_deadline`] gave.
    pub fn on_timer(&mut self) {
        self.deadline = None;
        for index in self.smmus.all() {
            self.drain(index);
        }
        self.flush_due();
        self.end_overdue();
    }

    /// Interrupts of SMMUs.
    pub fn on_interrupt(&mut self, bits: u32) {
        for index in self.smmus.all() {
            let smmu = &self.smmus[index];
            let (event, error) = (smmu.entry.event_interrupt, smmu.entry.error_interrupt);
            if bits & error != 0 && self.global_error(index) {
                self.unmask |= error;
            }
            if bits & (event | error) != 0 {
                self.drain(index);
            }
        }
    }

    /// Repairs the command queue and acknowledges global errors other than the two that the queues handle
    /// themselves. False if the SMMU is broken: then the interrupt has nothing to say any more.
    fn global_error(&mut self, index: SmmuIndex) -> bool {
        let smmu = &mut self.smmus[index];
        let Some(running) = &mut smmu.running else {
            return false;
        };
        running.queue.on_error(&mut smmu.hardware);
        let acknowledged = smmu.hardware.read32(GERRORN);
        let active = (smmu.hardware.read32(GERROR) ^ acknowledged) & gerror::ALL;
        let others = active & !gerror::EVENTQ_ABT_ERR.put32(1) & !gerror::CMDQ_ERR.put32(1);
        let failed = gerror::SFM_ERR.is_set32(others) && !running.queue.is_broken();
        if failed {
            running.queue.give_up();
        }
        let serves = !running.queue.is_broken();
        if others != 0 {
            smmu.hardware.write32(GERRORN, acknowledged ^ others);
            self.system.log(Line::GlobalError {
                name: smmu.entry.name.as_str(),
                bits: others,
            });
        }
        self.note_refused(index);
        if failed {
            self.cut_off_all(index);
        }
        serves
    }

    /// Cuts every device of an SMMU off that has stopped for good: what it has cached, and whether it still
    /// translates, nobody knows, and the next request may be long in coming.
    pub(crate) fn cut_off_all(&mut self, smmu: SmmuIndex) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            let claimed =
                matches!(device.life().state(), State::Claimed(_)) && !device.life().is_revoked();
            if self.smmu_of(index) == Some(smmu) && (claimed || device.life().is_always_open()) {
                self.revoke(index);
            }
        }
    }

    /// Interrupt bits to unmask now.
    pub fn take_unmask(&mut self) -> u32 {
        core::mem::take(&mut self.unmask)
    }

    /// When [`Self::on_timer`] wants to be called, if that is new.
    #[inline]
    pub fn take_new_deadline(&mut self) -> Option<u64> {
        self.new_deadline.take()
    }
}
