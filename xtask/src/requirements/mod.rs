//! Which cases hold an implementation to which requirement of the reference.
//!
//! Requirements are defined in `docs/reference`, a bullet each: `* **IPC-SEND-1** ...`. Three kinds of tests
//! name them: cases on target in their own table, which their crate's example `list` prints; host tests and
//! whole images in `tests/coverage.toml`.

mod elsewhere;
mod numbered;
mod table;

use std::collections::BTreeSet;
use std::path::Path;

use elsewhere::Elsewhere;
use numbered::requirements;
pub use table::Table;
use table::Test;

use crate::systems;
use crate::testing;
use planner::failure::{Failure, Outcome};

/// The documents that have requirements, below the project's root.
const REFERENCES: [&str; 7] = [
    "docs/reference/shutdown.md",
    "docs/reference/ipc.md",
    "docs/reference/iommu-protocol.md",
    "docs/reference/pci-protocol.md",
    "docs/reference/block-protocol.md",
    "docs/reference/frame-protocol.md",
    "docs/reference/status-protocol.md",
];
/// The folder of the suite whose cases name rows of another document: the table of the SMMU's rules, for which the
/// tests of the SMMU model answer.
const OF_RULES: &str = "tests/suites/raw-smmu";
/// Tests that are no cases of a suite.
const ELSEWHERE: &str = "tests/coverage.toml";

/// Reads everything; `images` are the names of the images that a test run runs.
pub fn table(root: &Path, images: &[String]) -> Outcome<Table> {
    let mut all = Vec::new();
    for reference in REFERENCES {
        all.extend(requirements(&read(&root.join(reference))?));
    }
    let mut table = Table::new(all);
    let mut known = BTreeSet::new();
    let rules = systems::tidy(&root.join(OF_RULES));
    for suite in testing::images(root)? {
        // Some images run the same cases.
        let folder = suite.app.parent().unwrap_or(root).to_owned();
        if folder != rules && known.insert(folder) {
            for case in suite.cases()? {
                let requirements = case.requirements.iter().map(String::as_str);
                table.add(&Test::new(
                    format!("{}::{}", suite.name, case.name),
                    requirements,
                ));
            }
        }
    }
    let elsewhere = Elsewhere::parse(&read(&root.join(ELSEWHERE))?)
        .map_err(|why| Failure::new(format!("{ELSEWHERE}: {why}")))?;
    for (folder, names) in elsewhere.functions() {
        let sources = sources(&root.join(folder))?;
        for name in names {
            if !sources.iter().any(|source| has_test(source, name)) {
                table.complain(format!("{folder} has no test `{name}`"));
            }
        }
    }
    for name in elsewhere.images() {
        if !images.iter().any(|image| image == name) {
            table.complain(format!("no image `{name}` is tested"));
        }
    }
    for test in elsewhere.tests() {
        table.add(&test);
    }
    Ok(table)
}

fn read(path: &Path) -> Outcome<String> {
    std::fs::read_to_string(path).map_err(Failure::when(format!("cannot read {}", path.display())))
}

/// Whether a source has a test of this name: a function that is marked as one, and not only a function.
pub fn has_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim_start).collect();
    let head = format!("fn {name}(");
    let marked = |at: usize| {
        let before = lines.get(..at).unwrap_or_default().iter().rev();
        let mut marks = before.take_while(|line| line.starts_with("#[") || line.starts_with("//"));
        marks.any(|line| *line == "#[test]")
    };
    let mut heads = lines.iter().enumerate();
    heads.any(|(at, line)| line.starts_with(&head) && marked(at))
}

/// Contents of all Rust files below a folder.
pub fn sources(folder: &Path) -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder)
            .map_err(Failure::when(format!("cannot read {}", folder.display())))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(read(&path)?);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_marked_function_is_a_test() {
        let source = "fn help(a: u8) {}\n\
            #[test]\nfn plain() {}\n    /// Text.\n    #[test]\n    #[ignore]\n    // Why.\n    fn marked(\n\
            #[test]\n\nfn apart() {}\n#[test_case]\nfn other() {}\n// fn quoted() {}\n";
        assert!(has_test(source, "plain") && has_test(source, "marked"));
        for name in ["help", "apart", "other", "quoted", "plai", "mark"] {
            assert!(!has_test(source, name), "{name}");
        }
    }

    /// The reference asks for nothing that no test asserts.
    #[test]
    fn every_requirement_has_a_case() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let suites = testing::images(&root).unwrap_or_else(|_| panic!("cannot be read"));
        let suites = suites.into_iter().map(|suite| suite.name);
        let systems = testing::systems(&root).unwrap_or_else(|_| panic!("cannot be read"));
        let systems = systems.into_iter().map(|system| system.name);
        let images: Vec<String> = suites.chain(systems).collect();
        let table = table(&root, &images).unwrap_or_else(|_| panic!("cannot be read"));
        assert!(table.is_complete(), "{}", table.summary());
    }
}
