//! What must hold between the parts of an `app.toml`.

mod driven;
mod memory;
mod names;
mod owners;
mod roles;

use super::app::{App, Unread};
use super::task::Task;
use crate::report::{Mistake, Report};

/// Reports everything that does not fit together.
pub fn app(report: &Report, app: &mut App, unread: &Unread) {
    let checked = names::Names { report, unread };
    if !unread.task {
        roles::supervisor(report, app);
        roles::servers(report, app);
    }
    for task in &app.tasks {
        names::of_task(&checked, app, task);
        program(report, task);
        names::of_parameters(&checked, app, task);
    }
    names::of_policy(&checked, app);
    owners::derive(app);
    owners::check(report, app);
    memory::check(report, app);
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
