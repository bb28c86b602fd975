//! `lint`.

use crate::failure::Outcome;
use crate::lint;
use crate::project::Project;

pub fn run(project: &Project) -> Outcome<u8> {
    lint::clippy(project)?;
    lint::kernel(project)?;
    println!("lints of kernel and tasks: clean; the kernel cannot panic");
    Ok(0)
}
