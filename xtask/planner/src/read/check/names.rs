//! Names that must be declared somewhere else in the file: one that nobody has would silently change nothing.

use crate::read::app::{App, Unread};
use crate::read::fields::nearest;
use crate::read::place::Place;
use crate::read::registers::PlatformDeviceKind;
use crate::read::task::{Parameter, Task};
use crate::report::{Mistake, Report, Spanned};

/// The names that others are looked up in, and those that must not be reported once more.
pub struct Names<'a> {
    pub report: &'a Report,
    pub unread: &'a Unread,
}

fn unknown<'a>(
    names: &Names<'_>,
    mistake: Mistake,
    what: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'a str>,
) {
    if names.unread.names.contains(&name.value) {
        return;
    }
    let known: Vec<&str> = known.collect();
    let draft = names
        .report
        .error(mistake, format!("there is no {what} `{}`", name.value))
        .at(&name.span, "not declared");
    let _draft = match nearest(&name.value, known.iter().copied()) {
        Some(near) => draft.remedy(format!("did you mean `{near}`?")),
        None if known.is_empty() => draft.note("none is declared"),
        None => draft.note(format!("declared: {}", known.join(", "))),
    };
}

/// Checks that the names of tasks make different files. The file of a task's program has the task's name, and the
/// kernel's is `kernel.elf`. On a file system that does not tell large from small letters, the later of two such
/// files would overwrite the first.
pub fn check_files(report: &Report, app: &App) {
    let folded = |task: &Task| task.name.value.to_lowercase();
    for (index, task) in app.tasks.iter().enumerate() {
        let name = &task.name;
        let earlier = app
            .tasks
            .iter()
            .take(index)
            .find(|other| folded(other) == folded(task));
        let message = match earlier {
            None if folded(task) == "kernel" => "a task cannot have the kernel's name".to_owned(),
            None => continue,
            Some(other) => format!(
                "`{}` and `{}` differ in large and small letters only",
                other.name.value, name.value
            ),
        };
        let draft = report
            .error(Mistake::BadName, message)
            .at(
                &name.span,
                format!("its program is the file `{}.elf`", name.value),
            )
            .remedy("choose another name");
        drop(match earlier {
            Some(other) => draft.with(
                &other.name.span,
                format!("this one's is `{}.elf`", other.name.value),
            ),
            None => draft,
        });
    }
}

/// Most postable notification bits a task can declare; bit 0 of the log task is taken.
const NOTIFICATIONS_MAX: usize = 15;

/// Checks the names that a task's keys refer to.
pub fn check_task(checked: &Names<'_>, app: &App, task: &Task) {
    calls(checked, app, task);
    trusts_and_dependencies(checked, app, task);
    posts(checked, app, task);
    if let Some(extra) = task.notifications.get(NOTIFICATIONS_MAX) {
        checked
            .report
            .error(Mistake::TooMany, "too many notifications")
            .at(&extra.span, format!("at most {NOTIFICATIONS_MAX} a task"));
    }
    owns(checked, app, task);
    devices(checked, app, task);
}

fn unknown_task(checked: &Names<'_>, app: &App, name: &Spanned<String>) {
    let known = app.tasks.iter().map(|task| task.name.value.as_str());
    unknown(checked, Mistake::UnknownTask, "task", name, known);
}

/// Calls go to tasks that there are, and uphill.
fn calls(checked: &Names<'_>, app: &App, task: &Task) {
    for call in &task.calls {
        match app.task(&call.value) {
            None => unknown_task(checked, app, call),
            Some((_, server)) if server.priority.value >= task.priority.value => {
                checked
                    .report
                    .error(
                        Mistake::NotUphill,
                        format!(
                            "`{}` cannot call `{}`: a task may call only more urgent tasks",
                            task.name.value, call.value
                        ),
                    )
                    .at(&call.span, "this call")
                    .with(
                        &task.priority.span,
                        format!("the caller's priority, {}", task.priority.value),
                    )
                    .with(
                        &server.priority.span,
                        format!("the server's priority, {}", server.priority.value),
                    )
                    .remedy("give the server a smaller number, or turn the call into a post");
            }
            Some(_) => {}
        }
    }
}

fn trusts_and_dependencies(checked: &Names<'_>, app: &App, task: &Task) {
    for (name, what) in [(&task.trusts, "trusts"), (&task.depends_on, "depends on")]
        .into_iter()
        .flat_map(|(list, what)| list.iter().map(move |name| (name, what)))
    {
        if name.value == task.name.value {
            checked
                .report
                .error(Mistake::BadValue, format!("`{}` {what} itself", name.value))
                .at(&name.span, "which says nothing")
                .remedy("remove it, or name the task that was meant");
        }
        if app.task(&name.value).is_none() {
            unknown_task(checked, app, name);
        }
    }
}

