//! Domains, streams and windows as planned.

use solver::model::DomainType;

use crate::read::LazyBounds;

/// The domains, and the devices in them.
#[derive(Clone, Debug, Default)]
pub struct Domains {
    /// One for each function of the fabric, then one for each platform device.
    pub devices: Vec<DevicePlan>,
    /// The plans of all domains; a device names its own by the index.
    pub domains: Vec<DomainPlan>,
    /// Names of the isolation groups.
    pub groups: Vec<String>,
    /// Pairs that share a group without trust: group, both tasks, reason.
    pub waivers: Vec<String>,
}

/// A device's part of the plan.
#[derive(Clone, Debug, Default)]
pub struct DevicePlan {
    /// The StreamIDs of its requests.
    pub streams: Vec<u32>,
    /// Number of the SMMU that sees all of its streams, among those of the platform; the first for a device without streams.
    pub smmu: usize,
    /// Whether the device has direct regions, so that its streams translate from the start.
    pub always_open: bool,
    /// Index in `Domains::domains`; none for a bridge and for a blocked device.
    pub domain: Option<usize>,
    /// Index in `Domains::groups`.
    pub group: usize,
    /// Number of its reset unit.
    pub reset_unit: usize,
    /// The device's domain with the reason, one line.
    pub reason: String,
}

/// One set of tables.
#[derive(Clone, Debug)]
pub struct DomainPlan {
    /// The type.
    pub kind: DomainType,
    /// Number of the SMMU that walks the tables, among those of the platform.
    pub smmu: usize,
    /// The domain's ASID on that SMMU, from 1.
    pub asid: u16,
    /// IOVA of the page part.
    pub iova_base: u64,
    /// Bytes of the page part.
    pub page_bytes: u64,
    /// IOVA of the block part.
    pub block_base: u64,
    /// Bytes of the block part.
    pub block_bytes: u64,
    /// Indices of the tasks that map into it.
    pub owners: Vec<usize>,
    /// Whether its leaves say that accesses look into the caches: a device that does not snoop is not hurt by
    /// that, but one that does would miss what a cache holds without it.
    pub snoops: bool,
    /// The domain's streams are not translated, by a written reason.
    pub bypass: bool,
    /// The pools of its owner are premapped in its window.
    pub premaps_pools: bool,
    /// What its unmaps leave to a later flush; none in a strict domain.
    pub lazy: Option<LazyPlan>,
    /// The ranges that the image maps in the domain.
    pub premapped: Vec<Premapped>,
    /// Bits of an address that the domain translates.
    pub iova_bits: u32,
}

/// What a lazy domain leaves to a later flush.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LazyPlan {
    /// How much, and for how long.
    pub bounds: LazyBounds,
    /// The device that says so; none: the default of `[iommu]`.
    pub said_by: Option<String>,
}

impl Domains {
    /// The domain of a stream of an SMMU that translates in the image. A device with direct regions has the stream, and
    /// no alternative of its hotplug slot has it in another domain, because before the start it is not known
    /// which alternative is there.
    pub fn always_open(&self, smmu: usize, stream: u32) -> Option<usize> {
        let has = |device: &&DevicePlan| device.smmu == smmu && device.streams.contains(&stream);
        let all = || self.devices.iter().filter(has);
        let domain = all().find(|device| device.always_open)?.domain?;
        all()
            .all(|device| device.domain == Some(domain))
            .then_some(domain)
    }
}

/// A range that the image maps in a domain and that stays mapped; addresses of pools are known once they
/// are placed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Premapped {
    /// Memory or registers at their physical address.
    Direct {
        /// Physical address of the first byte.
        base: u64,
        /// Bytes.
        len: u64,
        /// Whether it is memory of the machine.
        ram: bool,
    },
    /// The page of the register that messages of interrupts are written to, at its physical address.
    Doorbell {
        /// Physical address of the page.
        base: u64,
    },
    /// A pool, by task and number, at its physical address.
    Identity {
        /// Index of the task.
        task: usize,
        /// Index of the pool among the task's.
        pool: usize,
    },
    /// A pool at an IOVA of the window's page part.
    Pool {
        /// Index of the task.
        task: usize,
        /// Index of the pool among the task's.
        pool: usize,
        /// The first address that the device uses.
        iova: u64,
    },
}
