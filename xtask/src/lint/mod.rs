//! What the compiler alone does not refuse: lints of everything that is built for the target, and a kernel
//! that could panic.

mod panics;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::compile::{self, Workshop};
use crate::failure::{Failure, Outcome};
use crate::project::Project;
use crate::setup;

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
    for app in systems(&project.paths.root)? {
        for task in &project.plan(Some(&app))?.app.tasks {
            let package = workshop.package(&task.folder)?;
            let of_workspace = packages.entry(package.workspace).or_default();
            of_workspace.insert(package.name);
        }
    }
    Ok(packages)
}

/// Every `app.toml` of the repository: at the root, and in the folders of tests and of the guide.
fn systems(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut systems = vec![root.join("app.toml")];
    for folder in ["tests", "docs/guide"].map(|folder| root.join(folder)) {
        let entries = std::fs::read_dir(&folder)
            .map_err(Failure::when(format!("cannot read {}", folder.display())))?;
        systems.extend(
            entries
                .filter_map(|entry| Some(entry.ok()?.path().join("app.toml")))
                .filter(|app| app.is_file()),
        );
    }
    systems.sort();
    Ok(systems)
}

/// Fails if anything in the kernel can panic: the compiler must have proven that nothing does.
pub fn kernel(project: &Project) -> Outcome<()> {
    let kernel = compile::kernel(&project.workshop())?;
    let found = panics(&kernel.elf).map_err(Failure::when("cannot read the kernel's symbols"))?;
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the kernel can panic; it contains\n  {}",
        found.join("\n  ")
    )))
}
