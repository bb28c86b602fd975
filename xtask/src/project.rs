//! Finding the project.

use std::path::PathBuf;

use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// The project that this tool belongs to. Its target directory is there afterwards.
pub fn find() -> Outcome<Project> {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let root = xtask
        .join("..")
        .canonicalize()
        .map_err(Failure::when("cannot find the repository"))?;
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    std::fs::create_dir_all(&target)
        .and_then(|()| target.canonicalize())
        .map(|target| Project {
            root,
            target,
            platform: None,
        })
        .map_err(Failure::when("cannot make the target directory"))
}
