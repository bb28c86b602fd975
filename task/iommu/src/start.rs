//! Starting, and starting again with each life of the PCI task.
//!
//! What an earlier life of this server left is taken over first, by the SMMU and the kernel alone: whoever died is
//! cut off whether or not there is a PCI task. Only what is opened needs its word.

use iommu_api::Error;
use pci_api::DeviceState;

use crate::boot::{self, Found, Running};
use crate::boot_refusal::Refusal;
use crate::device::Judgement;
use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, SmmuIndex, TaskIndex};
use crate::life::State;
use crate::log::{DeviceLine, Line, SmmuLine};
use crate::server::Server;
use crate::why::Why;

/// The judgement of a device that nobody can claim.
const BLOCKED: Judgement = Judgement {
    unusable: Some(Why::ByPlan),
    absent: false,
};

impl<H: Hardware, S: System> Server<'_, H, S> {
    /// Takes over what an earlier life left, and brings everything up if the PCI task answers; until it does
    /// nothing is opened. Afterwards requests can be served, whatever the outcome.
    pub fn boot(&mut self) {
        self.take_over();
        self.follow_pci();
        for smmu in self.smmus.all() {
            self.drain(smmu);
        }
    }

    /// Whether the whole boot is refused because an SMMU is not the planned one: by the plan's policy no device on
    /// any other SMMU is given either.
    pub fn is_refused(&self) -> bool {
        let mut smmus = self.smmus.iter();
        smmus.any(|smmu| smmu.refused && smmu.entry.refuse_on_mismatch != 0)
    }

    fn take_over(&mut self) {
        for index in self.smmus.all() {
            let smmu = &mut self.smmus[index];
            // Before anything is judged: who brings a board up wants to see those of an SMMU that is refused.
            let registers = boot::identification(&mut smmu.hardware);
            let name = smmu.entry.name.as_str();
            self.system.log(Line::Identification { name, registers });
            match boot::take_over(&mut smmu.hardware, &self.plan, index) {
                Ok(Found::Running(running)) => self.runs(index, running),
                Ok(Found::Other(features)) => smmu.usable = Some(features),
                Err(why) => self.refuse(index, why),
            }
        }
        self.adopt();
    }

    /// The PCI task is up, for the first time or again. Each of its lives finds out anew what there is; it leaves on
    /// what was on and still is as planned, and does not know who has it. So what is claimed goes on if it is still
    /// on; if it is not, it lost its state and with it what was under way, and is revoked, so that its claimant hears
    /// of it. What nobody has or is not as planned any more is cut off, and what was being made quiet begins
    /// anew. If it is gone again already, its next life is told of in the same way; and so is that there will be none:
    /// then nothing that waits for it becomes quiet, and who waits gets an answer.
    pub fn on_pci_up(&mut self) {
        self.follow_pci();
        self.on_quiesced();
    }

    fn follow_pci(&mut self) {
        let Ok(status) = self.system.pci_status() else {
            self.miss_pci();
            return;
        };
        self.find_always_open(status.refused);
        for index in self.smmus.all() {
            self.bring_up(index);
        }
        let refused = self.is_refused();
        if refused {
            self.forbid_always_open();
        }
        self.judge_devices(status.refused || refused);
        self.judge_presumed();
        for index in self.devices.all() {
            self.go_on_with(index);
        }
        self.restore_bus_mastering();
    }

    fn miss_pci(&mut self) {
        for smmu in self.smmus.iter() {
            if smmu.running.is_none() && !smmu.refused {
                self.system.log(Line::SmmuRefused {
                    name: smmu.entry.name.as_str(),
                    why: Refusal::NoPci,
                });
            }
        }
    }

    /// Turns an SMMU on that is not, and that nothing is known against.
    fn bring_up(&mut self, index: SmmuIndex) {
        let may_be_always_open = self
            .devices
            .those(|device| device.life().may_be_always_open());
        let may_be_always_open = |device| may_be_always_open.contains(device);
        let smmu = &mut self.smmus[index];
        let Some(features) = smmu.usable.take_if(|_| !smmu.refused) else {
            return;
        };
        match boot::bring_up(
            &mut smmu.hardware,
            &self.plan,
            index,
            features,
            may_be_always_open,
        ) {
            Ok(running) => {
                self.runs(index, running);
                self.note_always_open(index);
            }
            Err(why) => self.refuse(index, why),
        }
    }

    /// Notes what is always open since an SMMU was turned on, by the image's stream table.
    fn note_always_open(&mut self, smmu: SmmuIndex) {
        for index in self.devices.all() {
            let may_be_always_open = self.devices[index].life().may_be_always_open();
            let always_open =
                may_be_always_open && self.smmu_of(index) == Some(smmu) && self.translates(index);
            if always_open {
                self.devices.life_mut(index).always_opened();
            }
        }
    }

    fn runs(&mut self, index: SmmuIndex, running: Running) {
        let smmu = &mut self.smmus[index];
        let always_open = self
            .devices
            .those(|device| device.life().may_be_always_open());
        self.system.log(Line::Smmu(SmmuLine {
            name: smmu.entry.name.as_str(),
            features: &running.features,
            reset_bypass_closed: running.reset_bypass_closed,
            adopted: running.adopted,
            always_open: always_open.count(),
        }));
        self.unmask |= smmu.entry.event_interrupt | smmu.entry.error_interrupt;
        let altered = running.altered;
        smmu.running = Some(running);
        for domain in self.spaces.all() {
            if domain.is_in(altered.domains) {
                self.distrust(domain, "stream table entry, context descriptor or table");
            }
        }
        for _ in 0..altered.strays.min(1) {
            self.system.log(Line::Altered {
                name: "a stream that the plan does not have",
                what: "stream table entry",
            });
        }
    }

    /// Which devices can be claimed: those with an owner, a domain that is not blocked, on an SMMU that
    /// runs, and found by the PCI task as planned.
    fn judge_devices(&mut self, boot_refused: bool) {
        for index in self.devices.all() {
            let (judgement, on) = self.judge(index, boot_refused);
            let (first, news) = self.devices[index].judge(judgement, on);
            if news {
                self.list(index);
            }
            if first {
                self.list_direct(index);
            }
        }
    }

    /// Lists a device for people.
    fn list(&mut self, index: DeviceIndex) {
        let device = &self.devices[index];
        let usable = device.unusable().is_none();
        if device.entry().owner == plan::NONE && !usable {
            return;
        }
        let streams = self.plan.streams_of(device.entry());
        self.system.log(Line::Device(DeviceLine {
            name: device.entry().name.as_str(),
            device: index.number(),
            stream: streams.first().map_or(0, |stream| stream.stream_id),
            owner: device.entry().owner,
            usable,
            absent: device.is_absent(),
        }));
    }

    /// Asks the PCI task's life for its judgement of a device, and whether the device is bus
    /// master.
    fn judge(&mut self, index: DeviceIndex, boot_refused: bool) -> (Judgement, bool) {
        let entry = self.devices[index].entry();
        let Some((_, domain)) = self.plan.domain_of(entry) else {
            return (BLOCKED, false);
        };
        if entry.owner == plan::NONE || entry.stream_count == 0 {
            return (BLOCKED, false);
        }
        let found = self.system.pci_describe(index);
        let runs = self.smmus[SmmuIndex::of(domain)].running.is_some();
        let unusable = match found {
            _ if self.is_distrusted(index) => Some(Why::Altered),
            Ok(_) if !runs => Some(Why::NoSmmu),
            Ok(found) => match found.state {
                _ if boot_refused => Some(Why::BootRefused),
                DeviceState::Ready => None,
                DeviceState::Absent => Some(Why::Absent),
                DeviceState::Blocked => Some(Why::NotAsPlanned),
            },
            // Judged again when the PCI task's next life is up.
            Err(_) => Some(Why::NoPci),
        };
        let judgement = Judgement {
            unusable,
            absent: found.is_ok_and(|found| found.state == DeviceState::Absent),
        };
        (judgement, found.is_ok_and(|found| found.bus_master))
    }

    /// Lets a device go on with a new life of the PCI task.
    fn go_on_with(&mut self, index: DeviceIndex) {
        let device = &self.devices[index];
        let free = device.life().state() == State::Free;
        if let (State::Claimed(owner), true) = (device.life().state(), device.life().is_open()) {
            let blocked = device
                .unusable()
                .is_some_and(|why| why.error() == Error::Blocked);
            if blocked {
                self.revoke(index);
            } else if self.still_master(index) == Some(false) {
                self.note_lost(index, TaskIndex::of(owner));
                self.revoke(index);
            }
        } else if device.life().is_always_open() && !device.life().may_be_always_open() && free {
            let _ = self.end_always_open(index);
        } else if !device.life().is_always_open() && device.life().may_be_on() {
            // Also what waits to be made quiet: while it is on, no reset is begun that takes it along.
            let _ = self.system.bus_master(index, false);
        }
    }

    /// Says that a device was not as it had been left when the PCI task came back.
    pub(crate) fn note_lost(&mut self, index: DeviceIndex, owner: TaskIndex) {
        let name = self.name(index);
        self.system.log(Line::StateLost {
            name: name.as_str(),
            owner: owner.number(),
        });
    }
}
