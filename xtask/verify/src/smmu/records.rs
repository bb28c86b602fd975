//! The part of the plan about SMMUs that the IOMMU server reads (`docs/reference/image.md`). It opens streams and
//! maps by these numbers, so a wrong one is as bad as a wrong table.

use super::Tables;
use super::places::Places;
use crate::Verified;
use crate::blob::{Blob, Record, kind};
use crate::expected::{Domain, Interrupt, Plan};

const PAGE: u64 = 4096;
const BLOCK: u64 = 2 << 20;

/// The records by their kinds.
pub struct Records<'a> {
    pub smmus: Vec<Record<'a>>,
    pub domains: Vec<Record<'a>>,
    pub streams: Vec<Record<'a>>,
    pub devices: Vec<Record<'a>>,
    pub pools: Vec<Record<'a>>,
    pub premapped: Vec<Record<'a>>,
    pub lent: Vec<Record<'a>>,
    /// The task numbers that lists of tasks are made of.
    pub numbers: Vec<Record<'a>>,
}

impl<'a> Records<'a> {
    pub fn new(blob: &Blob<'a>) -> Self {
        Self {
            smmus: blob.table(kind::SMMU).to_vec(),
            domains: blob.table(kind::DOMAIN).to_vec(),
            streams: blob.table(kind::STREAM).to_vec(),
            devices: blob.table(kind::DEVICE).to_vec(),
            pools: blob.table(kind::POOL).to_vec(),
            premapped: blob.table(kind::PREMAPPED).to_vec(),
            lent: blob.table(kind::LENT_POOL).to_vec(),
            numbers: blob.table(kind::TASK_NUMBER).to_vec(),
        }
    }
}

/// Offsets in the records that other parts of this check follow.
pub mod at {
    pub const SMMU_STREAM_L1: usize = 56;
    pub const SMMU_STREAM_LOG2: usize = 64;
    pub const SMMU_SPLIT: usize = 68;
    pub const DOMAIN_CONTEXT: usize = 16;
    pub const DOMAIN_ROOT: usize = 24;
    pub const DOMAIN_LEAF: usize = 32;
    pub const DOMAIN_BLOCK_ENTRIES: usize = 56;
    pub const STREAM_ENTRY: usize = 8;
    pub const STREAM_ALWAYS_OPEN: usize = 16;
}

/// Compares how many SMMUs and domains the server is told of.
pub fn count(records: &Records<'_>, plan: &Plan, verified: &mut Verified) {
    let (smmus, domains) = (records.smmus.len(), records.domains.len());
    verified.compare(SERVER, "SMMUs", &smmus, &plan.smmus.len());
    verified.compare(SERVER, "domains", &domains, &plan.domains.len());
    for domain in &plan.domains {
        if plan.smmu(&domain.smmu).is_none() {
            verified.say(format!(
                "domain {} of `{}`: plan.json has no such SMMU",
                domain.asid, domain.smmu
            ));
        }
    }
}

/// Compares what the server is told of an SMMU and of its domains.
pub fn check(tables: &Tables<'_>, places: &mut Places, verified: &mut Verified) {
    if let Some(record) = tables.records.smmus.get(tables.number as usize) {
        smmu(tables, record, verified);
        queues(tables, record, places, verified);
    }
    for (record, domain) in tables.domains() {
        self::domain(tables, record, domain, verified);
    }
}

/// The stage by which every stream table entry of an image translates.
const STAGE: u32 = 1;
/// The name of the server in complaints.
pub const SERVER: &str = "the IOMMU server";

fn smmu(tables: &Tables<'_>, record: &Record<'_>, verified: &mut Verified) {
    let smmu = tables.smmu;
    verified.compare(SERVER, "an SMMU is", &record.name(), &smmu.name);
    let memory = &tables.server.1.memory;
    let at = |what: &str, name: &str| {
        let mut found = memory.iter().filter(|range| range.what == what);
        let found = found.find(|range| range.name == name);
        found.map(|range| range.input)
    };
    let name = format!("{}-tables", smmu.name);
    let planned = [at("registers", &smmu.name), at("smmu-tables", &name)];
    let told = [24, 32].map(|at| Some(record.u64(at)));
    verified.compare(
        SERVER,
        "registers and tables are mapped at",
        &told,
        &planned,
    );
    let told = (record.u64(40), record.u64(48));
    let planned = (tables.place.address, tables.place.bytes);
    verified.compare(SERVER, "tables elsewhere:", &told, &planned);
    let told = (record.u32(at::SMMU_STREAM_LOG2), record.u32(at::SMMU_SPLIT));
    verified.compare(
        SERVER,
        "bits of a StreamID, split",
        &told,
        &(smmu.stream_bits, SPLIT),
    );
    let told = [104, 108, 112, 116].map(|at| record.u32(at));
    let planned = [
        u32::from(smmu.coherent),
        smmu.address_bits,
        u32::from(smmu.on_mismatch == "refuse"),
        0,
    ];
    verified.compare(
        SERVER,
        "coherent, address bits, refuse on mismatch",
        &told,
        &planned,
    );
    let interrupt = |name: &str| {
        let name = format!("{}-{name}-irq", smmu.name);
        let of = |line: &&Interrupt| line.task == tables.server.1.name && line.notification == name;
        tables
            .plan
            .interrupts
            .iter()
            .find(of)
            .map_or(0, |line| line.bit)
    };
    let told = [96, 100].map(|at| u64::from(record.u32(at)));
    let planned = ["event", "error"].map(interrupt);
    verified.compare(SERVER, "its interrupts have the bits", &told, &planned);
}

