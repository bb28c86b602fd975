//! The server: its SMMUs, domains and devices.

use iommu_api::{DeviceRequest, Error, Window};
use plan::iommu::SmmuEntry;
use userlib::protocol::Wire;

use crate::boot::Running;
use crate::boot_refusal::Refusal;
use crate::device::Device;
use crate::devices::Devices;
use crate::fault_lines::FaultLines;
use crate::hardware::{Hardware, System};
use crate::indices::{DeviceIndex, DomainIndex, SmmuIndex};
use crate::kept::Kept;
use crate::lent::LentPools;
use crate::life::Life;
use crate::log::Line;
use crate::message::Request;
use crate::plan_view::PlanView;
use crate::refusals::Refusals;
use crate::slot::Slot;
use crate::smmus::{Smmu, Smmus};
use crate::space::Space;
use crate::spaces::Spaces;

/// The server's core.
///
/// In this order: what every request needs lies before the long tables, where one instruction reaches it.
#[repr(C)]
pub struct Server<'p, H, S> {
    pub(crate) plan: PlanView<'p>,
    pub(crate) smmus: Smmus<'p, H>,
    pub(crate) spaces: Spaces,
    pub(crate) devices: Devices<'p>,
    /// The system around the server; the task's loop uses it too.
    pub system: S,
    pub(crate) lines: FaultLines,
    /// Claims of devices that do not exist.
    pub(crate) refusals: Refusals,
    /// Interrupts whose cause is dealt with.
    pub(crate) unmask: u32,
    /// When the next turn is due.
    pub(crate) deadline: Option<u64>,
    pub(crate) new_deadline: Option<u64>,
    /// The request that was served last is to be served once more: what was in its way is flushed.
    pub(crate) anew: bool,
    pub(crate) kept: Kept,
}

impl<'p, H: Hardware, S: System> Server<'p, H, S> {
    /// A server of the planned SMMUs, none of them touched yet. `hardware` gives the accesses to each.
    pub fn new(
        plan: PlanView<'p>,
        system: S,
        mut hardware: impl FnMut(&'p SmmuEntry) -> H,
    ) -> Result<Self, Refusal> {
        let mut server = Self::empty(plan, system, &mut hardware);
        server.populate(hardware)?;
        Ok(server)
    }

    /// A server that knows the first SMMU and no device yet: what can be put in its place without a copy on the
    /// stack, on which a whole server does not fit.
    #[inline(always)]
    pub fn empty(plan: PlanView<'p>, system: S, hardware: impl FnOnce(&'p SmmuEntry) -> H) -> Self {
        let first = plan.smmu(SmmuIndex::FIRST);
        Self {
            plan,
            smmus: Smmus::new(Smmu::new(first, hardware(first))),
            spaces: Spaces::new(),
            devices: Devices::new(),
            system,
            lines: FaultLines::default(),
            refusals: Refusals::NONE,
            unmask: 0,
            deadline: None,
            new_deadline: None,
            anew: false,
            kept: Kept::new(),
        }
    }

