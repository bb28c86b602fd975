//! Host tests: `cargo test` over the workspace, its results read from what it prints.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use super::{Outcome, Result};
use crate::failure::{self, Failure};

/// Runs the tests whose names contain `filter`; `show` gets each result as it comes.
pub fn host(
    root: &Path,
    filter: Option<&str>,
    mut show: impl FnMut(&Result),
) -> failure::Outcome<Vec<Result>> {
    let mut command = cargo(root);
    command.arg("--no-fail-fast").arg("--").args(filter);
    let mut results = Vec::new();
    let mut details = Vec::new();
    let ok = lines(command, |line| match result(line) {
        Some(result) => {
            show(&result);
            results.push(result);
        }
        None => details.push(line.to_owned()),
    })?;
    let failed = results
        .iter()
        .any(|result| matches!(result.outcome, Outcome::Failed(_)));
    if failed || !ok {
        for line in details.iter().filter(|line| !is_noise(line)) {
            println!("{line}");
        }
    }
    if !ok && !failed {
        // A program that does not compile, or that died: cargo has said which.
        results.push(Result {
            name: "host tests".to_owned(),
            outcome: Outcome::Failed("cargo test failed".to_owned()),
        });
    }
    Ok(results)
}

/// Names of the host tests.
pub fn host_list(root: &Path, filter: Option<&str>) -> failure::Outcome<Vec<String>> {
    let mut command = cargo(root);
    command.args(["--", "--list"]).args(filter);
    let mut names = Vec::new();
    lines(command, |line| {
        names.extend(line.strip_suffix(": test").map(str::to_owned));
    })?;
    Ok(names)
}

fn cargo(root: &Path) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command
        .current_dir(root)
        .args(["test", "--workspace", "--lib", "--bins", "--tests"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    command
}

fn lines(mut command: Command, mut each: impl FnMut(&str)) -> failure::Outcome<bool> {
    let mut child = command.spawn().map_err(Failure::when("cannot run cargo"))?;
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        each(&line.map_err(Failure::when("cannot read what cargo says"))?);
    }
    let status = child
        .wait()
        .map_err(Failure::when("cannot wait for cargo"))?;
    Ok(status.success())
}

/// A result as libtest prints it: `test NAME ... ok`.
fn result(line: &str) -> Option<Result> {
    let (name, word) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let outcome = match word.split(',').next()?.trim() {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed(String::new()),
        "ignored" => Outcome::Skipped(String::new()),
        _ => return None,
    };
    Some(Result {
        name: name.trim_end_matches(" - should panic").to_owned(),
        outcome,
    })
}

fn is_noise(line: &str) -> bool {
    line.is_empty() || line.starts_with("running ") || line.starts_with("test result: ok")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_libtest() {
        let outcome = |line| result(line).map(|result| result.outcome);
        assert_eq!(outcome("test a::b ... ok"), Some(Outcome::Passed));
        assert_eq!(
            outcome("test a ... FAILED"),
            Some(Outcome::Failed(String::new()))
        );
        assert_eq!(outcome("test result: ok. 3 passed"), None);
        assert_eq!(
            result("test a - should panic ... ok").map(|result| result.name),
            Some("a".to_owned())
        );
    }
}
