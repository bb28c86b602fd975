//! Addresses from tasks. A [`Claim`] proves nothing until it was checked against the regions of the
//! task that makes it; the check is the only way from a task's address to memory.

use plan::kernel::{RegionAttributes, RegionEntry};

use crate::task::Task;

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

    /// Finds the one region that holds the whole range and grants `access`. Device registers are never
    /// memory.
    fn find(self, regions: &[RegionEntry], access: RegionAttributes) -> Option<&RegionEntry> {
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
}

const READ_WRITE: RegionAttributes = RegionAttributes::READ.union(RegionAttributes::WRITE);

impl Task<'_> {
    /// Checks a claim of this task. An empty range needs no region. The span is tried first: most
    /// buffers of a task are in its stack.
    #[inline(always)]
    pub(crate) fn check(&mut self, claim: Claim, access: RegionAttributes) -> Option<Checked> {
        if claim.len == 0 {
            return Some(Checked {
                physical: 0,
                attributes: RegionAttributes::empty(),
            });
        }
        let offset = claim.address.wrapping_sub(self.span_address);
        let room = self.span_len.checked_sub(claim.len);
        if room.is_some_and(|room| offset <= room) && READ_WRITE.contains(access) {
            return Some(Checked {
                physical: self.span_physical.wrapping_add(offset),
                attributes: RegionAttributes::from_bits_truncate(self.span_attributes),
            });
        }
        self.search(claim, access)
    }

    #[inline(never)]
    fn search(&mut self, claim: Claim, access: RegionAttributes) -> Option<Checked> {
        let region = *claim.find(self.regions(), access)?;
        let attributes = RegionAttributes::from_bits_truncate(region.attributes);
        if attributes.contains(READ_WRITE) {
            self.set_span(&region);
        }
        Some(Checked {
            physical: region
                .pa
                .wrapping_add(claim.address.wrapping_sub(region.va)),
            attributes,
        })
    }

    /// Remembers a region that may be read and written.
    pub(crate) fn set_span(&mut self, region: &RegionEntry) {
        self.span_address = region.va;
        self.span_len = region.len;
        self.span_physical = region.pa;
        self.span_attributes = region.attributes;
    }
}
