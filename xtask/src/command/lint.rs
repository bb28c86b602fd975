//! `lint`.

use crate::lint;
use crate::output::say;
use crate::project::Project;
use planner::failure::Outcome;

pub fn run(project: &Project) -> Outcome<u8> {
    lint::circles(&project.paths.root)?;
    lint::roots(project)?;
    let advisories = lint::dependencies(project)?;
    lint::clippy(project)?;
    lint::kernel(project)?;
    lint::servers(project)?;
    say!(
        "lints of kernel and tasks: clean; no circles of modules; kernel, servers and drivers cannot panic"
    );
    say!("dependencies: as deny.toml has it; {}", advisories.note());
    Ok(0)
}
