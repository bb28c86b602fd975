//! Taking event records: each is counted for the device it is blamed on, and told to its claimant.

use crate::events::{Share, Turn, storm_period};
use crate::hardware::{Hardware, System};
use crate::indices::{SmmuIndex, TaskIndex};
use crate::life::State;
use crate::limits::{EVENT_PAUSE_NS, STORM_PERIOD_NS};
use crate::log::Line;
use crate::server::Server;

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Takes all events of one SMMU that are recorded now. Storms are looked for in the next turn.
    pub(crate) fn drain_recorded(&mut self, index: SmmuIndex) {
        let smmu = &mut self.smmus[index];
        if let Some(running) = &mut smmu.running
            && running.events.is_idle(&mut smmu.hardware)
        {
            return;
        }
        self.take_events(index, Share::Recorded);
    }

    pub(crate) fn take_events(&mut self, index: SmmuIndex, share: Share) {
        let smmu = &mut self.smmus[index];
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
                    .any(|stream| stream.stream_id == event.stream && index.has(stream));
                // Members of an alias set share a StreamID; whichever it was, the claimants learn it. One that is
                // not there shares it with what is there in its place.
                if !hit || device.is_absent() || (known && device.life().held_by().is_none()) {
                    continue;
                }
                let reaction = device.faults.record(&event, now, period);
                device.note_storm(reaction.storm);
                let owner = device.life().held_by();
                if reaction.tell
                    && let State::Claimed(owner) = device.life().state()
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

    pub(crate) fn tell_loss(&mut self, index: SmmuIndex, aborted: bool) {
        let smmu = &self.smmus[index];
        if smmu.lost.is_power_of_two() {
            // Each doubling is a line: a flood of losses is no flood of lines.
            self.system.log(Line::EventsLost {
                name: smmu.entry.name.as_str(),
                times: smmu.lost,
                aborted,
            });
        }
        for number in self.devices.all() {
            let here = self.smmu_of(number) == Some(index);
            let device = &mut self.devices[number];
            if let (true, State::Claimed(owner)) = (here, device.life().state()) {
                device.faults.note_loss();
                self.system.post_fault(TaskIndex::of(owner));
            }
        }
    }

    pub(crate) fn schedule(&mut self, index: SmmuIndex) {
        let smmu = &mut self.smmus[index];
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
}
