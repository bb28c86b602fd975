//! The answer of the solver.

use crate::diagnostic::{Diagnostic, Severity};
pub use crate::edge::{Edge, EdgeKind};
use crate::model::{DomainType, NodeId, OwnerId, SmmuId};

/// How much the hardware is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Mode {
    /// Strict: only what is known to keep devices apart does so. The group is the unit of trust, the
    /// alias set that of a domain.
    #[default]
    Strict,
    /// Linux's partition, its quirks and leniencies included. The group is also the unit of a domain.
    Linux,
}

/// A requester id with its segment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Requester {
    /// PCI segment.
    pub segment: u16,
    /// bus << 8 | device << 3 | function.
    pub id: u16,
}

impl Requester {
    /// The requester's bus.
    pub fn bus(self) -> u8 {
        self.id.to_be_bytes()[0]
    }

    /// Device and function, `device << 3 | function`.
    pub fn devfn(self) -> u8 {
        self.id.to_be_bytes()[1]
    }
}

impl core::fmt::Display for Requester {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let devfn = self.devfn();
        write!(
            f,
            "{:04x}:{:02x}:{:02x}.{}",
            self.segment,
            self.bus(),
            devfn >> 3,
            devfn & 7
        )
    }
}

/// A StreamID of a device.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Stream {
    /// The SMMU.
    pub smmu: SmmuId,
    /// The StreamID.
    pub id: u32,
}

/// Bus numbers of a bridge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BridgeBuses {
    /// The bus it is on.
    pub primary: u8,
    /// The bus below it.
    pub secondary: u8,
    /// The last bus below it.
    pub subordinate: u8,
}

/// The results for one node, at the same position as in [`crate::Machine::nodes`].
#[derive(Clone, Debug)]
pub struct Device {
    /// The device's requester id; `None` for a platform device.
    pub requester: Option<Requester>,
    /// All ids its requests may carry, its own first, then in the order of the walk to the root.
    pub aliases: Vec<Requester>,
    /// The StreamIDs of those, in the same order, without repetition.
    pub streams: Vec<Stream>,
    /// The device's bus numbers, if it is a bridge.
    pub buses: Option<BridgeBuses>,
    /// Position in [`Solution::alias_sets`].
    pub alias_set: usize,
    /// Position in [`Solution::groups`].
    pub group: usize,
    /// Position in [`Solution::reset_units`].
    pub reset_unit: usize,
    /// Position in [`Solution::neighbours`].
    pub neighbours: usize,
    /// Ports above it with a memory BAR that serves its requests before the SMMU sees them.
    pub ports: Vec<NodeId>,
    /// Position in [`Solution::usable_ids`] of the ids that the device may use; `None`: its own.
    pub usable_ids: Option<usize>,
    /// The device's domain type.
    pub domain_type: DomainType,
    /// Why it has that type, a sentence.
    pub domain_because: String,
    /// Position in [`Solution::domains`]; `None`: its streams stay blocked for good.
    pub domain: Option<usize>,
}

/// Requester ids that a device may use, since no port above it stops them: all of a range of buses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsableIds {
    /// PCI segment.
    pub segment: u16,
    /// First and last bus.
    pub buses: (u8, u8),
    /// The port that lets no others through; `None`: nothing checks them.
    pub checked_by: Option<NodeId>,
    /// All with a StreamID that one of them comes to, in topological order.
    pub users: Vec<NodeId>,
}

/// Devices that the SMMU cannot tell apart: the unit of a domain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AliasSet {
    /// The alias set's members, in topological order.
    pub devices: Vec<NodeId>,
    /// The alias set's domain type.
    pub domain_type: DomainType,
}

/// Devices that can reach each other without the SMMU: the unit of trust.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Group {
    /// The group's declared name, else that of its first member with an owner, else of its first
    /// member.
    pub name: String,
    /// The group's members, in topological order, bridges included.
    pub devices: Vec<NodeId>,
    /// Owners of its members, by name.
    pub owners: Vec<OwnerId>,
}

/// Devices that cannot be reset apart: with the alias sets, the unit of containment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResetUnit {
    /// The reset unit's members, in topological order.
    pub devices: Vec<NodeId>,
}

