//! `test load`: what runs on target, many times, beside busy loops.

use super::progress::Progress;
use super::{Arguments, MISUNDERSTOOD, Target};
use crate::testing::{self, LOAD, Matrix, Row, Told, Unit};
use planner::failure::Outcome;
use planner::project::Project;

/// Runs `load`, or the images and systems whose names contain what is behind `load::`.
pub fn run(project: &Project, arguments: &Arguments, filter: &str) -> Outcome<u8> {
    let part = filter.trim_start_matches(LOAD).trim_start_matches("::");
    let mut progress = Progress::new(Some(filter));
    for row in &Matrix::plain(&arguments.qemu, &project.target)?.rows {
        let units = units(project, row, part)?;
        if units.is_empty() {
            eprintln!(
                "error: no image and no system is called `{part}`; `{LOAD} --list` names them"
            );
            return Ok(MISUNDERSTOOD);
        }
        if arguments.list {
            let names = units.iter().map(|unit| &unit.name);
            names.for_each(|name| println!("{LOAD}::{name}"));
            return Ok(0);
        }
        progress.stage(LOAD);
        testing::load(project, &units, row, &mut |told| match told {
            Told::Over(case) => progress.show(case),
            Told::Far(far) => progress.far(&far),
        })?;
    }
    progress.finish(project)
}

/// What a usual run starts on this machine, as far as its names contain `part`.
fn units(project: &Project, row: &Row, part: &str) -> Outcome<Vec<Unit>> {
    let target = Target::select(project, None)?;
    let suites = target.suites.into_iter().map(|(suite, _)| suite);
    let suites = suites.filter(|suite| suite.fits(row));
    let systems = target.systems.into_iter();
    let systems = systems.filter(|system| system.is_run() && system.fits(row));
    let units = suites.map(Unit::from).chain(systems.map(Unit::from));
    Ok(units.filter(|unit| unit.name.contains(part)).collect())
}
