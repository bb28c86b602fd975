//! `docs/reference/plan.md` lists the codes that the solver has.

use std::path::PathBuf;

use solver::{Code, Severity};

fn table() -> String {
    Code::ALL
        .iter()
        .map(|code| {
            let severity = match code.severity() {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            format!("| {code} | {severity} | {} |\n", code.title())
        })
        .collect()
}

#[test]
fn the_document_lists_every_code() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../docs/reference/plan.md"]
        .iter()
        .collect();
    let text = std::fs::read_to_string(&path).expect("the document");
    let (_, rest) = text
        .split_once("| code | | |\n|---|---|---|\n")
        .expect("the table");
    assert!(
        rest.starts_with(&table()),
        "the table has to be:\n{}",
        table()
    );
}
