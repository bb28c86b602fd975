//! Devices have one owner.

use std::collections::BTreeMap;

use crate::read::app::App;
use crate::read::device::Place;
use crate::read::task::Task;
use crate::report::{Mistake, Report, Spanned};

/// Who drives a platform device owns its registers and their interrupts.
pub fn derive(app: &mut App) {
    for device in &app.devices {
        let Place::Platform {
            registers: Some(registers),
            ..
        } = &device.place
        else {
            continue;
        };
        let driver = app
            .tasks
            .iter_mut()
            .find(|task| task.drives.iter().any(|d| d.value == device.name.value));
        if let Some(task) = driver
            && !task.owns.iter().any(|own| own.value == registers.value)
        {
            task.owns.push(registers.clone());
        }
    }
}

pub fn check(report: &Report, app: &App) {
    let mut owned: BTreeMap<(&str, bool), (&Spanned<String>, &Task)> = BTreeMap::new();
    for task in &app.tasks {
        let platform = task.owns.iter().map(|name| (name, false));
        let pci = task.drives.iter().map(|name| (name, true));
        for (name, is_pci) in platform.chain(pci) {
            if let Some((first, other)) = owned.insert((&name.value, is_pci), (name, task)) {
                report
                    .error(
                        Mistake::TwoOwners,
                        format!("`{}` has two owners", name.value),
                    )
                    .at(&name.span, format!("`{}` claims it", task.name.value))
                    .with(&first.span, format!("`{}` claims it", other.name.value))
                    .remedy("let one task own it and serve the other by IPC");
            }
        }
    }
}
