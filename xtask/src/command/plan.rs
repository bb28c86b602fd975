//! `plan`: nothing is built.

use std::path::Path;

use super::arguments::Format;
use crate::failure::Outcome;
use crate::pack;
use crate::project::Project;

pub fn run(project: &Project, app: Option<&Path>, format: Format) -> Outcome<u8> {
    let plan = project.plan(app)?;
    match format {
        Format::Text => print!("{}", pack::text(&plan, None)),
        Format::Json => print!("{}", pack::json(&plan, None)),
    }
    Ok(0)
}