    /// Fills an empty server from the plan. `hardware` gives the accesses to each SMMU but the first.
    pub fn populate(
        &mut self,
        mut hardware: impl FnMut(&'p SmmuEntry) -> H,
    ) -> Result<(), Refusal> {
        let plan = self.plan;
        for entry in plan.smmus.iter().skip(1) {
            if !self.smmus.add(Smmu::new(entry, hardware(entry))) {
                return Err(Refusal::TooMany);
            }
        }
        for domain in plan.domains {
            if !self.spaces.add(domain) {
                return Err(Refusal::TooMany);
            }
        }
        // Handles of an earlier life of this server must not be taken for new ones, so each life counts on from the
        // time, in units of 256 ticks: a claim that makes its device quiet takes longer, so that a life does not
        // use up numbers faster than its successor's beginning moves on. Of a handle's 48 bits the beginning has 46;
        // the rest is room to count in.
        let now = self.smmus[SmmuIndex::FIRST].hardware.now();
        let generation = (now >> 8) & 0x3fff_ffff_ffff;
        for (index, entry) in plan.indexed_devices() {
            let member = plan.member(index);
            let claimable = plan.domain_of(entry).filter(|_| entry.owner != plan::NONE);
            let slot = claimable.map(|domain| {
                let (number, pools) = (self.devices.next_slot(), plan.pools_of(entry.owner));
                Slot::new(
                    number,
                    index,
                    domain,
                    (member, entry.pins),
                    pools,
                    generation,
                )
            });
            let number = slot.map_or(0, |slot| slot.handle().slot() as u16);
            let device = Device::new(entry, index, member, number);
            if !self.devices.add(index, device, slot) {
                return Err(Refusal::TooMany);
            }
            self.devices.note_neighbours(&plan, index);
        }
        Ok(())
    }

    /// Whether each device is in a combination of [`crate::life`] that may last until the next event.
    pub fn is_at_rest(&self) -> bool {
        let mut devices = self.devices.iter();
        devices.all(|(_, device)| device.life().is_at_rest())
    }

    /// Whether each slot is as the life of its device says: requests of the claim that there is are served, and of no
    /// other, from the moment at which it is open until it is cut off.
    pub fn slots_follow(&self) -> bool {
        self.devices.iter().all(|(index, device)| {
            let (slot, life) = (self.devices.slot(index), device.life());
            let open = life
                .claimant()
                .filter(|_| life.is_open() && !life.is_revoked());
            let own = slot.device() == index || device.slot() == 0;
            own && slot.served().map(|_| slot.user()) == open
        })
    }

    /// The life of a device.
    pub fn life(&self, index: DeviceIndex) -> &Life {
        self.devices[index].life()
    }

    /// The slot of a device.
    pub fn slot(&self, index: DeviceIndex) -> &Slot {
        self.devices.slot(index)
    }

    /// What the streams of a device work with, if its SMMU runs.
    pub(crate) fn behind(&mut self, device: DeviceIndex) -> Option<Behind<'_, H>> {
        let domain = self.devices[device].domain()?;
        let space = self.spaces.get_mut(domain)?;
        let smmu = &mut self.smmus[space.smmu];
        Some(Behind {
            running: smmu.running.as_mut()?,
            hardware: &mut smmu.hardware,
            space,
        })
    }

