//! Entries that were unmapped in lazy domains and not flushed yet.

use heapless::Vec;
use iommu_api::Error;
use plan::iommu::DomainEntry;

use super::{Kind, Run};
use crate::indices::{DeviceIndex, DomainIndex};
use crate::limits::PARTED_MAX;

/// A run of entries that was unmapped by one request, and not flushed yet. It is kept short, as there are many.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parted {
    pub(crate) domain: DomainIndex,
    pub(crate) device: DeviceIndex,
    pub(crate) kind: Kind,
    first: u32,
    count: u32,
}

// A window has at most 1 GiB, and so its entries have numbers of 18 bits.
const _: () = assert!(size_of::<Parted>() == 12);

impl Parted {
    /// A run of a domain's entries that a device had mapped.
    pub(crate) const fn new(
        domain: DomainIndex,
        device: DeviceIndex,
        kind: Kind,
        run: Run,
    ) -> Self {
        Self {
            domain,
            device,
            kind,
            first: run.first as u32,
            count: run.count as u32,
        }
    }
    /// The entries.
    pub(crate) const fn run(&self) -> Run {
        Run {
            first: self.first as u64,
            count: self.count as u64,
        }
    }
}

/// All of them, of all domains.
pub(crate) type PartedRuns = Vec<Parted, PARTED_MAX>;

/// What a domain's unmaps leave to a later flush.
#[derive(Clone, Copy, Debug)]
pub struct Lazy {
    /// So many pages at most; none in a strict domain.
    pub(crate) most: u64,
    /// For so long at most, nanoseconds.
    pub(crate) within: u64,
    /// Pages parted now.
    pub(crate) parted: u64,
    /// There was no room for the last request: the next flush is due at once.
    pub(crate) full: bool,
    /// When the next flush is due.
    pub(crate) due: Option<u64>,
}

impl Lazy {
    /// Of what is strict.
    pub(crate) const NONE: Self = Self {
        most: 0,
        within: 0,
        parted: 0,
        full: false,
        due: None,
    };
    /// As the plan says.
    pub const fn new(entry: &DomainEntry) -> Self {
        Self {
            most: entry.lazy_pages as u64,
            within: entry.lazy_ms as u64 * 1_000_000,
            ..Self::NONE
        }
    }
    /// Whether unmaps leave anything at all.
    #[inline(always)]
    pub const fn is_lazy(&self) -> bool {
        self.most > 0
    }
    /// Whether a request that was refused with this error may succeed after a flush.
    #[cold]
    pub(crate) fn is_in_the_way(&self, error: Error) -> bool {
        let room = [Error::NoSpace, Error::Overlap, Error::PinsExhausted];
        self.parted > 0 && room.contains(&error)
    }
    /// Whether the time of its flush has come.
    pub(crate) fn is_due(&self, now: u64) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}
