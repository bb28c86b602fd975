//! The table of the devices.

use core::ops::{Index, IndexMut};

use abi::TaskId;
use heapless::Vec;
use iommu_api::{Error, Handle};

use crate::device::Device;
use crate::indices::{DeviceIndex, DeviceSet};
use crate::limits::DEVICES_MAX;

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
}

impl<'p> Devices<'p> {
    /// No device yet.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            table: Vec::new(),
            nobodys: Device::NOBODYS,
            all: DeviceSet::EMPTY,
        }
    }

    /// Adds the next device of the plan; false if it is another one, or if there is no room.
    pub(crate) fn add(&mut self, index: DeviceIndex, device: Device<'p>) -> bool {
        let domain = device.entry().domain;
        let sharers = self.those(|other| domain != plan::NONE && other.entry().domain == domain);
        let added = index.number() as usize == self.table.len() && self.table.push(device).is_ok();
        if added {
            self.all.insert(index);
            self[index].share_with(sharers);
            for other in sharers {
                self[other].share_with(index.set());
            }
        }
        added
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

    /// The device that `sender` has claimed and names by the handle of that claim.
    #[inline(always)]
    pub(crate) fn claimed(
        &mut self,
        handle: Handle,
        sender: TaskId,
    ) -> Result<&mut Device<'p>, Error> {
        match self.table.get_mut(handle.device()) {
            Some(device) if device.is_claimed_as(handle, sender) => Ok(device),
            _ => Err(Error::StaleHandle),
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
