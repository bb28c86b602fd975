//! `test load`: what runs on target, many times, beside busy loops.

use super::progress::Progress;
use super::{Arguments, MISUNDERSTOOD, Target};
use crate::testing::{self, LOAD, Matrix, Told};
use planner::failure::Outcome;
use planner::project::Project;

/// Runs `load`, or the images and systems whose names contain what is behind `load::`.
pub fn run(project: &Project, arguments: &Arguments, filter: &str) -> Outcome<u8> {
    let part = filter.trim_start_matches(LOAD).trim_start_matches("::");
    let target = Target::select(project, None)?;
    let suites = target.suites.into_iter().map(|(suite, _)| suite.into());
    let systems = target.systems.into_iter().filter(testing::System::is_run);
    let systems = systems.map(testing::Unit::from);
    let mut units: Vec<testing::Unit> = suites.chain(systems).collect();
    units.retain(|unit| unit.name.contains(part));
    if units.is_empty() {
        eprintln!(
            "error: no image and no system is called `{part}`; `--list` with `{LOAD}` names them"
        );
        return Ok(MISUNDERSTOOD);
    }
    if arguments.list {
        let names = units.iter().map(|unit| &unit.name);
        names.for_each(|name| println!("{LOAD}::{name}"));
        return Ok(0);
    }
    let mut progress = Progress::new(Some(filter));
    for row in &Matrix::plain(&arguments.qemu, &project.target)?.rows {
        progress.stage(LOAD);
        testing::load(project, &units, row, &mut |told| match told {
            Told::Over(case) => progress.show(case),
            Told::Far(far) => progress.far(&far),
        })?;
    }
    progress.finish(project)
}