/// StreamID bits of the second level.
const SPLIT: u32 = 8;
/// Offset of a queue, offset of its log2, that log2, bytes of an entry.
const QUEUES: [(usize, usize, u32, u64, &str); 2] = [
    (72, 88, 8, 16, "the command queue"),
    (80, 92, 10, 32, "the event queue"),
];

fn queues(tables: &Tables<'_>, record: &Record<'_>, places: &mut Places, verified: &mut Verified) {
    for (at, log2_at, log2, bytes, what) in QUEUES {
        let start = tables.place.address.wrapping_add(record.u64(at));
        verified.compare(what, "log2 of its entries is", &record.u32(log2_at), &log2);
        let len = bytes << log2;
        // The SMMU takes its address for a multiple of its size.
        if !start.is_multiple_of(len) {
            verified.say(format!("{what} at {start:#x} is not aligned"));
        }
        places.add(start, len, what);
    }
}

fn domain(tables: &Tables<'_>, record: &Record<'_>, domain: &Domain, verified: &mut Verified) {
    let whose = domain.to_string();
    verified.compare(&whose, "it translates by stage", &STAGE, &domain.stage);
    let kind = match (domain.untranslated, domain.kind.as_str()) {
        (true, _) => Some(3),
        (_, "blocked") => Some(0),
        (_, "dma") => Some(1),
        (_, "identity") => Some(2),
        _ => None,
    };
    let invalidation = match domain.invalidation.as_str() {
        "strict" => Some(0),
        "lazy" => Some(1),
        "premapped" => Some(2),
        _ => None,
    };
    let told = [0, 4, 8, 12].map(|at| Some(record.u32(at)));
    let planned = [
        kind,
        Some(tables.number),
        Some(domain.asid.into()),
        invalidation,
    ];
    let what = "the IOMMU server is told of kind, SMMU, ASID and invalidation";
    verified.compare(&whose, what, &told, &planned);
    let told = [40, 48, 64, 72].map(|at| record.u64(at));
    let (pages, blocks) = (domain.pages.bytes / PAGE, domain.blocks.bytes / BLOCK);
    let planned = [domain.pages.iova, pages, domain.blocks.iova, blocks];
    verified.compare(
        &whose,
        "the IOMMU server is told of the window",
        &told,
        &planned,
    );
    // Without a part nothing is written there.
    for (at, count) in [(at::DOMAIN_LEAF, pages), (at::DOMAIN_BLOCK_ENTRIES, blocks)] {
        if count == 0 && record.u64(at) != 0 {
            verified.say(format!(
                "{whose}: the IOMMU server writes a part of the window that is not there"
            ));
        }
    }
    let told = record.u32(80);
    verified.compare(&whose, "it snoops:", &told, &u32::from(domain.snoops));
    lazy(record, domain, &whose, verified);
}

/// What a lazy domain leaves to a later flush, in pages and in milliseconds; another has neither.
fn lazy(record: &Record<'_>, domain: &Domain, whose: &str, verified: &mut Verified) {
    if domain.lazy.is_some() != (domain.invalidation == "lazy") {
        verified.say(format!("{whose}: it is lazy and has bounds, or neither"));
    }
    let planned = domain.lazy.as_ref();
    let planned = planned.map_or([0, 0], |lazy| {
        [u64::from(lazy.pages), lazy.within_ns / 1_000_000]
    });
    let told = [84, 86].map(|at| u64::from(record.u16(at)));
    let what = "so many unmapped pages wait so many ms for a flush:";
    verified.compare(whose, what, &told, &planned);
}
