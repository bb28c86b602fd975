//! `dist`.

use std::path::Path;

use crate::output::say;
use crate::steps;
use planner::failure::Outcome;
use planner::project::Project;

pub fn run(project: &Project, app: Option<&Path>) -> Outcome<u8> {
    let built = steps::build(project, app)?;
    say!("{}", built.dist.folder.display());
    Ok(0)
}
