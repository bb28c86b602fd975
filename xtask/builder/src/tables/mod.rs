//! Step 5: tables. The plans that kernel and tasks read, page tables, and the SMMU's tables.

mod blobs;
mod iommu_plan;
mod kernel_plan;
mod pages;
mod pci_plan;
mod premapped;
mod smmu;
mod task_plan;
mod window;

use abi::layout::PAGE;

pub use pages::{DISTRIBUTOR, Roots, console};
pub use smmu::pages_of as table_pages;
pub use window::pieces as window_pieces;

use crate::compile::Programs;
use crate::place::{self, Layout, Sizes};
use planner::planning::Plan;
use planner::report::{Mistake, Report, Reported};

/// Everything that the image holds beside programs.
pub struct Tables {
    /// The places of everything.
    pub layout: Layout,
    /// The root tables of all address spaces.
    pub roots: Roots,
    /// The kernel's plan, then each task's.
    pub plans: Vec<Vec<u8>>,
    /// Page tables, from `layout.page_tables.pa` up.
    pub pages: Vec<u64>,
    /// The SMMU's table memory.
    pub smmu: Vec<u8>,
}

/// Rounds until sizes and addresses agree. The first begins without sizes, so that everything moves in the second;
/// later only what crosses a page does. More rounds would mean that two sizes chase each other, which is refused.
const ROUNDS: usize = 8;

/// Places everything and builds the tables, again and again until nothing moves: tables have sizes that
/// depend on addresses, and take room themselves.
pub fn build(report: &Report, plan: &Plan, programs: &Programs) -> Result<Tables, Reported> {
    let mut sizes = Sizes::default();
    for _ in 0..ROUNDS {
        let layout = place::place(report, plan, programs, &sizes)?;
        let (roots, pages) = pages::build(report, plan, &layout)?;
        let smmu = smmu::build(report, plan, &layout)?;
        let plans = blobs::all(plan, &layout, &roots, &smmu);
        let found = Sizes {
            plans: plans
                .iter()
                .map(|plan| (plan.len() as u64).next_multiple_of(PAGE))
                .collect(),
            page_tables: (pages.len() as u64 * 8).next_multiple_of(PAGE),
            smmu: (smmu.bytes.len() as u64).next_multiple_of(PAGE),
        };
        if found == sizes {
            return Ok(Tables {
                layout,
                roots,
                plans,
                pages,
                smmu: smmu.bytes,
            });
        }
        sizes = found;
    }
    report.error(
        Mistake::Program,
        "sizes and addresses of the tables do not settle",
    );
    Err(Reported)
}
