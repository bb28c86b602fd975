//! What the IOMMU server reads of its SMMU (`docs/reference/image.md`): it opens streams and maps by these numbers, so
//! a wrong one is as bad as a wrong table.

use std::collections::BTreeSet;

use super::Tables;
use crate::Verified;
use crate::blob::{Blob, Record, kind};

/// The records by their kinds.
pub struct Records<'a> {
    pub smmus: Vec<Record<'a>>,
    pub domains: Vec<Record<'a>>,
    pub streams: Vec<Record<'a>>,
    pub devices: Vec<Record<'a>>,
    pub pools: Vec<Record<'a>>,
    pub permanent: Vec<Record<'a>>,
}

impl<'a> Records<'a> {
    pub fn new(blob: &Blob<'a>) -> Self {
        Self {
            smmus: blob.table(kind::SMMU).to_vec(),
            domains: blob.table(kind::DOMAIN).to_vec(),
            streams: blob.table(kind::STREAM).to_vec(),
            devices: blob.table(kind::DEVICE).to_vec(),
            pools: blob.table(kind::POOL).to_vec(),
            permanent: blob.table(kind::PERMANENT).to_vec(),
        }
    }
}

/// Offsets in the records.
pub mod at {
    pub const SMMU_TABLES: usize = 40;
    pub const SMMU_TABLES_LEN: usize = 48;
    pub const SMMU_STREAM_L1: usize = 56;
    pub const SMMU_STREAM_LOG2: usize = 64;
    pub const SMMU_SPLIT: usize = 68;
    pub const DOMAIN_ASID: usize = 8;
    pub const DOMAIN_CONTEXT: usize = 16;
    pub const DOMAIN_ROOT: usize = 24;
    pub const DOMAIN_LEAF: usize = 32;
    pub const DOMAIN_IOVA: usize = 40;
    pub const DOMAIN_PAGES: usize = 48;
    pub const DOMAIN_BLOCK_ENTRIES: usize = 56;
    pub const DOMAIN_BLOCK_BASE: usize = 64;
    pub const DOMAIN_BLOCKS: usize = 72;
    pub const STREAM_ENTRY: usize = 8;
    pub const STREAM_STANDING: usize = 16;
    pub const DEVICE_DOMAIN: usize = 24;
    pub const DEVICE_OWNER: usize = 28;
    pub const DEVICE_STREAMS: usize = 32;
    pub const DEVICE_STREAM_COUNT: usize = 36;
}

/// Where a number may be absent.
const NONE: u32 = u32::MAX;

/// Compares them with `plan.json`.
pub fn check(tables: &Tables<'_>, verified: &mut Verified) {
    let Records {
        smmus,
        domains,
        devices,
        ..
    } = &tables.records;
    let plan = tables.plan;
    if smmus.len() != 1
        || domains.len() != plan.domains.len()
        || devices.len() != plan.devices().count()
    {
        verified.say(format!(
            "the IOMMU server is told of {} SMMUs, {} domains and {} devices, plan.json has 1, {} and {}",
            smmus.len(), domains.len(), devices.len(), plan.domains.len(), plan.devices().count()
        ));
    }
    for smmu in smmus {
        let place = (smmu.u64(at::SMMU_TABLES), smmu.u64(at::SMMU_TABLES_LEN));
        if place != (tables.place.address, tables.place.bytes) {
            verified.say("the IOMMU server is told of tables elsewhere");
        }
    }
    for (record, domain) in domains.iter().zip(&plan.domains) {
        let told = (
            record.u32(at::DOMAIN_ASID),
            (
                record.u64(at::DOMAIN_IOVA),
                record.u64(at::DOMAIN_PAGES).wrapping_mul(4096),
            ),
            (
                record.u64(at::DOMAIN_BLOCK_BASE),
                record.u64(at::DOMAIN_BLOCKS).wrapping_mul(2 << 20),
            ),
        );
        let planned = (
            u32::from(domain.asid),
            (domain.iova, domain.page_bytes),
            (domain.block_iova, domain.block_bytes),
        );
        if told != planned {
            verified.say(format!(
                "domain {}: the IOMMU server is told {told:x?}, plan.json says {planned:x?}",
                domain.asid
            ));
        }
    }
    self::devices(tables, verified);
    ranges(tables, verified);
}

fn devices(tables: &Tables<'_>, verified: &mut Verified) {
    let streams = &tables.records.streams;
    for (record, device) in tables.records.devices.iter().zip(tables.plan.devices()) {
        let (first, count) = (
            record.u32(at::DEVICE_STREAMS),
            record.u32(at::DEVICE_STREAM_COUNT),
        );
        let own = streams.iter().skip(first as usize).take(count as usize);
        let number = |at: usize| Some(record.u32(at)).filter(|number| *number != NONE);
        let owner = number(at::DEVICE_OWNER).map(|task| {
            tables
                .plan
                .tasks
                .get(task as usize)
                .map(|task| task.name.as_str())
        });
        let told = (
            record.name(),
            number(at::DEVICE_DOMAIN).map(|domain| domain as usize),
            owner.map(Option::unwrap_or_default),
            own.map(|stream| stream.u32(0)).collect::<Vec<_>>(),
        );
        let planned = (
            device.name.clone(),
            device.domain,
            device.owner.as_deref(),
            device.streams.clone(),
        );
        if told != planned {
            verified.say(format!(
                "device {}: the IOMMU server is told {told:?}, plan.json says {planned:?}",
                device.name
            ));
        }
    }
}

/// Pools, and ranges that stay mapped.
fn ranges(tables: &Tables<'_>, verified: &mut Verified) {
    let pools = tables.records.pools.iter();
    let told: BTreeSet<_> = pools
        .map(|pool| (pool.u32(0) as usize, pool.u64(8), pool.u64(16)))
        .collect();
    let tasks = tables.plan.tasks.iter().enumerate();
    let planned: BTreeSet<_> = tasks
        .flat_map(|(index, task)| task.memory.iter().map(move |mapping| (index, mapping)))
        .filter(|(_, mapping)| mapping.what == "pool")
        .map(|(index, mapping)| (index, mapping.address, mapping.bytes))
        .collect();
    if told != planned {
        verified.say(format!(
            "the IOMMU server is told of the pools {told:x?}, plan.json has {planned:x?}"
        ));
    }
    let permanent = tables.records.permanent.iter();
    let told: BTreeSet<_> = permanent
        .map(|range| {
            (
                range.u32(0) as usize,
                range.u64(16),
                range.u64(24),
                range.u64(32),
            )
        })
        .collect();
    let domains = tables.plan.domains.iter().enumerate();
    let planned: BTreeSet<_> = domains
        .flat_map(|(index, domain)| domain.permanent.iter().map(move |range| (index, range)))
        .map(|(index, range)| (index, range.iova, range.address, range.bytes))
        .collect();
    if told != planned {
        verified.say(format!(
            "the IOMMU server is told that {told:x?} stays mapped, plan.json says {planned:x?}"
        ));
    }
}
