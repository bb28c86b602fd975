//! The server: its SMMUs, domains and devices.

use heapless::Vec;
use iommu_api::Error;
use pci_api::DeviceState;
use plan::iommu::{SmmuEntry, StreamEntry};

use crate::boot::{self, Refusal, Running};
use crate::fault_lines::FaultLines;
use crate::hardware::{Hardware, System};
use crate::limits::{DEVICES_MAX, DOMAINS_MAX, PINS_MAX, SMMUS_MAX};
use crate::log::Line;
use crate::ownership::{Device, State};
use crate::plan_view::PlanView;
use crate::queue::Broken;
use crate::space::{Run, Space};
use crate::stream;

/// One SMMU, in use or not.
pub(crate) struct Smmu<'p, H> {
    pub(crate) entry: &'p SmmuEntry,
    pub(crate) hardware: H,
    pub(crate) running: Option<Running>,
    /// Its records of faults that were lost.
    pub(crate) lost: u64,
    /// Its event queue has records for another turn.
    pub(crate) more: bool,
}

/// A mapped lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    pub(crate) device: usize,
    /// Entries of the domain's page part.
    pub(crate) run: Run,
    /// The kernel's name for it.
    pub(crate) slot: u32,
}

/// The server's core.
pub struct Server<'p, H, S> {
    pub(crate) plan: PlanView<'p>,
    pub(crate) smmus: Vec<Smmu<'p, H>, SMMUS_MAX>,
    pub(crate) spaces: Vec<Space, DOMAINS_MAX>,
    pub(crate) devices: Vec<Device<'p>, DEVICES_MAX>,
    pub(crate) pins: Vec<Pin, PINS_MAX>,
    /// What lies around it; the task's loop uses it too.
    pub system: S,
    pub(crate) lines: FaultLines,
    /// Interrupts whose cause is dealt with.
    pub(crate) unmask: u32,
    /// When the next turn is due.
    pub(crate) deadline: Option<u64>,
    pub(crate) new_deadline: Option<u64>,
    /// The PCI task has answered and the SMMUs were looked at.
    booted: bool,
}

