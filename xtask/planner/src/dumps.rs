//! What `import` writes, `plan` takes: every dump that the tests have, each with some harm done to it.

use std::path::{Path, PathBuf};

use import::AcsState;
use solver::solution::Mode;

use crate::board;
use crate::planning::Plan;
use crate::project::Project;
use crate::read;
use crate::report::Report;

fn project() -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Project::at(root.canonicalize().unwrap())
}

/// All dumps below `tests/data`.
fn dumps() -> Vec<(PathBuf, String)> {
    let mut folders = vec![
        project().root.join("tests/data/dumps"),
        project().root.join("tests/data/oracles"),
    ];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                folders.push(path);
            } else if folder.ends_with("dumps") && name.ends_with(".txt")
                || name.starts_with("lspci")
            {
                let text = import::decode(&std::fs::read(&path).unwrap());
                found.push((path, text));
            }
        }
    }
    assert!(found.len() >= 8, "dumps are missing: {found:?}");
    found
}

/// Imports and plans; what is wrong, or `None` if the text was refused.
fn planned(text: &str, acs: AcsState, mode: Mode) -> Option<Result<Plan, String>> {
    let written = board::describe(Some(text), None, acs).ok()?.text;
    let report = Report::default();
    let app = read::from_text(&report, &project(), Path::new("imported.toml"), written);
    let plan = app.and_then(|mut app| {
        app.iommu.mode = mode;
        Plan::new(&report, app)
    });
    Some(plan.map_err(|_| report.text()))
}

/// The dump with every `nth` function (from `first`) reading as ones.
fn silenced(text: &str, first: usize, nth: usize) -> String {
    let mut count = 0;
    let mut silent = false;
    let lines = text.lines().map(|line| {
        let offset = line.split_once(": ").filter(|(at, _)| at.len() <= 3);
        if let Some((offset, _)) = offset.filter(|_| silent) {
            return format!("{offset}:{}\n", " ff".repeat(16));
        }
        if offset.is_none() && line.contains('.') && line.contains(':') && !line.starts_with('\t') {
            silent = count % nth == first;
            count += 1;
        }
        format!("{line}\n")
    });
    lines.collect()
}

#[test]
fn what_import_writes_plan_takes() {
    let mut taken = 0;
    for (path, text) in dumps() {
        let mut texts = vec![
            text.clone(),
            text.replace('\n', "\r\n"),
            text.replace("0000:", "10001:"),
        ];
        texts.extend((0..4).map(|first| silenced(&text, first, 4)));
        for (index, text) in texts.iter().enumerate() {
            for (acs, mode) in [
                (AcsState::AsIs, Mode::Strict),
                (AcsState::Enabled, Mode::Linux),
            ] {
                match planned(text, acs, mode) {
                    Some(Ok(_)) => taken += 1,
                    Some(Err(said)) => panic!("{}, change {index}:\n{said}", path.display()),
                    None => assert!(index >= 3, "{} is refused", path.display()),
                }
            }
        }
    }
    assert!(taken >= 60, "few of them were taken: {taken}");
}

/// A sleeper is in the plan, and nobody can drive it by mistake.
#[test]
fn sleepers_are_planned_as_blocked() {
    let file = project()
        .root
        .join("tests/data/oracles/t1/acpi/lspci-Dnxxxx.txt");
    let text = std::fs::read_to_string(file).unwrap();
    let functions = text.matches("\n\n").count();
    let mut sleeping = 0;
    for first in 0..functions {
        let Some(plan) = planned(
            &silenced(&text, first, functions),
            AcsState::AsIs,
            Mode::Strict,
        ) else {
            continue;
        };
        let plan = plan.unwrap_or_else(|said| panic!("{said}"));
        let blocked = plan
            .app
            .devices
            .iter()
            .filter(|device| device.domain.is_some());
        sleeping += blocked.count();
    }
    assert!(sleeping >= 6, "{sleeping}");
}
