//! Devices and interrupt lines have one owner.

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
    interrupts(report, app);
}

/// Two platform devices of different owners may not share a line.
fn interrupts(report: &Report, app: &App) {
    let mut lines: BTreeMap<u32, (&Spanned<String>, &Task)> = BTreeMap::new();
    for task in &app.tasks {
        for name in &task.owns {
            let device = app.platform.device(&name.value);
            for interrupt in device.into_iter().flat_map(|device| &device.interrupts) {
                if let Some((first, other)) = lines.insert(interrupt.intid, (name, task))
                    && other.name.value != task.name.value
                    && first.value != name.value
                {
                    report
                        .error(
                            Mistake::SharedInterrupt,
                            format!("INTID {} is claimed twice", interrupt.intid),
                        )
                        .at(&name.span, format!("`{}` gets it here", task.name.value))
                        .with(&first.span, format!("`{}` has it", other.name.value))
                        .remedy("let one task own both devices");
                }
            }
        }
    }
}
