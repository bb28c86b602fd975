//! Step 3: the programs. Cargo builds the kernel and the tasks; what it says is shown as it says it.

pub mod artifacts;
pub mod cargo;
#[cfg(test)]
pub mod made_up;
mod program;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use program::{Program, Segment};

use planner::failure::{Failure, Outcome};
use planner::project::Project;
use planner::read::App;

/// The target of kernel and tasks: no floating point, so that no task has registers to save for it.
pub const TARGET: &str = "aarch64-unknown-none-softfloat";

/// All programs of a system.
pub struct Programs {
    /// The kernel's program.
    pub kernel: Program,
    /// The programs of the tasks, by task index.
    pub tasks: Vec<Program>,
    /// How many crates were compiled for them, rather than found as an earlier build left them.
    pub compiled: usize,
}

/// Builds the kernel.
pub fn kernel(project: &Project) -> Outcome<Program> {
    read(&cargo::build_kernel(project)?.0)
}

/// Builds everything that changed.
pub fn compile(project: &Project, app: &App) -> Outcome<Programs> {
    let (kernel, mut compiled) = cargo::build_kernel(project)?;
    let kernel = read(&kernel)?;
    // One invocation for each workspace: cargo then builds what the tasks share once.
    let mut workspaces: BTreeMap<PathBuf, Vec<(usize, cargo::Package)>> = BTreeMap::new();
    for (index, task) in app.tasks.iter().enumerate() {
        let package = cargo::package(project, &task.folder)?;
        workspaces
            .entry(package.workspace.clone())
            .or_default()
            .push((index, package));
    }
    let mut files: BTreeMap<usize, PathBuf> = BTreeMap::new();
    for (workspace, packages) in &workspaces {
        let built = cargo::build_tasks(project, workspace, packages)?;
        compiled += built.compiled;
        let program = |(index, package): &(usize, cargo::Package)| {
            Some((*index, built.programs.get(&package.name)?.clone()))
        };
        files.extend(packages.iter().filter_map(program));
    }
    let mut tasks = Vec::new();
    for (index, task) in app.tasks.iter().enumerate() {
        let file = files.get(&index).ok_or_else(|| {
            Failure::new(format!("cargo built no program for `{}`", task.name.value))
        })?;
        tasks.push(read(file)?);
    }
    Ok(Programs {
        kernel,
        tasks,
        compiled,
    })
}

fn read(file: &Path) -> Outcome<Program> {
    let bytes =
        std::fs::read(file).map_err(Failure::when(format!("cannot read {}", file.display())))?;
    Program::parse(bytes).map_err(Failure::when(format!(
        "{} cannot be loaded",
        file.display()
    )))
}
