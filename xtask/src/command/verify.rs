//! `verify`: the second opinion on an image that was built.

use std::path::Path;

use crate::output::say;
use crate::steps;
use builder::pack::verified;
use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// Compares the image of a folder with the plan beside it; without a folder, that of the app.toml at the root.
pub fn run(project: &Project, dist: Option<&Path>) -> Outcome<u8> {
    let folder = match dist {
        Some(folder) => folder.to_path_buf(),
        None => steps::build(project, None)?.dist.folder,
    };
    let read = |name: &str| {
        let file = folder.join(name);
        let cannot = format!("cannot read {}", file.display());
        std::fs::read(&file).map_err(Failure::when(cannot))
    };
    let (image, plan) = (read("image")?, read("plan.json")?);
    let verified = verified(&image, &String::from_utf8_lossy(&plan))?;
    say!(
        "{}: {} tasks, {} stream table entries, {} domains and {} tables are as plan.json says",
        folder.display(),
        verified.tasks,
        verified.streams,
        verified.domains,
        verified.tables
    );
    Ok(0)
}
