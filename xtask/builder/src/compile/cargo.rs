//! Running cargo.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use super::TARGET;
use super::artifacts::{self, Artifacts};
use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// Flags of the compiler for the kernel. A task chooses the branch of a jump table, and could train the processor to
/// guess another: `docs/decisions/0011-speculation.md`.
const KERNEL_FLAGS: [&str; 2] = ["-Clink-arg=-Tsys/kern/kernel.ld", "-Cjump-tables=no"];
/// The flags for tasks; `task.ld` and `defmt.x` are found by the search paths that `userlib` and `defmt`
/// give.
const TASK_FLAGS: [&str; 2] = ["-Clink-arg=-Ttask.ld", "-Clink-arg=-Tdefmt.x"];

/// A task's package.
#[derive(Clone, Debug)]
pub struct Package {
    /// The name, by which cargo is told what to build.
    pub name: String,
    /// Folder of the workspace it belongs to.
    pub workspace: PathBuf,
}

/// Reads a `Cargo.toml`.
fn read_manifest(manifest: &Path) -> Outcome<toml_edit::Document<String>> {
    let text = std::fs::read_to_string(manifest)
        .map_err(Failure::when(format!("cannot read {}", manifest.display())))?;
    let wrong = format!("{} is not a manifest", manifest.display());
    toml_edit::Document::parse(text).map_err(Failure::when(wrong))
}

/// The package in `folder` and its workspace.
pub fn package(project: &Project, folder: &Path) -> Outcome<Package> {
    let manifest = folder.join("Cargo.toml");
    let document = read_manifest(&manifest)?;
    let name = document
        .get("package")
        .and_then(|package| package.get("name"))
        .and_then(|name| name.as_str())
        .ok_or_else(|| Failure::new(format!("{} has no package name", manifest.display())))?
        .to_owned();
    let folder = folder
        .canonicalize()
        .map_err(Failure::when(format!("cannot find {}", folder.display())))?;
    let root = project
        .root
        .canonicalize()
        .map_err(Failure::when("cannot find the repository"))?;
    // A package in the repository may still be a workspace of its own, as the guide's is.
    let own = document.contains_key("workspace");
    let workspace = if folder.starts_with(&root) && !own {
        root
    } else {
        workspace_of(&folder)?
    };
    Ok(Package { name, workspace })
}

/// Builds the kernel: its program, and how many crates were compiled for it.
pub fn build_kernel(project: &Project) -> Outcome<(PathBuf, usize)> {
    let mut cargo = build(project, &project.root, "kernel", &KERNEL_FLAGS);
    cargo.args(["--package", "kern"]);
    let built = artifacts::run(cargo)?;
    let program = built.programs.get("kern").cloned();
    let program = program.ok_or_else(|| Failure::new("cargo built no kernel"))?;
    Ok((program, built.compiled))
}

/// Builds task packages of one workspace.
pub fn build_tasks(
    project: &Project,
    workspace: &Path,
    packages: &[(usize, Package)],
) -> Outcome<Artifacts> {
    let mut cargo = build(project, workspace, "tasks", &TASK_FLAGS);
    for (_, package) in packages {
        cargo.args(["--package", &package.name]);
    }
    if workspace != project.root {
        cargo.args(profile(project)?);
    }
    artifacts::run(cargo)
}

/// Lints packages of one workspace as they are built for the target; a warning is an error.
pub fn clippy(project: &Project, workspace: &Path, packages: &BTreeSet<String>) -> Outcome<()> {
    let mut cargo = command(project, workspace, "clippy", "lint", &[]);
    // Libraries and programs: what a build without further options builds.
    cargo.arg("--quiet");
    for package in packages {
        cargo.args(["--package", package]);
    }
    let status = cargo
        .args(["--", "-D", "warnings"])
        .status()
        .map_err(Failure::when("cannot run cargo"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::Shown)
    }
}

/// What stands for the repository in the paths that programs have of their sources.
pub const ROOT: &str = "/portcullis";

fn build(project: &Project, workspace: &Path, folder: &str, flags: &[&str]) -> Command {
    let mut cargo = command(project, workspace, "build", folder, flags);
    cargo.arg("--bins");
    cargo
}

