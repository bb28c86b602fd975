//! The tables of the devices and of the claim slots.

use core::ops::{Index, IndexMut};

use abi::TaskId;
use heapless::Vec;
use iommu_api::{Handle, Sequenced};

use crate::device::{Device, LifeMut};
use crate::indices::{DeviceIndex, DeviceSet};
use crate::limits::{DEVICES_MAX, SLOTS_MAX};
use crate::plan_view::PlanView;
use crate::slot::Slot;

/// The devices of the plan.
///
/// A look-up neither fails nor panics: an index is of a device of this table, as only the table and its plan make
/// them. For the compiler, which does not know that, there is one device more, which the plan does not have and which
/// is in no set.
///
/// The fields keep this order, the set first. It is written by itself, and so parts the spare device from the table
/// that the server has before this one. Without that, the compiler takes that table, which is still empty, and the
/// spare device for one piece: it makes both on the stack, which takes 12 KiB of it, and copies them.
#[repr(C)]
pub(crate) struct Devices<'p> {
    all: DeviceSet,
    nobodys: Device<'p>,
    table: Vec<Device<'p>, DEVICES_MAX>,
    /// By number, of which the first is nobody's.
    slots: Vec<Slot, SLOTS_MAX>,
}

impl<'p> Devices<'p> {
    /// No device yet.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            table: Vec::new(),
            nobodys: Device::NOBODYS,
            all: DeviceSet::EMPTY,
            slots: Vec::new(),
        }
    }

    /// The number of the next slot that is made, of which the first is nobody's.
    pub(crate) fn next_slot(&mut self) -> u16 {
        if self.slots.is_empty() {
            // There is room in a table without a slot.
            let _ = self.slots.push(Slot::FIRST);
        }
        self.slots.len() as u16
    }

    /// Adds the next device of the plan, with its slot if it can be claimed; false if it is another one, or if there is
    /// no room.
    pub(crate) fn add(
        &mut self,
        index: DeviceIndex,
        device: Device<'p>,
        slot: Option<Slot>,
    ) -> bool {
        let domain = device.entry().domain;
        let sharers = self.those(|other| domain != plan::NONE && other.entry().domain == domain);
        let slotted = slot.is_none_or(|slot| {
            slot.handle().slot() == self.slots.len() && self.slots.push(slot).is_ok()
        });
        let next = index.number() as usize == self.table.len();
        let added = slotted && next && self.table.push(device).is_ok();
        if added {
            self.all.insert(index);
            self[index].share_with(sharers);
            for other in sharers {
                self[other].share_with(index.set());
            }
        }
        added
    }

    /// Finds the devices before one that use a stream of it.
    pub(crate) fn note_neighbours(&mut self, plan: &PlanView<'p>, index: DeviceIndex) {
        let entry = self[index].entry();
        let uses = |other: &Device<'p>| plan.have_a_stream_in_common(entry, other.entry());
        let neighbours = self.those(uses).without(index);
        self[index].be_beside(neighbours);
        for other in neighbours {
            self[other].be_beside(index.set());
        }
    }

    /// All devices of the plan.
    pub(crate) const fn all(&self) -> DeviceSet {
        self.all
    }

    /// The device of that number, which somebody named.
    #[inline(always)]
    pub(crate) fn find(&self, number: usize) -> Option<DeviceIndex> {
        DeviceIndex::new(number).filter(|_| number < self.table.len())
    }

    /// What shares streams with a device: the others of its domain.
    pub(crate) fn sharers(&self, index: DeviceIndex) -> DeviceSet {
        self[index].sharers()
    }

    /// Those of which something is true.
    pub(crate) fn those(&self, is: impl Fn(&Device<'p>) -> bool) -> DeviceSet {
        let mut found = DeviceSet::EMPTY;
        for (index, device) in self.iter() {
            if is(device) {
                found.insert(index);
            }
        }
        found
    }

    /// The slot that a handle names; [`Slot::serves`] and [`Slot::is_of`] tell whether the handle is that of a claim.
    #[inline(always)]
    fn named(&mut self, handle: Handle) -> Option<&mut Slot> {
        self.slots.get_mut(handle.slot())
    }

    /// Begins a request: the slot of its claim, if it is the next one of a claim that is served.
    #[inline(always)]
    pub(crate) fn serve(&mut self, head: Sequenced, sender: TaskId) -> Option<&mut Slot> {
        let slot = self.named(head.handle)?;
        slot.serves(head, sender).then_some(slot)
    }

    /// The device that `sender` has claimed and names by the handle of that claim, whether or not the claim was cut
    /// off.
    pub(crate) fn claimed(&mut self, handle: Handle, sender: TaskId) -> Option<DeviceIndex> {
        let slot = self.named(handle)?;
        let index = slot.device();
        let named = slot.is_of(handle) && slot.user() == sender;
        let claimed = named && self[index].life().claimant() == Some(sender);
        claimed.then_some(index)
    }

    /// The slot of a device; one that is not used if nobody can claim it.
    pub(crate) fn slot(&self, index: DeviceIndex) -> &Slot {
        match self[index].slot() {
            0 => &Slot::UNUSED,
            slot => self.slots.get(usize::from(slot)).unwrap_or(&Slot::UNUSED),
        }
    }
    /// The slot of a device, to change it, if it can be claimed.
    pub(crate) fn slot_mut(&mut self, index: DeviceIndex) -> Option<&mut Slot> {
        self.both_mut(index).1
    }

    /// A device, and its slot if it can be claimed.
    fn both_mut(&mut self, index: DeviceIndex) -> (&mut Device<'p>, Option<&mut Slot>) {
        let device = self.table.get_mut(index.number() as usize);
        let device = device.unwrap_or(&mut self.nobodys);
        let slot = match device.slot() {
            0 => None,
            slot => self.slots.get_mut(usize::from(slot)),
        };
        (device, slot)
    }

    /// The life of a device, to change it; its slot follows.
    pub(crate) fn life_mut(&mut self, index: DeviceIndex) -> LifeMut<'_> {
        let (device, slot) = self.both_mut(index);
        device.life_mut(slot)
    }

    /// A device was opened for a claim.
    pub(crate) fn grant(&mut self, index: DeviceIndex, owner: TaskId) {
        self.begin_claim(index, owner);
        self.life_mut(index).grant(owner);
    }

    /// A task that is held for a device has the claim again, under a new handle.
    pub(crate) fn inherit(&mut self, index: DeviceIndex, owner: TaskId) {
        self.begin_claim(index, owner);
        self.life_mut(index).inherit(owner);
    }

    fn begin_claim(&mut self, index: DeviceIndex, owner: TaskId) {
        let (device, slot) = self.both_mut(index);
        device.begin_session(owner);
        if let Some(slot) = slot {
            slot.begin_claim(owner);
        }
    }

    /// All devices of the plan, each with its index.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (DeviceIndex, &Device<'p>)> {
        let indices = (0..).map_while(DeviceIndex::new);
        indices.zip(&self.table)
    }
}

impl<'p> Index<DeviceIndex> for Devices<'p> {
    type Output = Device<'p>;

    #[inline(always)]
    fn index(&self, index: DeviceIndex) -> &Device<'p> {
        self.table
            .get(index.number() as usize)
            .unwrap_or(&self.nobodys)
    }
}

impl IndexMut<DeviceIndex> for Devices<'_> {
    #[inline(always)]
    fn index_mut(&mut self, index: DeviceIndex) -> &mut Self::Output {
        let device = self.table.get_mut(index.number() as usize);
        device.unwrap_or(&mut self.nobodys)
    }
}
