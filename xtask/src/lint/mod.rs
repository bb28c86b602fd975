//! What the compiler alone does not refuse: lints of everything that is built for the target, and a kernel
//! that could panic.

mod branches;
mod panics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::project::Project;
use crate::setup;
use crate::systems;
use builder::compile::{self, Workshop};
use planner::failure::{Failure, Outcome};

pub use branches::indirect;
pub use panics::panics;

/// Runs clippy for the target over the kernel and every task of the repository's systems; a warning is an
/// error. Cargo shows what it finds.
pub fn clippy(project: &Project) -> Outcome<()> {
    setup::target()?;
    let workshop = project.workshop();
    workshop.clippy(&workshop.root, &BTreeSet::from(["kern".to_owned()]))?;
    for (workspace, packages) in task_packages(project, &workshop)? {
        workshop.clippy(&workspace, &packages)?;
    }
    Ok(())
}

/// Packages of all tasks, by workspace.
fn task_packages(
    project: &Project,
    workshop: &Workshop,
) -> Outcome<BTreeMap<PathBuf, BTreeSet<String>>> {
    let mut packages: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for app in systems::files(&project.paths.root)? {
        for task in &project.plan(Some(&app))?.app.tasks {
            let package = workshop.package(&task.folder)?;
            let of_workspace = packages.entry(package.workspace).or_default();
            of_workspace.insert(package.name);
        }
    }
    Ok(packages)
}

/// Fails if anything in the kernel can panic, since the compiler must have proven that nothing does; or if it branches
/// to an address in a register once tasks run.
pub fn kernel(project: &Project) -> Outcome<()> {
    let kernel = compile::kernel(&project.workshop())?;
    let found = panics(&kernel.elf).map_err(Failure::when("cannot read the kernel's symbols"))?;
    if !found.is_empty() {
        return Err(Failure::new(format!(
            "the kernel can panic; it contains\n  {}",
            found.join("\n  ")
        )));
    }
    let found = indirect(&kernel.elf).map_err(Failure::when("cannot read the kernel's code"))?;
    match found.first() {
        None => Ok(()),
        Some(address) => Err(Failure::new(format!(
            "the kernel has {} indirect branches that a task can reach, the first at {address:#x}",
            found.len()
        ))),
    }
}
