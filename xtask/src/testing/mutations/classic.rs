//! cargo-mutants itself: it builds the crate anew for each change, for those that cannot be switched, such as constants.

use std::path::Path;
use std::process::{Command, Stdio};

use super::judge::Verdict;
use super::list::{Change, Genre};
use planner::failure::{self, Failure};

/// Pinned, so that two runs make the same changes.
const VERSION: &str = "27.1.0";
/// The files that cargo-mutants writes.
const RESULTS: [(&str, Verdict); 4] = [
    ("caught.txt", Verdict::Caught),
    ("timeout.txt", Verdict::Hung),
    ("missed.txt", Verdict::Missed),
    ("unviable.txt", Verdict::Unbuildable),
];
/// Exit codes of a run to the end: all caught; some missed; some hung.
const TO_THE_END: [i32; 3] = [0, 2, 3];

/// Makes these changes, one after the other.
///
/// # Errors
/// If cargo-mutants does not come to its end.
pub fn run<'c>(
    root: &Path,
    package: &str,
    folder: &Path,
    changes: &[&'c Change],
) -> failure::Outcome<Vec<(&'c Change, Verdict)>> {
    if changes.is_empty() {
        return Ok(Vec::new());
    }
    let mut command = Command::new("cargo");
    command
        .args(["mutants", "--package", package, "--no-shuffle"])
        .args(["--baseline", "skip", "--timeout", "120", "--output"])
        .arg(folder);
    if changes
        .iter()
        .all(|change| change.genre != Genre::StructField)
    {
        // Whatever expression it is given, cargo-mutants makes changes of this genre.
        command.args(["--exclude-re", ": delete field "]);
    }
    for change in changes {
        command.arg("--re").arg(exactly(&change.full_name));
    }
    let status = command
        .args(["--", "--lib"])
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .map_err(Failure::when("cannot run cargo"))?;
    if !status.code().is_some_and(|code| TO_THE_END.contains(&code)) {
        return Err(Failure::new(format!(
            "cargo mutants did not come to the end of {package}: {status}"
        )));
    }
    let mut verdicts = Vec::new();
    for (file, verdict) in RESULTS {
        let file = folder.join("mutants.out").join(file);
        let text = std::fs::read_to_string(&file)
            .map_err(Failure::when(format!("cannot read {}", file.display())))?;
        for name in text.lines() {
            let of = changes.iter().find(|change| change.full_name == name);
            verdicts.extend(of.map(|change| (*change, verdict)));
        }
    }
    Ok(verdicts)
}

/// A regular expression that only this name fits.
fn exactly(name: &str) -> String {
    let mut expression = String::from("^");
    for character in name.chars() {
        if !character.is_alphanumeric() && !character.is_whitespace() && character != '_' {
            expression.push('\\');
        }
        expression.push(character);
    }
    expression.push('$');
    expression
}

/// Whether the version is there that this file pins.
pub fn is_installed() -> bool {
    let version = Command::new("cargo")
        .args(["mutants", "--version"])
        .output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(VERSION))
}

/// Installs it.
///
/// # Errors
/// If that fails; with the command to try.
pub fn install() -> failure::Outcome<()> {
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
    fn a_name_is_no_expression() {
        assert_eq!(
            exactly("a.rs:1: replace | with ^"),
            r"^a\.rs\:1\: replace \| with \^$"
        );
    }
}
