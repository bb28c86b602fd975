//! All plans.

use super::pages::Roots;
use super::{kernel_plan, task_plan};
use crate::place::Layout;
use crate::planning::Plan;

/// The kernel's plan, then each task's by index.
pub fn all(plan: &Plan, layout: &Layout, roots: &Roots) -> Vec<Vec<u8>> {
    let kernel = kernel_plan::build(plan, layout, roots);
    let tasks = (0..plan.app.tasks.len()).map(|task| task_plan::build(plan, layout, roots, task));
    std::iter::once(kernel).chain(tasks).collect()
}
