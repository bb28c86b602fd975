//! What the server keeps of others until the SMMU has forgotten it.

use heapless::Vec;

use crate::indices::DeviceIndex;
use crate::lent::LentPools;
use crate::limits::MAPPED_LEASES_MAX;
use crate::space::{PartedRuns, Run};

/// A mapped lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pin {
    pub(crate) device: DeviceIndex,
    /// Entries of the domain's page part.
    pub(crate) run: Run,
    /// The kernel's name for it.
    pub(crate) slot: u32,
}

/// All of it, of all devices. Requests have it as one: each reference more that they work with costs all of them.
///
/// In this order: what waits for a flush is long, and the least often asked for.
#[repr(C)]
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) pins: Vec<Pin, MAPPED_LEASES_MAX>,
    pub(crate) lent: LentPools,
    pub(crate) parted: PartedRuns,
}

impl Kept {
    /// Nothing.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self {
            pins: Vec::new(),
            lent: LentPools::new(),
            parted: PartedRuns::new(),
        }
    }
}
