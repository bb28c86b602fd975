//! Lints beyond the compiler's own: of everything that is built for the target, of a kernel that could panic, of
//! programs that need more stack than they have, of modules that use each other in a circle, of crates that use what is above them, of what is too long to be read, and
//! of states that anybody could write.

mod boards;
mod branches;
mod circles;
mod dependencies;
mod layers;
mod modules;
mod panics;
mod sizes;
mod sources;
mod stacks;
mod states;
mod strict;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::setup;
use crate::steps;
use crate::systems::{self, tidy};
use builder::compile::{self, cargo};
use planner::failure::{Failure, Outcome};
use planner::project::Project;

pub use boards::boards;
pub use branches::indirect;
pub use circles::circles;
pub use dependencies::dependencies;
pub use layers::layers;
pub use panics::panics;
pub use sizes::sizes;
pub use states::states;

/// Runs clippy for the target over the kernel and every task of the repository's systems; a warning is an
/// error. Cargo shows what it finds.
pub fn clippy(project: &Project) -> Outcome<()> {
    setup::target()?;
    cargo::clippy(project, &project.root, &BTreeSet::from(["kern".to_owned()]))?;
    for (workspace, packages) in task_packages(project)? {
        cargo::clippy(project, &workspace, &packages)?;
    }
    Ok(())
}

/// Packages of all tasks, by workspace.
fn task_packages(project: &Project) -> Outcome<BTreeMap<PathBuf, BTreeSet<String>>> {
    let mut packages: BTreeMap<PathBuf, BTreeSet<String>> = BTreeMap::new();
    for app in systems::files(&project.root)? {
        for task in &steps::plan(project, Some(&app))?.app.tasks {
            let package = cargo::package(project, &task.folder)?;
            let of_workspace = packages.entry(package.workspace).or_default();
            of_workspace.insert(package.name);
        }
    }
    Ok(packages)
}

/// Systems that have every server and driver, and the demo's tasks.
const SYSTEMS: [&str; 6] = [
    "app.toml",
    "tests/systems/power-key/app.toml",
    "tests/systems/inspect/app.toml",
    "tests/systems/messages/storm.toml",
    "tests/systems/nvme/app.toml",
    "tests/systems/frames/app.toml",
];

/// Programs that are not asked, and why.
const NOT_ASKED: [(&str, &str); 1] = [(
    "tests/demo/digest",
    "`sha2` has panics that the compiler cannot prove away; this task serves nobody",
)];

/// Fails if a server, a driver or a task of the demo contains anything that panics: a message or a device's word could
/// make it. One that has to end its life says so with `userlib::give_up!`, which is no panic.
pub fn servers(project: &Project) -> Outcome<()> {
    let root = &project.root;
    let mut unseen = strict::programs(root)?;
    for (folder, _) in NOT_ASKED {
        unseen.remove(&root.join(folder));
    }
    let mut wrong = Vec::new();
    for system in SYSTEMS {
        let app = steps::plan(project, Some(&root.join(system)))?.app;
        let programs = compile::compile(project, &app)?;
        for (task, program) in app.tasks.iter().zip(&programs.tasks) {
            if unseen.remove(&tidy(&task.folder)) {
                wrong.extend(can_panic(&task.name.value, &program.elf)?);
                wrong.extend(is_tight(&task.name.value, &program.elf, task.stack)?);
            }
        }
    }
    let missing = unseen.iter().map(|folder| {
        let folder = folder.strip_prefix(root).unwrap_or(folder);
        format!(
            "no system that is checked for panics has {}",
            folder.display()
        )
    });
    wrong.extend(missing);
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Failure::new(wrong.join("\n")))
}

/// The complaint about a program that can panic.
fn can_panic(name: &str, elf: &[u8]) -> Outcome<Option<String>> {
    let cannot = format!("cannot read the symbols of `{name}`");
    let found = panics(elf).map_err(Failure::when(cannot))?;
    let wrong = || format!("`{name}` can panic; it contains\n  {}", found.join("\n  "));
    Ok((!found.is_empty()).then(wrong))
}

/// The complaint about a program that may need more than three quarters of its stack. The rest is for what calls itself.
fn is_tight(name: &str, elf: &[u8], stack: u64) -> Outcome<Option<String>> {
    let cannot = format!("cannot read the code of `{name}`");
    let stacks::Deepest { bytes, way } = stacks::deepest(elf).map_err(Failure::when(cannot))?;
    let way: Vec<String> = way
        .iter()
        .map(|(function, frame)| format!("{frame:>6} {function}"))
        .collect();
    let wrong = || {
        format!(
            "`{name}` may need {bytes} bytes of its stack of {stack}, more than three quarters:\n  {}",
            way.join("\n  ")
        )
    };
    Ok((bytes * 4 > stack * 3).then(wrong))
}

/// Fails if a crate of a server, a driver or one of their interfaces does not deny the lints against panics.
pub fn roots(project: &Project) -> Outcome<()> {
    let lax = strict::lax(&project.root)?;
    if lax.is_empty() {
        return Ok(());
    }
    let lax: Vec<String> = lax.iter().map(|root| root.display().to_string()).collect();
    Err(Failure::new(format!(
        "these do not deny `clippy::{}` at their beginning, as task/log/src/lib.rs does:\n  {}",
        strict::LINTS.join("`, `clippy::"),
        lax.join("\n  ")
    )))
}

/// Fails if anything in the kernel can panic, since the compiler must have proven that nothing does; or if it branches
/// to an address in a register once tasks run.
pub fn kernel(project: &Project) -> Outcome<()> {
    let kernel = compile::kernel(project)?;
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
