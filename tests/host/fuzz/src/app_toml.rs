//! `app.toml`: a text is planned and shown, or refused with diagnostics.

use std::path::{Path, PathBuf};

use builder::show;
use planner::planning::Plan;
use planner::project::Project;
use planner::read;
use planner::report::Report;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// What `cargo xtask plan` makes of the text of an `app.toml` at the root of the repository, in every form; or all
/// the diagnostics with which it refuses it.
fn plan(text: &str) -> Result<String, String> {
    let project = Project::at(root());
    let report = Report::default();
    let app = read::from_text(&report, &project, Path::new("app.toml"), text.to_owned());
    let plan = app.and_then(|app| Plan::new(&report, app));
    let Ok(plan) = plan else {
        return Err(report.text());
    };
    let mut shown = show::text(&plan, None);
    shown.push_str(&show::json(&plan, None));
    shown.push_str(&show::svg(&plan));
    for name in show::names(&plan) {
        shown.extend(show::why(&plan, name));
    }
    Ok(shown)
}

/// Any text.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match plan(&text) {
        Ok(shown) => assert!(!shown.is_empty()),
        Err(said) => assert!(said.contains("error[P"), "refused without a reason: {said}"),
    }
}

/// The demo, and a system of bridges and alias sets, as if it lay at the root.
pub fn seeds() -> Vec<Vec<u8>> {
    ["app.toml", "tests/systems/alias/app.toml"]
        .iter()
        .map(|file| {
            let path = root().join(file);
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            text.replace("\"../../../", "\"").into_bytes()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes start from what is accepted.
    #[test]
    fn seeds_are_systems() {
        for seed in seeds() {
            let text = String::from_utf8(seed).expect("text");
            assert_eq!(plan(&text).err(), None);
        }
    }
}