impl<'p, H: Hardware, S: System> Server<'p, H, S> {
    /// A server of the planned SMMUs, none of them touched yet. `hardware` gives the accesses to each.
    pub fn new(
        plan: PlanView<'p>,
        system: S,
        hardware: impl FnMut(&'p SmmuEntry) -> H,
    ) -> Result<Self, Refusal> {
        let mut server = Self::empty(plan, system);
        server.populate(hardware)?;
        Ok(server)
    }

    /// A server that knows no device yet: what can be put in its place without a copy on the stack, on
    /// which a whole server does not fit.
    #[inline(always)]
    pub fn empty(plan: PlanView<'p>, system: S) -> Self {
        Self {
            plan,
            smmus: Vec::new(),
            spaces: Vec::new(),
            devices: Vec::new(),
            pins: Vec::new(),
            system,
            lines: FaultLines::default(),
            unmask: 0,
            deadline: None,
            new_deadline: None,
            booted: false,
        }
    }

    /// Fills an empty server from the plan.
    pub fn populate(
        &mut self,
        mut hardware: impl FnMut(&'p SmmuEntry) -> H,
    ) -> Result<(), Refusal> {
        let plan = self.plan;
        for entry in plan.smmus {
            let smmu = Smmu {
                entry,
                hardware: hardware(entry),
                running: None,
                lost: 0,
                more: false,
            };
            self.smmus.push(smmu).map_err(|_| Refusal::TooMany)?;
        }
        for domain in plan.domains {
            self.spaces
                .push(Space::new(domain))
                .map_err(|_| Refusal::TooMany)?;
        }
        // Handles of an earlier life of this server must not be taken for new ones.
        let generation = self
            .smmus
            .first_mut()
            .map_or(0, |smmu| (smmu.hardware.now() >> 8) & 0x3fff_ffff_ffff);
        for (index, entry) in plan.devices.iter().enumerate() {
            let pools = plan.first_pool(entry.owner);
            let device = Device::new(entry, index, plan.member(index), pools, generation);
            self.devices.push(device).map_err(|_| Refusal::TooMany)?;
        }
        Ok(())
    }

    /// Brings everything up: the PCI task's result first, because until it has turned bus mastering off and
    /// given out bus numbers nothing may be opened, then each SMMU, then what an earlier life left.
    /// Afterwards requests can be served, whatever the outcome.
    pub fn boot(&mut self) {
        let refused = match self.system.pci_status() {
            Ok(status) => status.refused,
            Err(_) => {
                self.refuse_all(Error::Unavailable);
                return;
            }
        };
        self.booted = true;
        self.find_standing(refused);
        let mut adopted = false;
        for index in 0..self.smmus.len() {
            adopted |= self.bring_up(index);
        }
        if self.is_refused() {
            self.forbid_standing();
        }
        self.judge_devices(refused || self.is_refused());
        self.adopt(adopted);
        self.stand_on();
        for smmu in 0..self.smmus.len() {
            self.drain(smmu);
        }
    }

    /// Whether the whole boot is refused because an SMMU is not the planned one: by the plan's policy no device on
    /// any other SMMU is given either.
    pub fn is_refused(&self) -> bool {
        let unlike =
            |smmu: &Smmu<'_, H>| smmu.running.is_none() && smmu.entry.refuse_on_mismatch != 0;
        self.booted && self.smmus.iter().any(unlike)
    }

    /// The PCI task is up again. Its new life began with bus mastering off everywhere: what was on goes on
    /// again, and what was being made quiet begins anew.
    pub fn on_pci_up(&mut self) {
        if !self.booted {
            self.boot();
            return;
        }
        for index in 0..self.devices.len() {
            let active = self
                .devices
                .get(index)
                .is_some_and(|device| matches!(device.state, State::Claimed(_)) && device.open);
            if active && self.system.bus_master(index as u32, true).is_err() {
                self.revoke(index);
            }
        }
        self.stand_on();
        self.on_quiesced();
    }

    fn refuse_all(&mut self, error: Error) {
        for device in &mut self.devices {
            device.unusable = Some(error);
        }
        for smmu in &self.smmus {
            self.system.log(Line::SmmuRefused {
                name: smmu.entry.name.as_str(),
                why: Refusal::NoPci,
            });
        }
    }

    fn bring_up(&mut self, index: usize) -> bool {
        let Some(smmu) = self.smmus.get_mut(index) else {
            return false;
        };
        let name = smmu.entry.name.as_str();
        let devices = &self.devices;
        let may_stand = |device: usize| devices.get(device).is_some_and(|device| device.may_stand);
        match boot::bring_up(&mut smmu.hardware, &self.plan, index, may_stand) {
            Ok(running) => {
                let standing = devices.iter().filter(|device| device.may_stand);
                self.system.log(Line::Smmu {
                    name,
                    features: &running.features,
                    reset_bypass_closed: running.reset_bypass_closed,
                    adopted: running.adopted,
                    standing: standing.count(),
                });
                self.unmask |= smmu.entry.event_interrupt | smmu.entry.error_interrupt;
                let adopted = running.adopted;
                smmu.running = Some(running);
                adopted
            }
            Err(why) => {
                self.system.log(Line::SmmuRefused { name, why });
                false
            }
        }
    }

    /// Which devices can be claimed: those with an owner, a domain that is not blocked, on an SMMU that
    /// runs, and found by the PCI task as planned.
    fn judge_devices(&mut self, boot_refused: bool) {
        for index in 0..self.devices.len() {
            let Some(entry) = self.plan.devices.get(index) else {
                continue;
            };
            let (unusable, absent) = self.judge(index, boot_refused);
            if let Some(device) = self.devices.get_mut(index) {
                device.unusable = unusable;
                device.absent = absent;
            }
            let streams = self.plan.streams_of(entry);
            if entry.owner != plan::NONE || unusable.is_none() {
                self.system.log(Line::Device {
                    name: entry.name.as_str(),
                    device: index,
                    stream: streams.first().map_or(0, |stream| stream.stream_id),
                    owner: entry.owner,
                    usable: unusable.is_none(),
                    absent,
                });
            }
            self.list_direct(index);
        }
    }

    /// Why a device can never be claimed, and whether it is absent as the plan allows.
    fn judge(&mut self, index: usize, boot_refused: bool) -> (Option<Error>, bool) {
        let blocked = (Some(Error::Blocked), false);
        let Some(entry) = self.plan.devices.get(index) else {
            return blocked;
        };
        let Some((_, domain)) = self.plan.domain_of(entry) else {
            return blocked;
        };
        if entry.owner == plan::NONE || entry.stream_count == 0 {
            return blocked;
        }
        let found = self.system.pci_describe(index as u32);
        let absent = found.is_ok_and(|found| found.state == DeviceState::Absent);
        let smmu = self.smmus.get(domain.smmu as usize);
        let runs = smmu.is_some_and(|smmu| smmu.running.is_some());
        let unusable = match found {
            Ok(found) if runs && !boot_refused && found.state == DeviceState::Ready => None,
            Ok(_) if runs => Some(Error::Blocked),
            Ok(_) | Err(_) => Some(Error::Unavailable),
        };
        (unusable, absent)
    }

    /// A request on the device's SMMU. The parts are borrowed apart so that they can be used together.
    #[inline(always)]
    pub(crate) fn parts(&mut self, device: usize) -> Option<Parts<'_, 'p, H, S>> {
        let device = self.devices.get_mut(device)?;
        let space = self.spaces.get_mut(device.entry.domain as usize)?;
        let smmu = self.smmus.get_mut(space.smmu)?;
        let running = smmu.running.as_mut()?;
        Some(Parts {
            device,
            space,
            hardware: &mut smmu.hardware,
            running,
            pins: &mut self.pins,
            system: &mut self.system,
        })
    }

    /// Opens a device's streams to its domain.
    pub(crate) fn open(&mut self, device: usize) -> Result<(), Broken> {
        let plan = self.plan;
        let Some(parts) = self.parts(device) else {
            return Err(Broken);
        };
        let Some(word) = plan.open_word(parts.device.entry) else {
            return Err(Broken);
        };
        let streams = plan.streams_of(parts.device.entry);
        parts.device.open = true;
        parts.device.opened = true;
        let opened = stream::open(
            parts.hardware,
            &mut parts.running.queue,
            streams.iter().map(|s| (s.stream_id, s.entry)),
            word,
            parts.space.asid,
        );
        self.doubt_ungated(device);
        opened
    }

    /// Closes a device's streams; those that another device uses too, open or standing, only if `shared`
    /// says so.
    pub(crate) fn close(&mut self, device: usize, shared: bool) -> Result<(), Broken> {
        let plan = self.plan;
        let Some(entry) = plan.devices.get(device) else {
            return Ok(());
        };
        let own = plan.streams_of(entry);
        let mut in_use: Vec<u32, 64> = Vec::new();
        if !shared {
            let devices = self.devices.iter().enumerate();
            let others =
                devices.filter(|&(index, other)| index != device && (other.open || other.standing));
            // Of another domain is an alternative of the same hotplug slot.
            for stream in others.flat_map(|(_, other)| plan.streams_of(other.entry)) {
                let same = |own: &StreamEntry| {
                    (own.smmu, own.stream_id) == (stream.smmu, stream.stream_id)
                };
                if own.iter().any(same) {
                    // A set that is full means that more may be in use than is noted: then a stream is
                    // closed that another device needs, which is safe.
                    let _ = in_use.push(stream.stream_id);
                }
            }
        }
        let Some(parts) = self.parts(device) else {
            return Ok(());
        };
        parts.device.closed();
        let asid = parts.space.asid;
        let streams = own
            .iter()
            .filter(|stream| !in_use.contains(&stream.stream_id))
            .map(|stream| (stream.stream_id, stream.entry));
        let closed = stream::close(parts.hardware, &mut parts.running.queue, streams, asid);
        let smmu = parts.space.smmu;
        // What the closed streams are blamed for is recorded by now: it is for whoever had them until now.
        self.drain_recorded(smmu);
        closed
    }
}

/// What a request on one device works with.
pub(crate) struct Parts<'a, 'p, H, S> {
    pub(crate) device: &'a mut Device<'p>,
    pub(crate) space: &'a mut Space,
    pub(crate) hardware: &'a mut H,
    pub(crate) running: &'a mut Running,
    pub(crate) pins: &'a mut Vec<Pin, PINS_MAX>,
    pub(crate) system: &'a mut S,
}
