//! Addresses from tasks. A [`Claim`] proves nothing until it was checked against the regions of the
//! task that makes it; the check is the only way from a task's address to memory.

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

impl Claim {
    pub const fn new(address: u64, len: u64) -> Self {
        Self { address, len }
    }

    /// Finds the one region that holds the whole range and grants `access`. Device registers are
    /// never memory. An empty range needs no region.
    pub fn check(self, regions: &[RegionEntry], access: RegionAttributes) -> Option<Checked> {
        if self.len == 0 {
            return Some(Checked {
                physical: 0,
                attributes: RegionAttributes::empty(),
            });
        }
        let behind = regions.partition_point(|region| region.va <= self.address);
        let region = regions.get(behind.checked_sub(1)?)?;
        let offset = self.address.checked_sub(region.va)?;
        let room = region.len.checked_sub(offset)?;
        let attributes = RegionAttributes::from_bits_truncate(region.attributes);
        if self.len > room
            || !attributes.contains(access)
            || attributes.contains(RegionAttributes::DEVICE)
        {
            return None;
        }
        Some(Checked {
            physical: region.pa.wrapping_add(offset),
            attributes,
        })
    }
}
