//! `lint`.

use crate::failure::Outcome;
use crate::lint;
use crate::output::say;
use crate::project::Project;

pub fn run(project: &Project) -> Outcome<u8> {
    lint::clippy(project)?;
    lint::kernel(project)?;
    say!("lints of kernel and tasks: clean; the kernel cannot panic");
    Ok(0)
}
