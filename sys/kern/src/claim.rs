//! Addresses from tasks. A [`Claim`] proves nothing until it was checked against the regions of the
//! task that makes it; the check is the only way from a task's address to memory.

use core::mem::offset_of;

use plan::kernel::{RegionAttributes, RegionEntry};

/// A range of a task's memory, as that task put it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    pub address: u64,
    pub len: u64,
}

/// A range that was found inside one region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Checked {
    pub physical: u64,
    pub attributes: RegionAttributes,
}

impl Checked {
    /// An empty range needs no region.
    pub const EMPTY: Self = Self {
        physical: 0,
        attributes: RegionAttributes::empty(),
    };
}

impl Claim {
    pub const fn new(address: u64, len: u64) -> Self {
        Self { address, len }
    }

    /// Finds the one region that holds the whole range and grants `access`. Device registers are never
    /// memory.
    pub fn find(self, regions: &[RegionEntry], access: RegionAttributes) -> Option<&RegionEntry> {
        let behind = regions.partition_point(|region| region.va <= self.address);
        let region = regions.get(behind.checked_sub(1)?)?;
        let room = region
            .len
            .checked_sub(self.address.checked_sub(region.va)?)?;
        let attributes = RegionAttributes::from_bits_truncate(region.attributes);
        (self.len <= room
            && attributes.contains(access)
            && !attributes.contains(RegionAttributes::DEVICE))
        .then_some(region)
    }

    /// Where it is in the region that was found for it.
    pub fn within(self, region: &RegionEntry) -> Checked {
        Checked {
            physical: region.pa.wrapping_add(self.address.wrapping_sub(region.va)),
            attributes: RegionAttributes::from_bits_truncate(region.attributes),
        }
    }
}

const READ_WRITE: RegionAttributes = RegionAttributes::READ.union(RegionAttributes::WRITE);

/// The region, readable and writable, in which a claim of a task was found last. Never shorter than the longest message.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Span {
    address: u64,
    len: u64,
    physical: u64,
    attributes: u32,
}

impl Span {
    pub const NONE: Self = Self {
        address: 0,
        len: 0,
        physical: 0,
        attributes: 0,
    };
    /// Byte at which its address is; its length follows.
    pub const ADDRESS: usize = offset_of!(Self, address);
    /// Byte at which it says where it is.
    pub const PHYSICAL: usize = offset_of!(Self, physical);

    /// Checks a claim, if it lies here.
    #[inline(always)]
    pub fn check(&self, claim: Claim, access: RegionAttributes) -> Option<Checked> {
        let offset = claim.address.wrapping_sub(self.address);
        let room = self.len.checked_sub(claim.len)?;
        (offset <= room && READ_WRITE.contains(access)).then(|| Checked {
            physical: self.physical.wrapping_add(offset),
            attributes: RegionAttributes::from_bits_truncate(self.attributes),
        })
    }

    /// Remembers a region if it may be read and written.
    pub fn remember(&mut self, region: &RegionEntry) {
        if !RegionAttributes::from_bits_truncate(region.attributes).contains(READ_WRITE) {
            return;
        }
        self.address = region.va;
        self.len = region.len;
        self.physical = region.pa;
        self.attributes = region.attributes;
    }

    /// Address, length, and where it is.
    #[cfg(test)]
    pub fn parts(&self) -> (u64, u64, u64) {
        (self.address, self.len, self.physical)
    }
}

const _: () = assert!(offset_of!(Span, len) == Span::ADDRESS + 8);
