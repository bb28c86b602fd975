//! cargo-mutants: changes one expression of the source at a time and looks whether the host tests of the crate notice. What it changes
//! of the kernel's core and of the servers that the promises rest on, and nothing there notices, is a failed case here.
//!
//! What was judged to change nothing that anybody can see is left out by `.cargo/mutants.toml`, each with its reason.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Case, Outcome};
use planner::failure::{self, Failure};

/// The beginning of the names of these runs.
pub const MUTATIONS: &str = "mutations";
/// Pinned, so that two runs make the same changes.
const VERSION: &str = "27.1.0";
const PACKAGES: [&str; 3] = ["kern", "iommu", "pci"];
/// The files that cargo-mutants writes: whether a test noticed the change, or the change hung one, or it
/// did not build.
const RESULTS: [(&str, Option<&str>); 3] = [
    ("caught.txt", None),
    ("timeout.txt", None),
    ("missed.txt", Some("no test notices")),
];
/// Exit codes of a run to the end: all caught; some missed; some hung.
const TO_THE_END: [i32; 3] = [0, 2, 3];

/// Runs the packages whose runs' names (`mutations::kern`) begin with the filter; `show` gets each change.
///
/// # Errors
/// If no package is meant, or cargo-mutants cannot be installed or does not come to its end.
pub fn mutations(
    root: &Path,
    target: &Path,
    filter: &str,
    show: &mut dyn FnMut(Case),
) -> failure::Outcome<()> {
    let meant = PACKAGES.iter().filter(|package| is_meant(package, filter));
    let mut meant = meant.peekable();
    if meant.peek().is_none() {
        return Err(Failure::new(format!(
            "there is no run `{filter}`; known are {MUTATIONS} and {MUTATIONS}:: with {}",
            PACKAGES.join(", ")
        )));
    }
    if !is_installed() {
        install()?;
    }
    for package in meant {
        let folder = target.join(MUTATIONS).join(package);
        run(root, package, &folder)?;
        for (file, missed) in RESULTS {
            let file = folder.join("mutants.out").join(file);
            let text = std::fs::read_to_string(&file)
                .map_err(Failure::when(format!("cannot read {}", file.display())))?;
            for change in text.lines() {
                let outcome = missed.map_or(Outcome::Passed, |why| Outcome::Failed(why.to_owned()));
                show(Case::new(
                    format!("{MUTATIONS}::{package}::{change}"),
                    outcome,
                ));
            }
        }
    }
    Ok(())
}

fn is_meant(package: &str, filter: &str) -> bool {
    format!("{MUTATIONS}::{package}").starts_with(filter)
}

/// Runs the mutations of a package, in a copy of the source; progress is shown as it goes.
fn run(root: &Path, package: &str, folder: &PathBuf) -> failure::Outcome<()> {
    std::fs::create_dir_all(folder)
        .map_err(Failure::when(format!("cannot make {}", folder.display())))?;
    let status = Command::new("cargo")
        .args(["mutants", "--package", package, "--no-shuffle", "--output"])
        .arg(folder)
        .args(["--", "--lib"])
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .map_err(Failure::when("cannot run cargo"))?;
    if status.code().is_some_and(|code| TO_THE_END.contains(&code)) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "cargo mutants did not come to the end of {package}: {status}"
    )))
}

fn is_installed() -> bool {
    let version = Command::new("cargo")
        .args(["mutants", "--version"])
        .output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(VERSION))
}

fn install() -> failure::Outcome<()> {
    let arguments = ["install", "cargo-mutants", "--locked", "--version", VERSION];
    let status = Command::new("cargo")
        .args(arguments)
        .status()
        .map_err(Failure::when("cannot run cargo"))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "cargo-mutants cannot be installed\n  try `cargo {}`",
        arguments.join(" ")
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_their_packages() {
        let meant = |filter: &str| PACKAGES.map(|package| is_meant(package, filter));
        assert_eq!(meant("mutations"), [true; 3]);
        assert_eq!(meant("mutations::iommu"), [false, true, false]);
        assert_eq!(meant("mutations::xtask"), [false; 3]);
    }

    #[test]
    fn a_run_that_is_unknown_is_an_error() {
        let path = Path::new("/nonexistent");
        let run = mutations(path, path, "mutations::xtask", &mut |_| ());
        let Err(Failure::Message(why)) = run else {
            panic!("{run:?}");
        };
        assert!(why.contains("mutations::xtask") && why.contains("kern, iommu, pci"));
    }
}
