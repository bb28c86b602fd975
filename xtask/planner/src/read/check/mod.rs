//! Checks between the parts of an `app.toml`.

mod driven;
pub mod lends;
mod memory;
mod names;
mod owners;
mod roles;

use super::app::{App, Unread};
use super::task::{Task, TaskRight};
use crate::report::{Mistake, Report, Spanned};

/// Reports everything that does not fit together, and notes in `app` which task owns which device.
pub fn check_and_derive(report: &Report, app: &mut App, unread: &Unread) {
    let checked = names::Names { report, unread };
    if !unread.task {
        roles::supervisor(report, app);
        roles::servers(report, app);
    }
    for task in &app.tasks {
        names::check_task(&checked, app, task);
        program(report, task);
        test_right(report, app, task);
        names::check_parameters(&checked, app, task);
    }
    names::check_policy(&checked, app);
    names::check_files(report, app);
    owners::derive(app);
    owners::check(report, app);
    memory::check(report, app);
    lends::check(report, app);
    let known = |name: &str| app.devices.iter().any(|device| device.name.value == name);
    app.owners_unknown = unread.task
        || app
            .tasks
            .iter()
            .flat_map(|task| &task.drives)
            .any(|name| !known(&name.value));
    for device in &app.devices {
        driven::check(report, app, device);
    }
}

fn program(report: &Report, task: &Task) {
    if !task.folder.join("Cargo.toml").is_file() {
        report
            .error(
                Mistake::NoCrate,
                format!("`{}` has no crate", task.name.value),
            )
            .at(
                &task.crate_span,
                format!("no Cargo.toml in {}", task.folder.display()),
            )
            .note("the path is relative to the folder of this file");
    }
}

/// The calls that tests need tell and change what no task has to know; an image that is shipped has none.
fn test_right(report: &Report, app: &App, task: &Task) {
    let test = |right: &&Spanned<TaskRight>| right.value == TaskRight::Test;
    if let Some(right) = task.rights.iter().find(test).filter(|_| !app.test_image) {
        report
            .error(
                Mistake::TestRight,
                format!(
                    "`{}` has the right `test`, but this is no test image",
                    task.name.value
                ),
            )
            .at(
                &right.span,
                "with it a task reads registers of dead tasks, and kills tasks at a system call",
            )
            .with(&app.span, "does not say `test-image = true`")
            .remedy("remove the right, or write `test-image = true` at the top of the file");
    }
}
