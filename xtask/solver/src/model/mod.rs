//! The machine as declared: what the solver is told.
//!
//! Every part that a diagnostic may have to point at carries a [`Source`], a number that means
//! something to the caller only. All types have a neutral `Default`, so that a caller names the fields
//! it knows and leaves the rest (`..Default::default()`).

mod function;
mod policy;

pub use function::{
    Acs, Buses, Function, FunctionKind, Holder, Identity, Node, Place, Quiesce, Upstream, Window,
};
pub use policy::{Containment, DomainType, GroupPolicy, Owner, Policy, Trust, Unowned, Waiver};

/// The place of a declaration. The solver only hands it back. Zero: nowhere in particular.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Source(pub u32);

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub struct $name(pub u32);

        impl $name {
            /// The position in the list it refers to.
            pub fn index(self) -> usize {
                self.0 as usize
            }

            /// The reference to position `index`.
            ///
            /// # Panics
            /// If `index` does not fit 32 bits.
            pub fn new(index: usize) -> Self {
                Self(u32::try_from(index).expect("fewer than 2^32 entries"))
            }
        }
    };
}

index!(
    /// Position in [`Machine::nodes`].
    NodeId
);
index!(
    /// Position in [`Machine::owners`].
    OwnerId
);
index!(
    /// Position in [`Machine::smmus`].
    SmmuId
);
index!(
    /// Position in [`Machine::roots`].
    RootId
);

/// Everything the solver is told.
#[derive(Clone, Debug, Default)]
pub struct Machine {
    /// The SMMUs.
    pub smmus: Vec<Smmu>,
    /// Root buses: host bridges, and the expander buses beside them.
    pub roots: Vec<RootBus>,
    /// Functions and platform devices, bridges included, in any order.
    pub nodes: Vec<Node>,
    /// Tasks that own devices.
    pub owners: Vec<Owner>,
    /// Declared trust, one direction each.
    pub trust: Vec<Trust>,
    /// Pairs of owners that share a group without trust, each with a written reason.
    pub waivers: Vec<Waiver>,
    /// Owners that stop and restart together.
    pub containment: Vec<Containment>,
    /// Groups that were given a name, a default domain type, or both.
    pub groups: Vec<GroupPolicy>,
    /// The policy where nothing else is declared.
    pub policy: Policy,
    /// Bus addresses that no IOVA window may touch: PCI memory apertures (a bridge would route such a
    /// request to a peer before the SMMU sees it) and the interrupt doorbell.
    pub reserved: Vec<Region>,
}

/// An SMMU of the machine.
#[derive(Clone, Debug)]
pub struct Smmu {
    /// The SMMU's name in the platform.
    pub name: String,
    /// The place where the SMMU was declared.
    pub source: Source,
    /// Bits of a StreamID (`IDR1.SIDSIZE`), 0 to 32.
    pub stream_bits: u32,
    /// Bits of an ASID: 8 or 16 (`IDR0.ASID16`).
    pub asid_bits: u32,
}

impl Default for Smmu {
    fn default() -> Self {
        Self {
            name: String::new(),
            source: Source::default(),
            stream_bits: 16,
            asid_bits: 16,
        }
    }
}

/// One root bus: that of a host bridge, or an expander beside it.
#[derive(Clone, Debug, Default)]
pub struct RootBus {
    /// The root bus's name.
    pub name: String,
    /// The place where the root bus was declared.
    pub source: Source,
    /// PCI segment.
    pub segment: u16,
    /// The root bus's bus number.
    pub bus: u8,
    /// Last bus number that may be assigned below it, inclusive.
    pub bus_last: u8,
    /// The root bus of the host bridge that an expander belongs to.
    pub expander_of: Option<RootId>,
    /// Requester ids to StreamIDs (`iommu-map`).
    pub streams: Vec<StreamRange>,
    /// Bits of a requester id that the mapping looks at (`iommu-map-mask`); 0 means all.
    pub stream_mask: u16,
    /// True if a file says that the root complex never routes a request of one root port to another; false if nothing is
    /// known. Of an expander nobody looks at it: its root complex is that of the root bus that it belongs to.
    pub never_routes_peers: bool,
}

/// One row of an `iommu-map`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamRange {
    /// First requester id.
    pub requester: u16,
    /// How many ids; 65536 covers a segment.
    pub len: u32,
    /// The SMMU they go to.
    pub smmu: SmmuId,
    /// StreamID of the first.
    pub stream: u32,
}

/// A range of addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Region {
    /// The region's name, for messages.
    pub name: String,
    /// The place where the region was declared.
    pub source: Source,
    /// First address.
    pub base: u64,
    /// Bytes.
    pub len: u64,
}

impl std::fmt::Display for Region {
    /// The name with the first and the last address.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let last = self.base.saturating_add(self.len.saturating_sub(1));
        write!(f, "{} {:#x} to {last:#x}", self.name, self.base)
    }
}

impl Region {
    /// True if the two have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.base < other.base.saturating_add(other.len)
            && other.base < self.base.saturating_add(self.len)
    }
}

impl Machine {
    /// The root bus that stands for the root complex of `root`: where its `expander_of` leads to in the end.
    pub(crate) fn complex(&self, root: RootId) -> Option<RootId> {
        let mut root = (root.index() < self.roots.len()).then_some(root)?;
        // A chain longer than the list is a circle.
        for _ in 0..self.roots.len() {
            let above = self.roots[root.index()].expander_of;
            match above.filter(|above| above.index() < self.roots.len()) {
                Some(above) => root = above,
                None => break,
            }
        }
        Some(root)
    }
}
