//! The server: its SMMUs, domains and devices.

use heapless::Vec;
use plan::iommu::{SmmuEntry, StreamEntry};
use smmu::Features;

use crate::boot::{Refusal, Running};
use crate::device::Device;
use crate::fault_lines::FaultLines;
use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, Devices};
use crate::limits::{DOMAINS_MAX, MAPPED_LEASES_MAX, SMMUS_MAX};
use crate::plan_view::PlanView;
use crate::queue::Broken;
use crate::refusals::Refusals;
use crate::space::{Run, Space};
use crate::stream;

/// One SMMU, in use or not.
pub(crate) struct Smmu<'p, H> {
    pub(crate) entry: &'p SmmuEntry,
    pub(crate) hardware: H,
    pub(crate) running: Option<Running>,
    /// What it can do, if it can be used and has to be brought up.
    pub(crate) usable: Option<Features>,
    /// It was looked at and cannot be used: nothing more is tried with it in this life of the server.
    pub(crate) refused: bool,
    /// Its records of faults that were lost.
    pub(crate) lost: u64,
    /// Its event queue has records for another turn.
    pub(crate) more: bool,
}

/// A mapped lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    pub(crate) device: DeviceIndex,
    /// Entries of the domain's page part.
    pub(crate) run: Run,
    /// The kernel's name for it.
    pub(crate) slot: u32,
}

/// The server's core.
///
/// In this order: what every request needs lies before the long tables, where one instruction reaches it.
#[repr(C)]
pub struct Server<'p, H, S> {
    pub(crate) plan: PlanView<'p>,
    pub(crate) smmus: Vec<Smmu<'p, H>, SMMUS_MAX>,
    pub(crate) spaces: Vec<Space, DOMAINS_MAX>,
    pub(crate) devices: Devices<'p>,
    pub(crate) pins: Vec<Pin, MAPPED_LEASES_MAX>,
    /// What lies around it; the task's loop uses it too.
    pub system: S,
    pub(crate) lines: FaultLines,
    /// Claims of devices that do not exist.
    pub(crate) refusals: Refusals,
    /// Interrupts whose cause is dealt with.
    pub(crate) unmask: u32,
    /// When the next turn is due.
    pub(crate) deadline: Option<u64>,
    pub(crate) new_deadline: Option<u64>,
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
            devices: Devices::new(),
            pins: Vec::new(),
            system,
            lines: FaultLines::default(),
            refusals: Refusals::NONE,
            unmask: 0,
            deadline: None,
            new_deadline: None,
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
                usable: None,
                refused: false,
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
        for (index, entry) in plan.indexed_devices() {
            let (member, pools) = (plan.member(index), plan.first_pool(entry.owner));
            let device = Device::new(entry, index, member, pools, generation);
            if !self.devices.add(index, device) {
                return Err(Refusal::TooMany);
            }
        }
        Ok(())
    }

    /// Whether each device is in a combination of [`crate::life`] that may last until the next event.
    pub fn is_at_rest(&self) -> bool {
        let mut devices = self.devices.iter();
        devices.all(|(_, device)| device.life.is_at_rest())
    }

    /// A request on the device's SMMU. The parts are borrowed apart so that they can be used together.
    pub(crate) fn parts(&mut self, device: DeviceIndex) -> Option<Parts<'_, 'p, H, S>> {
        let (devices, others) = self.split();
        others.parts(&mut devices[device])
    }

    /// The devices apart from what a request on one of them needs beside it.
    #[inline(always)]
    pub(crate) fn split(&mut self) -> (&mut Devices<'p>, Others<'_, 'p, H, S>) {
        let others = Others {
            spaces: &mut self.spaces,
            smmus: &mut self.smmus,
            pins: &mut self.pins,
            system: &mut self.system,
        };
        (&mut self.devices, others)
    }

    /// Opens a device's streams to its domain.
    pub(crate) fn open(&mut self, device: DeviceIndex) -> Result<(), Broken> {
        let plan = self.plan;
        let Some(parts) = self.parts(device) else {
            return Err(Broken);
        };
        let Some(word) = plan.open_word(parts.device.entry()) else {
            return Err(Broken);
        };
        let streams = plan.streams_of(parts.device.entry());
        parts.device.life.opening();
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
    pub(crate) fn close(&mut self, device: DeviceIndex, shared: bool) -> Result<(), Broken> {
        let plan = self.plan;
        let entry = self.devices[device].entry();
        let own = plan.streams_of(entry);
        let mut in_use: Vec<(u32, u32), 64> = Vec::new();
        if !shared {
            let others = self
                .devices
                .iter()
                .filter(|&(index, other)| index != device && other.life.reaches_memory());
            // Of another domain is an alternative of the same hotplug slot.
            for stream in others.flat_map(|(_, other)| plan.streams_of(other.entry())) {
                let same = |own: &StreamEntry| {
                    (own.smmu, own.stream_id) == (stream.smmu, stream.stream_id)
                };
                if own.iter().any(same) {
                    // A set that is full means that more may be in use than is noted: then a stream is
                    // closed that another device needs, which is safe.
                    let _ = in_use.push((stream.smmu, stream.stream_id));
                }
            }
        }
        let Some(parts) = self.parts(device) else {
            return Ok(());
        };
        parts.device.life.closed();
        let asid = parts.space.asid;
        let streams = own
            .iter()
            .filter(|stream| !in_use.contains(&(stream.smmu, stream.stream_id)))
            .map(|stream| (stream.stream_id, stream.entry));
        let closed = stream::close(parts.hardware, &mut parts.running.queue, streams, asid);
        let smmu = parts.space.smmu;
        // What the closed streams are blamed for is recorded by now: it is for whoever had them until now.
        self.drain_recorded(smmu);
        closed
    }
}

/// What there is beside the devices.
pub(crate) struct Others<'a, 'p, H, S> {
    spaces: &'a mut Vec<Space, DOMAINS_MAX>,
    smmus: &'a mut Vec<Smmu<'p, H>, SMMUS_MAX>,
    pins: &'a mut Vec<Pin, MAPPED_LEASES_MAX>,
    system: &'a mut S,
}

impl<'a, 'p, H, S> Others<'a, 'p, H, S> {
    /// What a request on this device works with, if its SMMU runs.
    #[inline(always)]
    pub(crate) fn parts(self, device: &'a mut Device<'p>) -> Option<Parts<'a, 'p, H, S>> {
        let space = self.spaces.get_mut(device.entry().domain as usize)?;
        let smmu = self.smmus.get_mut(space.smmu)?;
        let running = smmu.running.as_mut()?;
        Some(Parts {
            device,
            space,
            hardware: &mut smmu.hardware,
            running,
            pins: self.pins,
            system: self.system,
        })
    }
}

/// What a request on one device works with.
pub(crate) struct Parts<'a, 'p, H, S> {
    pub(crate) device: &'a mut Device<'p>,
    pub(crate) space: &'a mut Space,
    pub(crate) hardware: &'a mut H,
    pub(crate) running: &'a mut Running,
    pub(crate) pins: &'a mut Vec<Pin, MAPPED_LEASES_MAX>,
    pub(crate) system: &'a mut S,
}
