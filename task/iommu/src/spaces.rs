//! The table of the domains' address spaces.

use heapless::Vec;
use plan::iommu::DomainEntry;

use crate::indices::DomainIndex;
use crate::limits::DOMAINS_MAX;
use crate::space::Space;

/// The address spaces of the plan's domains.
pub(crate) struct Spaces(Vec<Space, DOMAINS_MAX>);

impl Spaces {
    /// No domain yet.
    #[inline(always)]
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the next domain of the plan; false if there is no room.
    pub(crate) fn add(&mut self, entry: &DomainEntry) -> bool {
        self.0.push(Space::new(entry)).is_ok()
    }

    /// All domains of the plan.
    pub(crate) fn all(&self) -> impl Iterator<Item = DomainIndex> + use<> {
        DomainIndex::first(self.0.len())
    }

    /// A domain's space; `None` if the plan has no such domain.
    #[inline(always)]
    pub(crate) fn get(&self, index: DomainIndex) -> Option<&Space> {
        self.0.get(index.number())
    }
    /// The same, to change it.
    #[inline(always)]
    pub(crate) fn get_mut(&mut self, index: DomainIndex) -> Option<&mut Space> {
        self.0.get_mut(index.number())
    }
}
