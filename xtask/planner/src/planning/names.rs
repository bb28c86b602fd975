//! Names that are made out of others. By them a task finds its memory and its notification bits, so each fits a
//! record and is there once.

use std::collections::BTreeMap;

use super::route::InterruptRoute;
use crate::read::{App, Task};
use crate::report::{Mistake, Report, Span, Spanned};

/// The name of a device's registers.
pub fn bar(device: &str, bar: usize) -> String {
    format!("{device}-bar{bar}")
}

/// The name of an interrupt's bit; if the device has only one interrupt, it is the device's name.
pub fn interrupt(device: &str, interrupt: &str) -> String {
    if interrupt.is_empty() || interrupt == device {
        format!("{device}-irq")
    } else {
        format!("{device}-{interrupt}-irq")
    }
}

/// A name, and what it comes from.
type Derived<'a> = (String, &'a Span);

/// Reports names that are cut short where they are stored, and two of a task that are one.
pub fn check(report: &Report, app: &App, routes: &[InterruptRoute]) {
    for (index, task) in app.tasks.iter().enumerate() {
        once(report, "mappings", mappings(app, task));
        once(report, "notifications", notifications(task, index, routes));
    }
}

fn once(report: &Report, what: &str, names: Vec<Derived<'_>>) {
    let most = plan::Name::CAPACITY;
    let mut known: BTreeMap<String, &Span> = BTreeMap::new();
    for (name, span) in names {
        if name.len() > most {
            report
                .error(
                    Mistake::BadName,
                    format!("`{name}`, a name that the plan derives from this one, is too long"),
                )
                .at(span, format!("{} letters, but only {most} fit", name.len()))
                .remedy(format!("make the name shorter by {}", name.len() - most));
        }
        if let Some(first) = known
            .insert(name.clone(), span)
            .filter(|first| *first != span)
        {
            report
                .error(
                    Mistake::BadName,
                    format!("two {what} of one task are called `{name}`"),
                )
                .at(span, "the second")
                .with(first, "the first")
                .remedy("rename one: the task finds them by their names");
        }
    }
}

fn mappings<'a>(app: &'a App, task: &'a Task) -> Vec<Derived<'a>> {
    let sized = task.pools.iter().chain(&task.persistent);
    let sized = sized.map(|(name, _)| (name.value.clone(), &name.span));
    let owned = task.owns.iter().map(|own| (own.value.clone(), &own.span));
    let bars = task.drives.iter().chain(&task.watches).flat_map(|name| {
        let mut devices = app.devices.iter();
        let device = devices.find(|device| device.name.value == name.value);
        let bars = device.map(|device| (&device.name, &device.bars));
        bars.into_iter().flat_map(|(name, bars)| {
            bars.keys()
                .map(move |&index| (bar(&name.value, index), &name.span))
        })
    });
    sized.chain(owned).chain(bars).collect()
}

fn notifications<'a>(
    task: &'a Task,
    index: usize,
    routes: &'a [InterruptRoute],
) -> Vec<Derived<'a>> {
    let declared = |name: &'a Spanned<String>| (name.value.clone(), &name.span);
    let own = task.notifications.iter().map(declared);
    let routes = routes.iter().filter(move |route| route.task == index);
    let interrupts = routes.filter_map(|route| {
        let mut named = task.owns.iter().chain(&task.drives);
        let by = named.find(|name| name.value == route.device)?;
        Some((route.name.clone(), &by.span))
    });
    own.chain(interrupts).collect()
}
