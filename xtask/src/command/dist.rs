//! `dist`.

use std::path::Path;

use crate::output::say;
use crate::project::Project;
use planner::failure::Outcome;

pub fn run(project: &Project, app: Option<&Path>) -> Outcome<u8> {
    let built = project.build(app)?;
    say!("{}", built.dist.folder.display());
    Ok(0)
}
