//! All plans.

use super::pages::Roots;
use super::smmu::SmmuTables;
use super::{kernel_plan, task_plan};
use crate::place::Layout;
use planner::planning::Plan;

/// The kernel's plan, then each task's by index.
pub fn all(plan: &Plan, layout: &Layout, roots: &Roots, smmu: &SmmuTables) -> Vec<Vec<u8>> {
    let kernel = kernel_plan::build(plan, layout, roots);
    let tasks =
        (0..plan.app.tasks.len()).map(|task| task_plan::build(plan, layout, roots, smmu, task));
    std::iter::once(kernel).chain(tasks).collect()
}
