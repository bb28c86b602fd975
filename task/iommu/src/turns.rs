//! The turns of the server's loop: events, errors, storms, the timer.

use smmu::registers::{GERROR, GERRORN, gerror};

use crate::device::Device;
use crate::events::{Share, Turn, storm_period};
use crate::hardware::{Hardware, System};
use crate::indices::TaskIndex;
use crate::life::State;
use crate::limits::{EVENT_PAUSE_NS, STORM_PERIOD_NS};
use crate::log::Line;
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Takes events of one SMMU, up to a turn's share.
    pub(crate) fn drain(&mut self, index: usize) {
        self.take_events(index, Share::Turn);
        self.block_storms();
    }

    /// Takes all events of one SMMU that are recorded now. Storms are looked for in the next turn.
    pub(crate) fn drain_recorded(&mut self, index: usize) {
        self.take_events(index, Share::Recorded);
    }

    fn take_events(&mut self, index: usize, share: Share) {
        let Some(smmu) = self.smmus.get_mut(index) else {
            return;
        };
        let Some(running) = &mut smmu.running else {
            return;
        };
        let now = smmu.hardware.now();
        let period = storm_period(&smmu.hardware);
        let plan = self.plan;
        let devices = &mut self.devices;
        let system = &mut self.system;
        let lines = &mut self.lines;
        let name = |about| plan.name_of(about);
        let turn: Turn = running.events.take(&mut smmu.hardware, share, |event| {
            let mut known = false;
            for number in devices.all() {
                let device = &mut devices[number];
                let hit = plan
                    .streams_of(device.entry())
                    .iter()
                    .any(|s| s.stream_id == event.stream && s.smmu as usize == index);
                // Members of an alias set share a StreamID; whichever it was, the claimants learn it. One that is
                // not there shares it with what is there in its place.
                if !hit || device.is_absent() || (known && device.life.held_by().is_none()) {
                    continue;
                }
                let reaction = device.faults.record(&event, now, period);
                device.note_storm(reaction.storm);
                let owner = device.life.held_by();
                if reaction.tell
                    && let State::Claimed(owner) = device.life.state()
                {
                    system.post_fault(TaskIndex::of(owner));
                }
                if !known {
                    lines.add(Some(number), owner, &event, now, period, |about, line| {
                        system.log(line.named(name(about)));
                    });
                }
                known = true;
            }
            if !known {
                lines.add(None, None, &event, now, period, |about, line| {
                    system.log(line.named(name(about)));
                });
            }
        });
        smmu.more = turn.more;
        if turn.lost {
            smmu.lost += 1;
        }
        if !turn.more {
            lines.finish(now, period, |about, line| {
                system.log(line.named(name(about)));
            });
            self.unmask |= smmu.entry.event_interrupt;
        }
        if turn.lost {
            self.tell_loss(index, turn.aborted);
        }
        self.schedule(index);
    }

    fn tell_loss(&mut self, index: usize, aborted: bool) {
        if let Some(smmu) = self.smmus.get(index)
            && (smmu.lost.is_power_of_two())
        {
            // Each doubling is a line: a flood of losses is no flood of lines.
            self.system.log(Line::EventsLost {
                name: smmu.entry.name.as_str(),
                times: smmu.lost,
                aborted,
            });
        }
        for number in self.devices.all() {
            let device = &mut self.devices[number];
            let domain = self.plan.domain_of(device.entry());
            let here = domain.is_some_and(|(_, domain)| domain.smmu as usize == index);
            if let (true, State::Claimed(owner)) = (here, device.life.state()) {
                device.faults.note_loss();
                self.system.post_fault(TaskIndex::of(owner));
            }
        }
    }

    fn wake_at(&mut self, due: u64) {
        if self.deadline.is_none_or(|other| due < other) {
            self.deadline = Some(due);
            self.new_deadline = Some(due);
        }
    }

    fn schedule(&mut self, index: usize) {
        let Some(smmu) = self.smmus.get_mut(index) else {
            return;
        };
        let pause = if smmu.more {
            EVENT_PAUSE_NS
        } else if self.lines.has_omitted() {
            STORM_PERIOD_NS
        } else {
            return;
        };
        let due = smmu
            .hardware
            .now()
            .saturating_add(smmu.hardware.ticks(pause));
        self.wake_at(due);
    }

    /// Blocks the streams of devices that fault too often, and tells owner and people.
    fn block_storms(&mut self) {
        for index in self.devices.all() {
            let device = &mut self.devices[index];
            if !device.take_storm() || !device.life.reaches_memory() {
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
        for index in 0..self.smmus.len() {
            self.drain(index);
        }
    }

    /// Interrupts of SMMUs.
    pub fn on_interrupt(&mut self, bits: u32) {
        for index in 0..self.smmus.len() {
            let Some(smmu) = self.smmus.get(index) else {
                continue;
            };
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
    fn global_error(&mut self, index: usize) -> bool {
        let Some(smmu) = self.smmus.get_mut(index) else {
            return false;
        };
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
    fn cut_off_all(&mut self, smmu: usize) {
        for index in self.devices.all() {
            let device = &self.devices[index];
            let claimed =
                matches!(device.life.state(), State::Claimed(_)) && !device.life.is_revoked();
            if self.is_behind(device, smmu) && (claimed || device.life.is_always_open()) {
                self.revoke(index);
            }
        }
    }

    /// Whether the domain of a device is translated by an SMMU.
    fn is_behind(&self, device: &Device<'_>, smmu: usize) -> bool {
        let domain = self.plan.domain_of(device.entry());
        domain.is_some_and(|(_, domain)| domain.smmu as usize == smmu)
    }

    /// Logs a command that the SMMU refused.
    pub(crate) fn note_refused(&mut self, index: usize) {
        let Some(smmu) = self.smmus.get_mut(index) else {
            return;
        };
        if let Some(refused) = smmu
            .running
            .as_mut()
            .and_then(|running| running.queue.take_refused())
        {
            self.system.log(Line::CommandError {
                name: smmu.entry.name.as_str(),
                code: refused.code,
                command: refused.command,
            });
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
