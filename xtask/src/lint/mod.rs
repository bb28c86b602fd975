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

/// Folders of the programs that a task's message or a device's word must not make panic.
const CANNOT_PANIC: [&str; 5] = [
    "task/supervisor",
    "task/pci",
    "task/iommu",
    "task/log",
    "drv/virtio-blk",
];

/// Fails if a server, or the driver that the demo's data goes through, contains anything that panics. One that has to
/// end its life says so with `userlib::give_up!`, which is no panic.
pub fn servers(project: &Project) -> Outcome<()> {
    let app = project.plan(None)?.app;
    let programs = compile::compile(&project.workshop(), &app)?;
    let mut seen = 0;
    for (task, program) in app.tasks.iter().zip(&programs.tasks) {
        if !CANNOT_PANIC
            .iter()
            .any(|folder| task.folder.ends_with(folder))
        {
            continue;
        }
        seen += 1;
        let name = &task.name.value;
        let cannot = format!("cannot read the symbols of `{name}`");
        let found = panics(&program.elf).map_err(Failure::when(cannot))?;
        if !found.is_empty() {
            return Err(Failure::new(format!(
                "`{name}` can panic; it contains\n  {}",
                found.join("\n  ")
            )));
        }
    }
    if seen < CANNOT_PANIC.len() {
        return Err(Failure::new(
            "the demo has not all servers that must not panic",
        ));
    }
    Ok(())
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
