//! The cases of a suite, as its crate of cases tells them on the host: no image is built or started for that.

use std::path::Path;
use std::process::{Command, Stdio};

use planner::failure::{Failure, Outcome};

/// A case. Its number is its place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub name: String,
    /// Numbers of the requirements that it tests.
    pub requirements: Vec<String>,
}

/// The cases of the suite in `folder`, in their order. The program that lists them has the folder's name in its own, since
/// several suites are listed at the same time into one target folder.
pub fn cases(folder: &Path) -> Outcome<Vec<Listed>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = folder.join("cases/Cargo.toml");
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let cannot = || format!("the cases of {} cannot be listed", folder.display());
    let output = Command::new(cargo)
        .args(["run", "--quiet", "--example"])
        .arg(format!("list-{name}"))
        .arg("--manifest-path")
        .arg(&manifest)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::when(cannot()))?;
    if !output.status.success() {
        return Err(Failure::new(cannot()));
    }
    Ok(parse(&String::from_utf8_lossy(&output.stdout)))
}

/// A line a case: its name, then its requirements.
fn parse(list: &str) -> Vec<Listed> {
    let mut cases = Vec::new();
    for line in list.lines() {
        let mut words = line.split_whitespace().map(str::to_owned);
        if let Some(name) = words.next() {
            let requirements = words.collect();
            cases.push(Listed { name, requirements });
        }
    }
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_list() {
        let cases = parse("first A-1 A-2\nsecond\n");
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].name, "first");
        assert_eq!(cases[0].requirements, ["A-1", "A-2"]);
        assert!(cases[1].requirements.is_empty());
    }
}
