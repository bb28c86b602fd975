//! The five steps from an `app.toml` to a system, in their order.

use std::path::Path;

use crate::{qemu, setup};
use builder::compile::{self, Programs};
use builder::layout::Layout;
use builder::pack::{self, Dist};
use planner::failure::Outcome;
use planner::planning::Plan;
use planner::project::Project;
use planner::read::{self, App};
use planner::report::{Report, Reported};
use solver::solution::Mode;

/// A system that was built.
pub struct Built {
    pub plan: Plan,
    pub programs: Programs,
    pub layout: Layout,
    pub dist: Dist,
}

/// Does steps 1 and 2, which read the file and plan the system.
pub fn plan(project: &Project, app: Option<&Path>) -> Outcome<Plan> {
    plan_in_mode(project, app, None)
}

/// Plans like [`plan()`], in a mode other than that of the file.
pub fn plan_in_mode(project: &Project, app: Option<&Path>, mode: Option<Mode>) -> Outcome<Plan> {
    let report = Report::default();
    shown(&report, plan_reported(project, &report, app, mode))
}

/// Plans like [`plan_in_mode`], but puts diagnostics into `report` instead of on the screen.
pub fn plan_reported(
    project: &Project,
    report: &Report,
    app: Option<&Path>,
    mode: Option<Mode>,
) -> Result<Plan, Reported> {
    let change = |app: &mut App| app.iommu.mode = mode.unwrap_or(app.iommu.mode);
    plan_with(project, report, app, change)
}

fn plan_with(
    project: &Project,
    report: &Report,
    app: Option<&Path>,
    change: impl FnOnce(&mut App),
) -> Result<Plan, Reported> {
    let file = app.map_or_else(|| project.root.join("app.toml"), Path::to_path_buf);
    let mut app = read::load(report, project, &file)?;
    change(&mut app);
    Plan::new(report, app)
}

/// Does all steps, from the file to the image.
pub fn build(project: &Project, app: Option<&Path>) -> Outcome<Built> {
    all(project, app, |_| (), |_, _| Ok(()))
}

/// Does all steps, for a system that is to be run.
pub fn build_to_run(project: &Project, app: Option<&Path>) -> Outcome<Built> {
    build_to_run_changed(project, app, |_| ())
}

/// Builds like [`build_to_run`], with a change of what the file says.
pub fn build_to_run_changed(
    project: &Project,
    app: Option<&Path>,
    change: impl FnOnce(&mut App),
) -> Outcome<Built> {
    all(project, app, change, Plan::check_runnable)
}

fn all(
    project: &Project,
    app: Option<&Path>,
    change: impl FnOnce(&mut App),
    check: impl FnOnce(&Plan, &Report) -> Result<(), Reported>,
) -> Outcome<Built> {
    // One report for all steps: a later one points into files that the first one read.
    let report = Report::default();
    let plan = shown(&report, plan_with(project, &report, app, change))?;
    shown(&report, plan.check_buildable(&report))?;
    shown(&report, check(&plan, &report))?;
    setup::target()?;
    let programs = compile::compile(project, &plan.app)?;
    let layout = shown(&report, Layout::new(&report, &plan, &programs))?;
    let script = |image: &Path| qemu::script(&plan, &project.target, image);
    let dist = pack::pack(&project.target, &plan, &programs, &layout, script)?;
    Ok(Built {
        plan,
        programs,
        layout,
        dist,
    })
}

/// Shows what a step reported, warnings of a successful one included.
fn shown<T>(report: &Report, result: Result<T, Reported>) -> Outcome<T> {
    report.show();
    Ok(result?)
}
