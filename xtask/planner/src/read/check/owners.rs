//! Devices have one owner.

use std::collections::BTreeMap;

use crate::read::app::App;
use crate::read::place::Place;
use crate::read::task::Task;
use crate::report::{Mistake, Report, Spanned};

/// Makes each driver of a platform device the owner of its registers and their interrupts.
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

/// Devices have one owner, and registers no stranger has.
pub fn check(report: &Report, app: &App) {
    for task in &app.tasks {
        for name in &task.watches {
            watched(report, app, task, name);
        }
    }
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

/// Registers of another's device: whoever writes to them can make it reach what its driver mapped, and reading some
/// of them has effects. So their owner trusts who has them, as it does the owners of devices that reach them.
fn watched(report: &Report, app: &App, task: &Task, name: &Spanned<String>) {
    let Some(device) = app
        .devices
        .iter()
        .find(|device| device.name.value == name.value)
    else {
        return;
    };
    let driver = app
        .driver(&name.value)
        .and_then(|driver| app.tasks.get(driver));
    if let Some(driver) = driver.filter(|driver| driver.name.value == task.name.value) {
        let drives = driver.drives.iter().find(|drive| drive.value == name.value);
        report
            .error(
                Mistake::Watch,
                format!(
                    "`{}` watches `{}`, which it drives",
                    task.name.value, name.value
                ),
            )
            .at(&name.span, "has its registers already")
            .with(
                drives.map_or(&driver.name.span, |drive| &drive.span),
                "driven here",
            )
            .remedy("leave it out of `watches`");
    } else if device.bars.is_empty() {
        report
            .error(
                Mistake::Watch,
                format!(
                    "`{}` has no registers that `{}` could watch",
                    name.value, task.name.value
                ),
            )
            .at(&name.span, "would map nothing")
            .with(&device.name.span, "no BAR of it is known")
            .remedy("declare its `bars`, or leave it out of `watches`");
    } else if let Some(driver) = driver
        && !driver
            .trusts
            .iter()
            .any(|trusted| trusted.value == task.name.value)
    {
        report
            .error(
                Mistake::Watch,
                format!(
                    "`{}` would have registers of `{}`, whose driver does not trust it",
                    task.name.value, name.value
                ),
            )
            .at(&name.span, "mapped to read and write")
            .with(&driver.name.span, "drives the device")
            .remedy(format!(
                "let `{}` trust `{}`, or let it answer for the device by IPC",
                driver.name.value, task.name.value
            ));
    }
}
