//! All plans.

use super::pages::Roots;
use super::smmu::SmmuTables;
use super::{kernel_plan, task_plan};
use crate::layout::place::Placement;
use planner::planning::Plan;

/// The plans of an image.
#[derive(Clone, Debug, Default)]
pub struct Plans {
    /// The plan of each kernel, by the kernel's number.
    pub kernels: Vec<Vec<u8>>,
    /// The plan of each task, by the task's index.
    pub tasks: Vec<Vec<u8>>,
}

impl Plans {
    /// Builds all plans.
    pub fn new(plan: &Plan, placement: &Placement, roots: &Roots, smmus: &[SmmuTables]) -> Self {
        let kernel = |kernel| kernel_plan::build(plan, placement, kernel, roots);
        let task = |task| task_plan::build(plan, placement, roots, smmus, task);
        Self {
            kernels: placement.kernels.iter().map(kernel).collect(),
            tasks: (0..plan.app.tasks.len()).map(task).collect(),
        }
    }
}