    /// What a request on a device works with, if its SMMU runs.
    pub(crate) fn parts(&mut self, device: DeviceIndex) -> Option<Parts<'_, H, S>> {
        let slot = self.devices.slot_mut(device)?;
        let (spaces, smmus) = (&mut self.spaces, &mut self.smmus);
        Parts::of(slot, spaces, smmus, &mut self.kept, &mut self.system)
    }

    pub(crate) fn name(&self, index: DeviceIndex) -> plan::Name {
        self.devices[index].entry().name
    }

    /// The SMMU that a device is behind.
    pub(crate) fn smmu_of(&self, index: DeviceIndex) -> Option<SmmuIndex> {
        let (_, domain) = self.plan.domain_of(self.devices[index].entry())?;
        Some(SmmuIndex::of(domain))
    }

    /// Whether the SMMU of a device is as an earlier life of this server left it.
    pub(crate) fn is_adopted(&self, index: DeviceIndex) -> bool {
        let smmu = self.smmu_of(index);
        let running = smmu.and_then(|smmu| self.smmus[smmu].running.as_ref());
        running.is_some_and(|running| running.adopted)
    }

    /// Whether a device's streams translate. A shared stream alone may be another's.
    pub(crate) fn translates(&mut self, index: DeviceIndex) -> bool {
        let plan = self.plan;
        let entry = self.devices[index].entry();
        let (Some((_, domain)), Some(word)) = (plan.domain_of(entry), plan.open_word(entry)) else {
            return false;
        };
        let smmu = &mut self.smmus[SmmuIndex::of(domain)];
        smmu.running.is_some()
            && plan
                .streams_of(entry)
                .iter()
                .all(|stream| smmu.hardware.load(stream.entry) == word)
    }

    /// Whether nothing is opened to a device's domain any more.
    pub(crate) fn is_distrusted(&self, index: DeviceIndex) -> bool {
        let domain = self.devices[index].domain();
        let space = domain.and_then(|domain| self.spaces.get(domain));
        space.is_some_and(|space| space.altered)
    }

    /// The tables that translate for a domain are not what this server could have written: nothing is opened to it
    /// any more, in this life of the server.
    pub(crate) fn distrust(&mut self, domain: DomainIndex, what: &'static str) {
        let Some(space) = self.spaces.get_mut(domain) else {
            return;
        };
        if core::mem::replace(&mut space.altered, true) {
            return;
        }
        let mut devices = self.plan.devices.iter();
        let device = devices.find(|device| DomainIndex::of(device) == Some(domain));
        self.system.log(Line::Altered {
            name: device.map_or("", |device| device.name.as_str()),
            what,
        });
    }

    /// An SMMU is not used, in this life of the server.
    pub(crate) fn refuse(&mut self, index: SmmuIndex, why: Refusal) {
        let smmu = &mut self.smmus[index];
        smmu.refused = true;
        let name = smmu.entry.name.as_str();
        self.system.log(Line::SmmuRefused { name, why });
    }

    /// The IOVAs of a device's domain; none if it has no domain.
    pub(crate) fn window(&self, index: DeviceIndex) -> Window {
        let domain = self.devices[index].domain();
        let space = domain.and_then(|domain| self.spaces.get(domain));
        space.map_or_else(Window::default, Space::window)
    }

    pub(crate) fn device_of(
        &self,
        request: &Request<'_>,
        reply: usize,
    ) -> Result<DeviceIndex, Error> {
        request.shape(DeviceRequest::LEN, reply)?;
        let DeviceRequest { device } =
            DeviceRequest::from_words(&request.payload).ok_or(Error::Malformed)?;
        let found = self.devices.find(device as usize);
        found.ok_or(Error::NoSuchDevice)
    }

    /// Logs a command that the SMMU refused.
    pub(crate) fn note_refused(&mut self, index: SmmuIndex) {
        let smmu = &mut self.smmus[index];
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

    /// Now, in ticks.
    pub(crate) fn now(&mut self) -> u64 {
        self.smmus[SmmuIndex::FIRST].hardware.now()
    }

    /// The end of a time that begins now, in ticks.
    pub(crate) fn end_of(&mut self, nanoseconds: u64) -> u64 {
        let hardware = &mut self.smmus[SmmuIndex::FIRST].hardware;
        let ticks = hardware.ticks(nanoseconds);
        hardware.now().saturating_add(ticks)
    }

    pub(crate) fn wake_at(&mut self, due: u64) {
        if self.deadline.is_none_or(|other| due < other) {
            self.deadline = Some(due);
            self.new_deadline = Some(due);
        }
    }
}

/// What the streams of one device work with.
pub(crate) struct Behind<'a, H> {
    pub(crate) space: &'a mut Space,
    pub(crate) hardware: &'a mut H,
    pub(crate) running: &'a mut Running,
}

/// The parts of the server that a request on one device works with, borrowed apart so that they can be used together.
pub(crate) struct Parts<'a, H, S> {
    pub(crate) slot: &'a mut Slot,
    pub(crate) space: &'a mut Space,
    pub(crate) hardware: &'a mut H,
    pub(crate) running: &'a mut Running,
    pub(crate) kept: &'a mut Kept,
    pub(crate) system: &'a mut S,
}

/// What a request that maps works with.
pub(crate) struct Target<'a, H> {
    pub(crate) slot: &'a mut Slot,
    pub(crate) space: &'a mut Space,
    pub(crate) hardware: &'a mut H,
    pub(crate) lent: &'a LentPools,
}

impl<'a, H, S> Parts<'a, H, S> {
    /// What a request on a slot works with, if its SMMU runs.
    #[inline(always)]
    pub(crate) fn of(
        slot: &'a mut Slot,
        spaces: &'a mut Spaces,
        smmus: &'a mut Smmus<'_, H>,
        kept: &'a mut Kept,
        system: &'a mut S,
    ) -> Option<Self> {
        let space = spaces.get_mut(slot.domain())?;
        let smmu = &mut smmus[space.smmu];
        Some(Self {
            slot,
            hardware: &mut smmu.hardware,
            running: smmu.running.as_mut()?,
            space,
            kept,
            system,
        })
    }

    /// What of it a request that maps works with.
    #[inline(always)]
    pub(crate) fn target(&mut self) -> Target<'_, H> {
        Target {
            slot: self.slot,
            space: self.space,
            hardware: self.hardware,
            lent: &self.kept.lent,
        }
    }
}
