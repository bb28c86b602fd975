//! `tests/configs`: one file for each mistake, with the diagnostic it must give beside it.

use std::path::Path;

use crate::planning::Plan;
use crate::read::{self, Paths};
use crate::report::Report;

/// What reading and planning say about `tests/configs/NAME.toml`.
fn diagnose(root: &Path, file: &Path) -> String {
    let paths = Paths {
        root: root.to_path_buf(),
    };
    let report = Report::default();
    let plan = read::load(&report, &paths, file).and_then(|app| Plan::new(&report, app));
    let outcome = if plan.is_ok() { "accepted\n" } else { "" };
    let text = format!("{}{outcome}", report.text());
    text.replace(&format!("{}/", root.display()), "")
}

/// With `BLESS=1` the expectations are written instead of compared; the difference is then reviewed.
#[test]
fn every_mistake_gives_its_diagnostic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap();
    let folder = root.join("tests/configs");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    cases.sort();
    assert!(cases.len() >= 20, "cases are missing");
    let mut wrong = Vec::new();
    for case in cases {
        let found = diagnose(&root, &case);
        assert_ne!(found, "accepted\n", "{} is no mistake", case.display());
        let expectation = case.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expectation, &found).unwrap();
        }
        if std::fs::read_to_string(&expectation).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
