//! The tables of an image: the plans that kernels and tasks read, page tables, and the SMMU's tables.

mod blobs;
mod iommu_plan;
mod its_plan;
mod kernel_plan;
mod pages;
mod pci_plan;
mod premapped;
mod smmu;
mod task_plan;
mod window;

use abi::layout::PAGE;

pub use blobs::Plans;
pub use pages::{DISTRIBUTOR, Roots, console};
pub use smmu::pages_of as table_pages;
pub use window::{Piece, of_kernel as window_of};

use crate::layout::place::{Placement, Sizes};
use planner::planning::Plan;
use planner::report::{Report, Reported};

/// Everything that an image holds beside programs.
pub struct Tables {
    /// The root tables of all address spaces.
    pub roots: Roots,
    /// The plans of kernels and tasks.
    pub plans: Plans,
    /// Page tables, from `placement.page_tables.pa` up.
    pub pages: Vec<u64>,
    /// The table memory of each SMMU, by its number.
    pub smmus: Vec<Vec<u8>>,
}

impl Tables {
    /// Fills the tables of an image whose addresses are these.
    pub(super) fn new(
        report: &Report,
        plan: &Plan,
        placement: &Placement,
    ) -> Result<Self, Reported> {
        let (roots, pages) = pages::build(report, plan, placement)?;
        let smmus = smmu::build(report, plan, placement)?;
        Ok(Self {
            plans: Plans::new(plan, placement, &roots, &smmus),
            roots,
            pages,
            smmus: smmus.into_iter().map(|smmu| smmu.bytes).collect(),
        })
    }

    /// The room that the tables take.
    pub(super) fn sizes(&self) -> Sizes {
        let room = |len: usize| (len as u64).next_multiple_of(PAGE);
        let plans = |of: &[Vec<u8>]| of.iter().map(|plan| room(plan.len())).collect();
        Sizes {
            kernel_plans: plans(&self.plans.kernels),
            task_plans: plans(&self.plans.tasks),
            page_tables: room(self.pages.len() * 8),
            smmus: self.smmus.iter().map(|smmu| room(smmu.len())).collect(),
        }
    }
}
