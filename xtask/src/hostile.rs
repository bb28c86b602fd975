//! What the tool does with a file that may be anything, without files and without ending the process.

use std::path::Path;

use import::AcsState;

use crate::board;
use crate::failure::Failure;
use crate::pack;
use crate::planning::Plan;
use crate::read::{self, Paths};
use crate::report::Report;
use crate::show;

/// What `cargo xtask plan` makes of the text of an `app.toml` at the root of the repository at `root`.
///
/// # Errors
/// What it says if it refuses it: every diagnostic, as it is shown.
pub fn plan(root: &Path, text: &str) -> Result<String, String> {
    let paths = Paths {
        root: root.to_path_buf(),
    };
    let report = Report::default();
    let app = read::from_text(&report, &paths, Path::new("app.toml"), text.to_owned());
    let plan = app.and_then(|app| Plan::new(&report, app));
    let Ok(plan) = plan else {
        return Err(report.text());
    };
    let mut shown = pack::text(&plan, None);
    shown.push_str(&pack::json(&plan, None));
    shown.push_str(&show::svg(&plan));
    for name in show::names(&plan) {
        shown.extend(show::why(&plan, name));
    }
    Ok(shown)
}

/// What `cargo xtask import` makes of a dump and a device tree blob: the text of an `app.toml`.
///
/// # Errors
/// Why it refuses them.
pub fn import(lspci: &str, blob: &[u8]) -> Result<String, String> {
    board::describe(lspci, Some(blob), AcsState::AsIs).map_err(|failure| match failure {
        Failure::Message(why) => why,
        Failure::Shown => String::new(),
    })
}