/// A command of cargo's for the target with these flags of the compiler. Each set of flags has a folder of its
/// own below the target directory, because cargo builds everything again if its flags differ from those of the
/// last build in the folder. Paths that would differ from one checkout to the next are mapped to fixed ones, so
/// that the same source gives the same bytes anywhere.
fn command(project: &Project, workspace: &Path, verb: &str, kind: &str, flags: &[&str]) -> Command {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap_or_default();
    let mut flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    let (folder, app) = if workspace == project.root {
        (kind.to_owned(), ROOT)
    } else {
        (format!("{kind}-{}", tag(workspace)), "/app")
    };
    let folder = project.target.join(folder);
    // The last that matches counts: the target directory may lie in the repository.
    for (from, to) in [
        (home.as_path(), "/cargo"),
        (project.root.as_path(), ROOT),
        (workspace, app),
        (folder.as_path(), &format!("/target/{kind}")),
    ] {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    }
    let flags: Vec<toml_edit::Value> = flags.into_iter().map(Into::into).collect();
    let flags: toml_edit::Array = flags.into_iter().collect();
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(workspace)
        .args([verb, "--release", "--target", TARGET])
        .arg("--target-dir")
        .arg(folder)
        .arg("--config")
        .arg(format!("target.{TARGET}.rustflags={flags}"))
        // The log's level is decided when the macros expand; the default hides all but errors.
        .env("DEFMT_LOG", "trace")
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .stdin(Stdio::null());
    command
}

/// The repository's release profile, for workspaces elsewhere.
fn profile(project: &Project) -> Outcome<Vec<String>> {
    let document = read_manifest(&project.root.join("Cargo.toml"))?;
    let profile = document
        .get("profile")
        .and_then(|profile| profile.get("release"))
        .and_then(|release| release.as_table_like());
    Ok(profile
        .into_iter()
        .flat_map(|profile| profile.iter())
        // Tables below are of single packages here, which other workspaces do not have.
        .filter(|(_, value)| value.is_value())
        .flat_map(|(key, value)| {
            let value = value.to_string();
            [
                "--config".to_owned(),
                format!("profile.release.{key}={}", value.trim()),
            ]
        })
        .collect())
}

/// A short name for a folder that no other folder has.
fn tag(folder: &Path) -> String {
    let hash = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    let digits = hash.iter().take(6).map(|byte| format!("{byte:02x}"));
    digits.collect()
}

fn workspace_of(folder: &Path) -> Outcome<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(folder)
        .args(["locate-project", "--workspace", "--message-format", "plain"])
        .output()
        .map_err(Failure::when("cannot run cargo"))?;
    if !output.status.success() {
        return Err(Failure::new(
            String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        ));
    }
    let manifest = String::from_utf8_lossy(&output.stdout);
    Path::new(manifest.trim())
        .parent()
        .map(Path::to_path_buf)
        .ok_or_else(|| Failure::new(format!("no workspace around {}", folder.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// The value behind an option.
    fn option(command: &Command, name: &str) -> String {
        let mut words = command.get_args().map(|word| word.to_string_lossy());
        words.find(|word| word == name);
        words.next().unwrap_or_default().into_owned()
    }

    /// Cargo compiles everything again that was built with other flags in the same folder.
    #[test]
    fn builds_with_other_flags_are_elsewhere() {
        let project = Project::at("/work/portcullis".into());
        let mut flags_of = BTreeMap::new();
        for workspace in [
            "/work/portcullis",
            "/work/portcullis/docs/guide/first-driver",
            "/work/one",
            "/work/two",
        ] {
            for (kind, scripts) in [
                ("kernel", &["k.ld"][..]),
                ("tasks", &["task.ld"]),
                ("lint", &[]),
            ] {
                let cargo = command(&project, Path::new(workspace), "build", kind, scripts);
                let folder = option(&cargo, "--target-dir");
                let flags = option(&cargo, "--config");
                assert!(folder.starts_with("/work/portcullis/target/"));
                assert!(
                    flags.contains(&format!("{folder}=/target/{kind}")),
                    "{flags}"
                );
                let known = flags_of.entry(folder).or_insert_with(|| flags.clone());
                assert_eq!(*known, flags);
            }
        }
        assert_eq!(flags_of.len(), 12);
    }
}
