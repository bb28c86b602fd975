//! Premapped ranges of a domain, with the addresses that placing gave them.

use abi::layout::PAGE;
use plan::iommu::PremappedKind;
use vmsa::Memory;

use crate::layout::place::Placement;
use planner::planning::{DomainPlan, Premapped};

/// A premapped range.
#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub kind: PremappedKind,
    /// Task and number of the pool.
    pub pool: Option<(usize, usize)>,
    pub iova: u64,
    pub pa: u64,
    pub len: u64,
    pub memory: Memory,
}

/// The ranges of a domain, in the order of its plan.
pub fn ranges(placement: &Placement, domain: &DomainPlan) -> Vec<Range> {
    let normal = if domain.snoops {
        Memory::NormalWriteBack
    } else {
        Memory::NormalNonCacheable
    };
    let extent = |task: usize, pool: usize| {
        let task = placement.tasks.get(task);
        task.and_then(|task| task.pools.get(pool).copied())
    };
    let all = domain.premapped.iter();
    all.filter_map(|premapped| {
        Some(match *premapped {
            Premapped::Direct { base, len, ram } => Range {
                kind: PremappedKind::Direct,
                pool: None,
                iova: base,
                pa: base,
                len,
                memory: if ram { normal } else { Memory::DeviceNgnre },
            },
            Premapped::Doorbell { base } => Range {
                kind: PremappedKind::Doorbell,
                pool: None,
                iova: base,
                pa: base,
                len: PAGE,
                memory: Memory::DeviceNgnre,
            },
            Premapped::Identity { task, pool } => {
                let extent = extent(task, pool)?;
                Range {
                    kind: PremappedKind::Identity,
                    pool: Some((task, pool)),
                    iova: extent.pa,
                    pa: extent.pa,
                    len: extent.len,
                    memory: normal,
                }
            }
            Premapped::Pool { task, pool, iova } => {
                let extent = extent(task, pool)?;
                Range {
                    kind: PremappedKind::Pool,
                    pool: Some((task, pool)),
                    iova,
                    pa: extent.pa,
                    len: extent.len,
                    memory: normal,
                }
            }
        })
    })
    .collect()
}
