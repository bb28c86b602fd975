//! Imports and plans every device tree blob below a folder: `cargo run -p planner --example sweep -- DIR`.
//! Trees of machines without an SMMUv3 are passed over. A refusal is printed with its reason.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use import::AcsState;
use planner::board;
use planner::planning::Plan;
use planner::project::Project;
use planner::read;
use planner::report::Report;

fn main() -> ExitCode {
    let folder = std::env::args().nth(1).unwrap_or_else(|| ".".into());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let project = Project::at(root);
    let mut blobs = Vec::new();
    find(Path::new(&folder), &mut blobs);
    blobs.sort();
    let (mut with, mut planned, mut wrong) = (0, 0, 0);
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for path in &blobs {
        let Ok(blob) = std::fs::read(path) else {
            continue;
        };
        if !blob.windows(11).any(|window| window == b"arm,smmu-v3") {
            continue;
        }
        with += 1;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let description = match import::device_tree::read(&blob) {
            Ok(tree) => board::described(None, Some(&tree), AcsState::AsIs),
            Err(errors) => {
                for error in errors {
                    refused
                        .entry(error.to_string())
                        .or_default()
                        .push(name.to_string());
                }
                continue;
            }
        };
        let Ok(description) = description else {
            continue;
        };
        let report = Report::default();
        let text = description.text.clone();
        let app = read::from_text(&report, &project, Path::new("imported.toml"), text);
        match app.and_then(|app| Plan::new(&report, app)) {
            Ok(plan) => {
                planned += 1;
                println!(
                    "{name}: {} SMMUs, {} hosts, {} devices",
                    plan.app.platform.smmus().len(),
                    plan.app.roots.len(),
                    plan.app.devices.len()
                );
            }
            Err(_) => {
                wrong += 1;
                println!("{name}: NOT PLANNED\n{}", report.text());
            }
        }
    }
    for (reason, names) in &refused {
        println!(
            "refused, {} trees: {reason}\n  {}",
            names.len(),
            names.join(" ")
        );
    }
    let count: usize = refused.values().map(Vec::len).sum();
    println!(
        "{} blobs, {with} name an SMMUv3: {planned} planned, {count} refusals, {wrong} imported and not planned",
        blobs.len()
    );
    if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn find(folder: &Path, blobs: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            find(&path, blobs);
        } else if path.extension().is_some_and(|end| end == "dtb") {
            blobs.push(path);
        }
    }
}
