//! `lint`.

use crate::lint;
use crate::output::say;
use crate::project::Project;
use planner::failure::Outcome;

pub fn run(project: &Project) -> Outcome<u8> {
    lint::clippy(project)?;
    lint::kernel(project)?;
    say!("lints of kernel and tasks: clean; the kernel cannot panic");
    Ok(0)
}
