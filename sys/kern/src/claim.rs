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

    /// The whole range, if it is inside `region` and that grants `access`. Device registers are never
    /// memory.
    #[inline(always)]
    pub fn within(self, region: &RegionEntry, access: RegionAttributes) -> Option<Checked> {
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

    /// Finds the one region that holds the whole range and grants `access`, and its number.
    pub fn find(
        self,
        regions: &[RegionEntry],
        access: RegionAttributes,
    ) -> Option<(usize, Checked)> {
        let behind = regions.partition_point(|region| region.va <= self.address);
        let number = behind.checked_sub(1)?;
        Some((number, self.within(regions.get(number)?, access)?))
    }
}

impl Task<'_> {
    /// Checks a claim of this task. An empty range needs no region. The region of the last claim is
    /// tried first: most buffers of a task are in its stack.
    #[inline(always)]
    pub(crate) fn check(&mut self, claim: Claim, access: RegionAttributes) -> Option<Checked> {
        if claim.len == 0 {
            return Some(Checked {
                physical: 0,
                attributes: RegionAttributes::empty(),
            });
        }
        if let Some(region) = self.regions().get(self.last_region)
            && let Some(checked) = claim.within(region, access)
        {
            return Some(checked);
        }
        self.search(claim, access)
    }

    #[inline(never)]
    fn search(&mut self, claim: Claim, access: RegionAttributes) -> Option<Checked> {
        let (number, checked) = claim.find(self.regions(), access)?;
        self.last_region = number;
        Some(checked)
    }
}