/// One domain: one set of tables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Domain {
    /// `Dma` or `Identity`.
    pub domain_type: DomainType,
    /// The devices in it: an alias set in `strict` mode, a group in `linux` mode; bridges only if they
    /// share a StreamID with a device.
    pub devices: Vec<NodeId>,
    /// The owners that map into it, by name.
    pub owners: Vec<OwnerId>,
    /// One context for each SMMU its streams go to.
    pub contexts: Vec<Context>,
    /// The domain's IOVA window; `None` for an identity domain, and where none could be placed.
    pub window: Option<PlacedWindow>,
}

/// A domain on one SMMU.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// The SMMU.
    pub smmu: SmmuId,
    /// The domain's ASID on that SMMU, from 1.
    pub asid: u16,
}

/// The place of a domain's IOVAs. Page and block part lie in one GiB (one level-2 table).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PlacedWindow {
    /// First IOVA of the page part, a multiple of 2 MiB.
    pub page_base: u64,
    /// Bytes of it, a multiple of 2 MiB.
    pub page_bytes: u64,
    /// First IOVA of the block part.
    pub block_base: u64,
    /// Bytes of it, a multiple of 2 MiB.
    pub block_bytes: u64,
}

/// A waiver that was needed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsedWaiver {
    /// Position in [`crate::Machine::waivers`].
    pub waiver: usize,
    /// The group in which the waiver was needed, as a position in [`Solution::groups`].
    pub group: usize,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Solution {
    /// The mode it was solved in.
    pub mode: Mode,
    /// All nodes in topological order: parents before children, root buses by segment and number, slots by
    /// number, platform devices last by name. Independent of the order of declaration.
    pub order: Vec<NodeId>,
    /// The results for each node, by its [`NodeId`].
    pub devices: Vec<Device>,
    /// Alias sets, by first member in topological order.
    pub alias_sets: Vec<AliasSet>,
    /// Isolation groups, likewise.
    pub groups: Vec<Group>,
    /// Reset units, likewise.
    pub reset_units: Vec<ResetUnit>,
    /// The nodes that can reach each other without the SMMU, over isolation edges alone. A device that only
    /// shares a StreamID with another reaches the memory that the other reaches, but not its registers.
    pub neighbours: Vec<Vec<NodeId>>,
    /// Ids that devices may use, by the first bridge below which each is.
    pub usable_ids: Vec<UsableIds>,
    /// All edges, in topological order.
    pub edges: Vec<Edge>,
    /// Domains, by first member.
    pub domains: Vec<Domain>,
    /// Waivers that were needed.
    pub waivers: Vec<UsedWaiver>,
    /// Devices with direct regions: exceptions to the guarantee that nothing reaches memory before its claim.
    pub exceptions: Vec<NodeId>,
    /// Errors and warnings.
    pub diagnostics: Vec<Diagnostic>,
    /// What would follow from a domain whose members contradict each other: as long as they do, there is no such domain,
    /// and this is no news beside that error. Some of it may be an error once they agree.
    pub left_out: Vec<Diagnostic>,
}

impl Solution {
    /// True if nothing stands in the way of building it.
    pub fn accepted(&self) -> bool {
        self.diagnostics
            .iter()
            .all(|d| d.severity != Severity::Error)
    }

    /// The errors.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics
            .iter()
            .filter(|d| d.severity == Severity::Error)
    }

    /// The results for `node`.
    ///
    /// # Panics
    /// If `node` is not one of the machine that was solved.
    pub fn device(&self, node: NodeId) -> &Device {
        &self.devices[node.index()]
    }

    /// Domain type of a group: `None` if its members differ (`mixed`). Bridges without an owner do not
    /// count unless there is nothing else.
    pub fn group_domain(&self, group: usize) -> Option<DomainType> {
        let group = self.groups.get(group)?;
        let claimed = |node: &&NodeId| self.device(**node).domain.is_some();
        let mut types: Vec<_> = group
            .devices
            .iter()
            .filter(claimed)
            .map(|n| self.device(*n).domain_type)
            .collect();
        if types.is_empty() {
            types = group
                .devices
                .iter()
                .map(|n| self.device(*n).domain_type)
                .collect();
        }
        types.dedup();
        match types.as_slice() {
            [one] => Some(*one),
            _ => None,
        }
    }
}