fn posts(checked: &Names<'_>, app: &App, task: &Task) {
    for post in &task.posts {
        let Some((peer, bit)) = post.value.split_once('.') else {
            checked
                .report
                .error(
                    Mistake::UnknownNotification,
                    format!("`{}` is not the name of a notification", post.value),
                )
                .at(&post.span, "expected \"task.notification\"");
            continue;
        };
        let peer_name = Spanned::new(peer.to_owned(), post.span.clone());
        match app.task(peer) {
            None => unknown_task(checked, app, &peer_name),
            Some((_, peer)) if !peer.notifications.iter().any(|known| known.value == bit) => {
                let bit = Spanned::new(bit.to_owned(), post.span.clone());
                let known = peer.notifications.iter().map(|known| known.value.as_str());
                let what = format!("notification of `{}` called", peer.name.value);
                unknown(checked, Mistake::UnknownNotification, &what, &bit, known);
            }
            Some(_) => {}
        }
    }
}

/// Checks that a task owns devices of the platform only.
fn owns(checked: &Names<'_>, app: &App, task: &Task) {
    for name in &task.owns {
        if app
            .devices
            .iter()
            .any(|device| device.name.value == name.value)
        {
            elsewhere(
                checked,
                name,
                "is a device below [devices]",
                "name it in `drives` instead",
            );
        } else if app.platform.device(&name.value).is_none() {
            let known = app
                .platform
                .devices
                .iter()
                .map(|device| device.name.as_str());
            let what = format!("device of platform {} called", app.platform.name);
            unknown(checked, Mistake::UnknownPlatformDevice, &what, name, known);
        }
    }
}

/// Checks that a task drives, audits, watches and lends to devices of the file only.
fn devices(checked: &Names<'_>, app: &App, task: &Task) {
    let lends = task.lends.iter().map(|lend| &lend.device);
    let named = task.drives.iter().chain(&task.audits).chain(&task.watches);
    for name in named.chain(lends) {
        let is = |known: &Spanned<String>| known.value == name.value;
        if app.devices.iter().any(|device| is(&device.name)) {
            continue;
        }
        if app.platform.device(&name.value).is_some() {
            elsewhere(
                checked,
                name,
                "is a platform device",
                "name it in `owns` instead",
            );
        } else if app.bridges.iter().any(|bridge| is(&bridge.name)) {
            elsewhere(
                checked,
                name,
                "is a bridge, which the PCI task owns",
                "leave it out",
            );
        } else {
            let known = app.devices.iter().map(|device| device.name.value.as_str());
            unknown(checked, Mistake::UnknownDevice, "device", name, known);
        }
    }
}

/// A name of another kind of thing than what it stands for here.
fn elsewhere(checked: &Names<'_>, name: &Spanned<String>, what: &str, remedy: &str) {
    checked
        .report
        .error(Mistake::UnknownDevice, format!("`{}` {what}", name.value))
        .at(&name.span, "another kind of device is needed here")
        .remedy(remedy);
}

/// Whether a device or a bridge has the name.
fn is_device(app: &App, name: &str) -> bool {
    let devices = app.devices.iter().map(|device| &device.name);
    let bridges = app.bridges.iter().map(|bridge| &bridge.name);
    devices.chain(bridges).any(|known| known.value == name)
}

pub fn check_parameters(checked: &Names<'_>, app: &App, task: &Task) {
    for (_, parameter) in &task.parameters {
        let spanned = |name: &str| Spanned::new(name.to_owned(), parameter.span.clone());
        match &parameter.value {
            Parameter::PageTable(name) if app.task(name).is_none() => {
                let names = app.tasks.iter().map(|task| task.name.value.as_str());
                unknown(checked, Mistake::UnknownTask, "task", &spanned(name), names);
            }
            Parameter::Pool(name, pool) => match app.task(name) {
                None => {
                    let names = app.tasks.iter().map(|task| task.name.value.as_str());
                    unknown(checked, Mistake::UnknownTask, "task", &spanned(name), names);
                }
                Some((_, peer)) if !peer.pools.iter().any(|known| known.0.value == *pool) => {
                    let known = peer.pools.iter().map(|known| known.0.value.as_str());
                    let what = format!("pool of `{name}` called");
                    unknown(checked, Mistake::Parameter, &what, &spanned(pool), known);
                }
                Some(_) => {}
            },
            Parameter::Its if app.platform.its().is_none() => {
                unknown(
                    checked,
                    Mistake::Parameter,
                    "interrupt translation service on the platform, called",
                    &spanned("its"),
                    std::iter::empty(),
                );
            }
            Parameter::DeviceNumber(name) if !is_device(app, name) => {
                let devices = app.devices.iter().map(|device| &device.name);
                let all = devices.chain(app.bridges.iter().map(|bridge| &bridge.name));
                let known = all.map(|name| name.value.as_str());
                unknown(
                    checked,
                    Mistake::UnknownDevice,
                    "device or bridge",
                    &spanned(name),
                    known,
                );
            }
            Parameter::PlatformDevice(name) if app.platform.device(name).is_none() => {
                let known = app
                    .platform
                    .devices
                    .iter()
                    .map(|device| device.name.as_str());
                unknown(
                    checked,
                    Mistake::UnknownPlatformDevice,
                    "platform device",
                    &spanned(name),
                    known,
                );
            }
            _ => {}
        }
    }
}

