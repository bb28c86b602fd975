//! `lint`.

use crate::lint;
use crate::output::say;
use planner::failure::Outcome;
use planner::project::Project;

pub fn run(project: &Project) -> Outcome<u8> {
    lint::circles(&project.root)?;
    lint::layers(&project.root)?;
    lint::states(&project.root)?;
    lint::boards(&project.root)?;
    let sizes = lint::sizes(&project.root)?;
    lint::roots(project)?;
    let advisories = lint::dependencies(project)?;
    lint::clippy(project)?;
    lint::kernel(project)?;
    lint::servers(project)?;
    say!(
        "lints of kernel and tasks: clean; no circles of modules; kernel, servers and drivers cannot panic"
    );
    say!(
        "crates use only what is below them; states are closed; no board's addresses in code; {sizes}"
    );
    say!("dependencies: as deny.toml has it; {}", advisories.note());
    Ok(0)
}
