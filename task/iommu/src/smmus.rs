//! The table of the SMMUs.

use core::ops::{Index, IndexMut};

use heapless::Vec;
use plan::iommu::SmmuEntry;
use smmu::Features;

use crate::boot::Running;
use crate::indices::SmmuIndex;
use crate::limits::SMMUS_MAX;

/// One SMMU, in use or not.
pub(crate) struct Smmu<'p, H> {
    pub(crate) entry: &'p SmmuEntry,
    pub(crate) hardware: H,
    pub(crate) running: Option<Running>,
    /// The SMMU's features, if it can be used and has to be brought up.
    pub(crate) usable: Option<Features>,
    /// The SMMU was looked at and cannot be used: nothing more is tried with it in this life of the
    /// server.
    pub(crate) refused: bool,
    /// How many of the SMMU's records of faults were lost.
    pub(crate) lost: u64,
    /// The SMMU's event queue has records for another turn.
    pub(crate) more: bool,
}

impl<'p, H> Smmu<'p, H> {
    /// An SMMU that nothing was done with yet.
    #[inline(always)]
    pub(crate) const fn new(entry: &'p SmmuEntry, hardware: H) -> Self {
        Self {
            entry,
            hardware,
            running: None,
            usable: None,
            refused: false,
            lost: 0,
            more: false,
        }
    }
}

/// The SMMUs of the plan, which has at least one.
///
/// A look-up neither fails nor panics: an index is of an SMMU of this table, as only the table and its plan make them.
/// For the compiler, which does not know that, any other index is the first one's.
#[repr(C)]
pub(crate) struct Smmus<'p, H> {
    first: Smmu<'p, H>,
    others: Vec<Smmu<'p, H>, OTHERS_MAX>,
}

const OTHERS_MAX: usize = SMMUS_MAX - 1;

impl<'p, H> Smmus<'p, H> {
    /// The first SMMU alone.
    #[inline(always)]
    pub(crate) const fn new(first: Smmu<'p, H>) -> Self {
        Self {
            first,
            others: Vec::new(),
        }
    }

    /// Adds the next SMMU of the plan; false if there is no room.
    pub(crate) fn add(&mut self, smmu: Smmu<'p, H>) -> bool {
        self.others.push(smmu).is_ok()
    }

    /// One that is not the first. Apart, so that where there is only one, as on most boards, its fields are at a fixed
    /// place and a request does not pay for the others.
    #[inline(never)]
    fn other(&mut self, index: SmmuIndex) -> &mut Smmu<'p, H> {
        let other = (index.number() as usize).checked_sub(1);
        let other = other.and_then(|other| self.others.get_mut(other));
        other.unwrap_or(&mut self.first)
    }

    /// The indices of all SMMUs of the plan.
    pub(crate) fn all(&self) -> impl Iterator<Item = SmmuIndex> + use<'p, H> {
        SmmuIndex::first(1 + self.others.len())
    }

    /// All SMMUs of the plan.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Smmu<'p, H>> {
        core::iter::once(&self.first).chain(&self.others)
    }
}

impl<'p, H> Index<SmmuIndex> for Smmus<'p, H> {
    type Output = Smmu<'p, H>;

    #[inline(always)]
    fn index(&self, index: SmmuIndex) -> &Smmu<'p, H> {
        let other = (index.number() as usize).checked_sub(1);
        let other = other.and_then(|other| self.others.get(other));
        other.unwrap_or(&self.first)
    }
}

impl<H> IndexMut<SmmuIndex> for Smmus<'_, H> {
    #[inline(always)]
    fn index_mut(&mut self, index: SmmuIndex) -> &mut Self::Output {
        if index == SmmuIndex::FIRST {
            &mut self.first
        } else {
            self.other(index)
        }
    }
}