/// Names in waivers, containment units and groups, and of SMMUs.
pub fn check_policy(checked: &Names<'_>, app: &App) {
    let waivers = app.iommu.waivers.iter().flat_map(|waiver| &waiver.tasks);
    let units = app.iommu.containment.iter().flat_map(|unit| &unit.tasks);
    for name in waivers.chain(units) {
        if app.task(&name.value).is_none() {
            let known = app.tasks.iter().map(|task| task.name.value.as_str());
            unknown(checked, Mistake::UnknownTask, "task", name, known);
        }
    }
    let device = |name: &str| app.devices.iter().any(|device| device.name.value == name);
    let bridge = |name: &str| app.bridges.iter().any(|bridge| bridge.name.value == name);
    let waived = app.iommu.waivers.iter().flat_map(|waiver| &waiver.devices);
    let grouped = app.iommu.groups.iter().flat_map(|group| &group.devices);
    for name in grouped.chain(waived) {
        if !device(&name.value) && !bridge(&name.value) {
            let known = app.devices.iter().map(|device| device.name.value.as_str());
            unknown(checked, Mistake::UnknownDevice, "device", name, known);
        }
    }
    for unit in &app.iommu.containment {
        for (index, name) in unit.tasks.iter().enumerate() {
            let before = unit.tasks.iter().take(index);
            if let Some(first) = before.clone().find(|other| other.value == name.value) {
                checked
                    .report
                    .error(Mistake::BadValue, "a containment unit names a task once")
                    .at(&name.span, "the same task")
                    .with(&first.span, "as this one")
                    .remedy("remove one of them, or name the task that was meant");
            }
        }
    }
    for waiver in &app.iommu.waivers {
        if let [one, other] = waiver.tasks.as_slice()
            && one.value == other.value
        {
            checked
                .report
                .error(Mistake::BadValue, "a task needs no waiver for itself")
                .at(&other.span, "the same task")
                .with(&one.span, "as this one")
                .remedy("name two different tasks, or remove the waiver");
        }
    }
    smmus(checked, app);
    registers(checked, app);
}

/// Registers that platform devices name: those of the servers are no device's.
fn registers(checked: &Names<'_>, app: &App) {
    let plain = || {
        let devices = app.platform.devices.iter();
        devices.filter(|device| device.kind == PlatformDeviceKind::Registers)
    };
    for device in &app.devices {
        if let Place::Platform {
            registers: Some(name),
            ..
        } = &device.place
            && !plain().any(|device| device.name == name.value)
        {
            let what = "block of registers in the platform called";
            let known = plain().map(|device| device.name.as_str());
            unknown(checked, Mistake::UnknownPlatformDevice, what, name, known);
        }
    }
}

/// SMMUs that devices and rows of an `iommu-map` name.
fn smmus(checked: &Names<'_>, app: &App) {
    let smmu = |name: &str| {
        app.platform
            .device(name)
            .is_some_and(|device| device.kind == PlatformDeviceKind::SmmuV3)
    };
    let of_devices = app.devices.iter().filter_map(|device| match &device.place {
        Place::Platform { smmu, .. } => smmu.as_ref(),
        _ => None,
    });
    let of_roots = app
        .roots
        .iter()
        .flat_map(|root| root.streams.iter().flatten());
    let rows = of_roots.chain(app.platform.pci.streams.iter().flatten());
    for name in of_devices.chain(rows.filter_map(|row| row.smmu.as_ref())) {
        if !smmu(&name.value) {
            let devices = app.platform.devices.iter();
            let smmus = devices.filter(|device| device.kind == PlatformDeviceKind::SmmuV3);
            let known = smmus.map(|device| device.name.as_str());
            unknown(checked, Mistake::UnknownPlatformDevice, "SMMU", name, known);
        }
    }
}
