//! Numbers of devices and of tasks: types of their own, so that neither is taken for the other, and bounded, so that
//! every look-up finds something.

use core::ops::{Index, IndexMut};

use abi::TaskId;
use heapless::Vec;
use iommu_api::{Error, Handle};

use crate::device::Device;
use crate::limits::DEVICES_MAX;

/// A device, by its position in the plan's table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DeviceIndex(u8);

const _: () = assert!(DEVICES_MAX <= u64::BITS as usize);

impl DeviceIndex {
    /// The first one.
    pub(crate) const FIRST: Self = Self(0);

    /// `None` from [`DEVICES_MAX`] up.
    pub const fn new(number: usize) -> Option<Self> {
        if number < DEVICES_MAX {
            Some(Self(number as u8))
        } else {
            None
        }
    }

    /// The number by which the protocol, the kernel and the PCI task know it.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The remainder changes nothing, and shows the compiler that an array of this length has it.
    #[inline(always)]
    const fn slot(self) -> usize {
        self.0 as usize % DEVICES_MAX
    }

    /// The set of this device alone.
    #[inline(always)]
    pub(crate) const fn set(self) -> DeviceSet {
        DeviceSet(1 << self.slot())
    }
}

/// A task, by its position in the plan's table; which of its lives is left open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskIndex(u8);

impl TaskIndex {
    /// The task that a life is of.
    #[inline(always)]
    pub const fn of(life: TaskId) -> Self {
        Self(life.index() as u8)
    }

    /// The number by which the plan and the kernel know it.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// A set of devices, and an iterator over it in the plan's order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct DeviceSet(u64);

impl DeviceSet {
    /// No device.
    pub(crate) const EMPTY: Self = Self(0);

    /// Whether a device is in it.
    pub(crate) const fn contains(self, index: DeviceIndex) -> bool {
        self.0 & index.set().0 != 0
    }
    /// Adds a device.
    pub(crate) const fn insert(&mut self, index: DeviceIndex) {
        self.0 |= index.set().0;
    }
    /// Adds those of another set.
    pub(crate) const fn join(&mut self, other: Self) {
        self.0 |= other.0;
    }
    /// All but one.
    pub(crate) const fn without(self, index: DeviceIndex) -> Self {
        Self(self.0 & !index.set().0)
    }
}

impl Iterator for DeviceSet {
    type Item = DeviceIndex;

    fn next(&mut self) -> Option<DeviceIndex> {
        if self.0 == 0 {
            return None;
        }
        let first = DeviceIndex(self.0.trailing_zeros() as u8);
        self.0 &= self.0 - 1;
        Some(first)
    }
}

/// One of something for each device there can be.
#[derive(Debug)]
pub(crate) struct PerDevice<T>(pub(crate) [T; DEVICES_MAX]);

impl<T> Index<DeviceIndex> for PerDevice<T> {
    type Output = T;

    #[inline(always)]
    #[allow(
        clippy::indexing_slicing,
        reason = "a slot is below the array's length"
    )]
    fn index(&self, index: DeviceIndex) -> &T {
        &self.0[index.slot()]
    }
}

impl<T> IndexMut<DeviceIndex> for PerDevice<T> {
    #[inline(always)]
    #[allow(
        clippy::indexing_slicing,
        reason = "a slot is below the array's length"
    )]
    fn index_mut(&mut self, index: DeviceIndex) -> &mut T {
        &mut self.0[index.slot()]
    }
}

/// The devices of the plan.
///
/// A look-up neither fails nor panics: an index is of a device of this table, as only the table and its plan make
/// them. For the compiler, which does not know that, there is one device more, which the plan does not have and which
/// is in no set.
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
        let added = index.slot() == self.table.len() && self.table.push(device).is_ok();
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
        (number < self.table.len()).then_some(DeviceIndex(number as u8))
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
        let indices = (0..).map(DeviceIndex);
        indices.zip(&self.table)
    }
}

impl<'p> Index<DeviceIndex> for Devices<'p> {
    type Output = Device<'p>;

    #[inline(always)]
    fn index(&self, index: DeviceIndex) -> &Device<'p> {
        self.table.get(index.0 as usize).unwrap_or(&self.nobodys)
    }
}

impl IndexMut<DeviceIndex> for Devices<'_> {
    #[inline(always)]
    fn index_mut(&mut self, index: DeviceIndex) -> &mut Self::Output {
        let device = self.table.get_mut(index.0 as usize);
        device.unwrap_or(&mut self.nobodys)
    }
}
