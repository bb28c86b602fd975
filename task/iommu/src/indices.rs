//! Numbers of devices, domains, tasks and SMMUs: types of their own, so that none is taken for another, and bounded, so that
//! every look-up finds something.

use core::ops::{Index, IndexMut};

use abi::TaskId;
use plan::iommu::{DeviceEntry, DomainEntry, StreamEntry};

use crate::limits::{DEVICES_MAX, DOMAINS_MAX, SMMUS_MAX};

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

/// A domain, by its position in the plan's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DomainIndex(u8);

const _: () = assert!(
    DOMAINS_MAX <= u64::BITS as usize,
    "sets of domains are a word"
);

impl DomainIndex {
    /// The first one.
    pub(crate) const FIRST: Self = Self(0);

    /// `None` from [`DOMAINS_MAX`] up.
    pub const fn new(number: usize) -> Option<Self> {
        if number < DOMAINS_MAX {
            Some(Self(number as u8))
        } else {
            None
        }
    }

    /// The domain that a device has in the plan, if it has one.
    pub const fn of(device: &DeviceEntry) -> Option<Self> {
        Self::new(device.domain as usize)
    }

    /// The first `count` of them.
    pub(crate) fn first(count: usize) -> impl Iterator<Item = Self> + Clone {
        (0..count.min(DOMAINS_MAX) as u8).map(Self)
    }

    /// The number by which the plan knows it.
    #[inline(always)]
    pub const fn number(self) -> usize {
        self.0 as usize
    }

    /// The remainder changes nothing, and shows the compiler that an array of this length has it.
    #[inline(always)]
    pub(crate) const fn slot(self) -> usize {
        self.0 as usize % DOMAINS_MAX
    }

    /// The set of this domain alone: a bit for each.
    pub(crate) const fn set(self) -> u64 {
        1 << self.slot()
    }

    /// Whether a set of domains has it.
    pub(crate) const fn is_in(self, set: u64) -> bool {
        set >> self.slot() & 1 == 1
    }
}

/// A task, by its position in the plan's table; which of its lives is left open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TaskIndex(u16);

impl TaskIndex {
    /// The task that a life is of.
    #[inline(always)]
    pub const fn of(life: TaskId) -> Self {
        Self(life.number())
    }

    /// The number by which the plan and the kernel know it.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }
}

/// An SMMU, by its position in the plan's table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SmmuIndex(u8);

const _: () = assert!(SMMUS_MAX <= u8::MAX as usize);

impl SmmuIndex {
    /// The first one.
    pub const FIRST: Self = Self(0);

    /// The one that a domain's tables are of. The plan was checked, so that the remainder changes nothing.
    pub const fn of(domain: &DomainEntry) -> Self {
        Self((domain.smmu as usize % SMMUS_MAX) as u8)
    }

    /// The first `count` of them.
    pub(crate) fn first(count: usize) -> impl Iterator<Item = Self> {
        (0..count.min(SMMUS_MAX) as u8).map(Self)
    }

    /// The number by which the plan knows it.
    #[inline(always)]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// Whether a stream comes to it.
    pub const fn has(self, stream: &StreamEntry) -> bool {
        stream.smmu == self.number()
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
    /// Whether no device is in it.
    #[inline(always)]
    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
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

/// One value for each device that there can be.
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
