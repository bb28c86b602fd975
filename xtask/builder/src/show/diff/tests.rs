//! Plans that differ, and what is said of it.

use std::path::{Path, PathBuf};

use super::*;
use planner::read::{self, Paths};
use planner::report::Report;

const SAME: &str = "no device reaches anything else than before\n";

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

fn plan(text: &str) -> Plan {
    let report = Report::default();
    let paths = Paths { root: root() };
    let app = read::from_text(&report, &paths, "app.toml".as_ref(), text.to_owned());
    app.and_then(|app| Plan::new(&report, app))
        .unwrap_or_else(|_| panic!("{}", report.text()))
}

fn demo() -> String {
    std::fs::read_to_string(root().join("app.toml")).unwrap()
}

fn differences(old: &str, new: &str) -> String {
    let json = crate::show::json(&plan(old), None);
    diff(&json, &plan(new)).unwrap_or_else(|why| panic!("{why:?}"))
}

/// The lines about reach.
fn reach(old: &str, new: &str) -> Vec<String> {
    let text = differences(old, new);
    let lines = text.lines().filter(|line| !line.starts_with('~'));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_client_that_may_lend_is_a_difference() {
    let with = demo();
    let without = with.replace(r#"["supervisor", "virtio-blk"]"#, r#"["supervisor"]"#);
    assert_eq!(differences(&with, &with), SAME);
    assert_eq!(
        reach(&without, &with),
        [
            "+ disk0: reaches up to 64 lent buffers at once, before 0",
            "+ disk0: can now reach buffers that `digest` lends"
        ]
    );
    assert_eq!(
        reach(&with, &without),
        [
            "- disk0: reaches up to 0 lent buffers at once, before 64",
            "- disk0: can no longer reach buffers that `digest` lends"
        ]
    );
}

#[test]
fn a_pool_that_grew_is_a_difference() {
    let old = demo();
    let new = old.replacen("dma-pool = \"256 KiB\"", "dma-pool = \"512 KiB\"", 1);
    assert_eq!(
        reach(&old, &new),
        ["+ disk0: reaches 512 KiB of pool `pool` of `virtio-blk`, before 256 KiB"]
    );
    assert_eq!(
        reach(&new, &old),
        ["- disk0: reaches 256 KiB of pool `pool` of `virtio-blk`, before 512 KiB"]
    );
}

#[test]
fn a_watcher_is_a_difference() {
    let old = demo();
    let digest = "[tasks.digest]\n";
    let driver = "drives = [\"disk0\"]\n";
    assert!(old.contains(digest) && old.contains(driver));
    let new = old
        .replace(digest, "[tasks.digest]\nwatches = [\"disk0\"]\n")
        .replace(driver, "drives = [\"disk0\"]\ntrusts = [\"digest\"]\n");
    assert_eq!(
        reach(&old, &new),
        ["+ disk0: `digest` now has its registers (watches)"]
    );
}

#[test]
fn a_plan_of_an_earlier_version_is_no_plan_of_nothing() {
    let plan = plan(&demo());
    let mut old: Value = serde_json::from_str(&crate::show::json(&plan, None)).unwrap();
    old.as_object_mut().unwrap().remove("registers");
    old["reach"]["disk0"]
        .as_object_mut()
        .unwrap()
        .remove("pools");
    let text = diff(&old.to_string(), &plan).unwrap();
    assert!(text.starts_with(SAME), "{text}");
    assert!(text.contains("\n~ reach.disk0.pools is new: "), "{text}");
    assert!(text.contains("\n~ registers is new: "), "{text}");
}

/// Every leaf of a document: its path, and another value.
fn changes(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                changes(item, &format!("{path}/{index}"), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                changes(item, &format!("{path}/{key}"), found);
            }
        }
        Value::Null => {}
        Value::Number(number) => {
            let other = number.as_u64().unwrap() + 1;
            found.push((path.to_owned(), other.into()));
        }
        Value::Bool(flag) => found.push((path.to_owned(), (!flag).into())),
        Value::String(text) => found.push((path.to_owned(), format!("{text}x").into())),
    }
}

/// Whatever the report says, a change of it is told, or the file is refused: in the demo, and where there are platform
/// devices, direct regions, identity and persistent domains, waivers and a bypass.
#[test]
fn no_change_of_any_word_is_silent() {
    let mut changed = 0;
    for file in [
        "app.toml",
        "tests/systems/non-pci/app.toml",
        "tests/suites/iommu/app.toml",
        "tests/systems/persistent/app.toml",
        "tests/systems/bypass/app.toml",
        "tests/systems/alias/app.toml",
    ] {
        let report = Report::default();
        let paths = Paths { root: root() };
        let app = read::load(&report, &paths, &root().join(file));
        let plan = app.and_then(|app| Plan::new(&report, app));
        let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
        let new: Value = serde_json::from_str(&crate::show::json(&plan, None)).unwrap();
        assert_eq!(compared(&new, &new).unwrap(), SAME);
        let mut all = Vec::new();
        changes(&new, "", &mut all);
        for (path, other) in &all {
            let mut old = new.clone();
            *old.pointer_mut(path).unwrap() = other.clone();
            let said = parse(&old.to_string()).and_then(|old| compared(&old, &new));
            assert!(said.is_err() || said.unwrap() != SAME, "{file}: {path}");
        }
        changed += all.len();
    }
    assert!(changed > 2000, "{changed} words");
}
