//! A layout is whole or it is none.

use std::path::Path;

use super::*;
use crate::compile::made_up;
use planner::project::Project;
use planner::read;

/// The root's system with made-up programs.
fn system(report: &Report) -> (Plan, Programs) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let root = root.canonicalize().unwrap();
    let file = root.join("app.toml");
    let plan = read::load(report, &Project::at(root), &file)
        .and_then(|app| Plan::new(report, app))
        .unwrap_or_else(|_| panic!("{}", report.text()));
    let programs = made_up::programs(plan.app.tasks.len());
    (plan, programs)
}

#[test]
fn tables_have_exactly_the_room_that_was_placed() {
    let report = Report::default();
    let (plan, programs) = system(&report);
    let layout = Layout::new(&report, &plan, &programs).unwrap_or_else(|_| panic!());
    let sizes = layout.placement().sizes().clone();
    assert_eq!(layout.tables().sizes(), sizes);
    assert!(sizes.smmus[0] > 0 && sizes.page_tables > 0);
    assert_eq!(sizes.kernel_plans.len(), plan.app.cores().len());
    assert_eq!(sizes.task_plans.len(), plan.app.tasks.len());
}

#[test]
fn places_with_too_little_or_too_much_room_are_no_layout() {
    let report = Report::default();
    let (plan, programs) = system(&report);
    let layout = Layout::new(&report, &plan, &programs).unwrap_or_else(|_| panic!());
    let fits = layout.placement().sizes().clone();
    let changes: [fn(&mut Sizes); 5] = [
        |sizes| sizes.page_tables -= abi::layout::PAGE,
        |sizes| sizes.page_tables += abi::layout::PAGE,
        |sizes| sizes.smmus[0] += abi::layout::PAGE,
        |sizes| sizes.kernel_plans.clear(),
        |sizes| sizes.task_plans.clear(),
    ];
    for change in changes {
        let mut sizes = fits.clone();
        change(&mut sizes);
        let placement =
            Placement::new(&report, &plan, &programs, sizes).unwrap_or_else(|_| panic!());
        let tables = Tables::new(&report, &plan, &placement).unwrap_or_else(|_| panic!());
        let needed = Layout::settled(placement, tables)
            .err()
            .expect("is no layout");
        assert_eq!(needed, fits);
    }
}

#[test]
fn there_is_one_kernel_on_the_first_core() {
    let report = Report::default();
    let (plan, programs) = system(&report);
    let layout = Layout::new(&report, &plan, &programs).unwrap_or_else(|_| panic!());
    let placement = layout.placement();
    let cores: Vec<u32> = placement.kernels.iter().map(|kernel| kernel.core).collect();
    assert_eq!(cores, Vec::from_iter(plan.app.cores()));
    assert_eq!(layout.tables().roots.kernels.len(), 1);
    assert_eq!(layout.tables().plans.kernels.len(), 1);
    for kernel in &placement.kernels {
        let extents = kernel.program.iter().map(PlacedSegment::extent);
        for extent in extents.chain([kernel.plan, kernel.stack]) {
            let is_shown = |of: &Extent| of.pa <= extent.pa && extent.end() <= of.end();
            assert!(kernel.window.iter().any(is_shown), "{extent:x?}");
        }
    }
}
