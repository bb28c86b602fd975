//! What must hold between the parts of an `app.toml`.

use std::collections::BTreeMap;

use super::app::App;
use super::fields::nearest;
use super::pci::{Device, Domain};
use super::platform::PlatformDeviceKind;
use super::task::{Parameter, Task, TaskRight};
use crate::report::{Mistake, Report, Span, Spanned};

/// Most postable notification bits a task can declare; bit 0 of the log task is taken.
const NOTIFICATIONS_MAX: usize = 15;

/// Reports everything that does not fit together.
pub fn app(report: &Report, app: &App) {
    supervisor(report, app);
    special_tasks(report, app);
    for task in &app.tasks {
        references(report, app, task);
        program(report, task);
        parameters(report, app, task);
    }
    owners(report, app);
    for device in &app.devices {
        driven(report, app, device);
    }
}

fn unknown<'a>(
    report: &Report,
    mistake: Mistake,
    what: &str,
    name: &Spanned<String>,
    known: impl Iterator<Item = &'a str>,
) {
    let known: Vec<&str> = known.collect();
    let draft = report
        .error(mistake, format!("there is no {what} `{}`", name.value))
        .at(&name.span, "not declared");
    let _draft = match nearest(&name.value, known.iter().copied()) {
        Some(near) => draft.remedy(format!("did you mean `{near}`?")),
        None => draft.note(format!("declared: {}", known.join(", "))),
    };
}

fn supervisor(report: &Report, app: &App) {
    let Some(first) = app.tasks.first() else {
        let span = Span {
            file: 0,
            range: 0..0,
        };
        report
            .error(Mistake::Supervisor, "the system has no tasks")
            .at(&span, "there is no [tasks.NAME]");
        return;
    };
    if app.tasks.len() > abi::TASKS_MAX {
        report
            .error(
                Mistake::TooMany,
                format!("{} tasks are too many", app.tasks.len()),
            )
            .at(&first.name.span, format!("at most {}", abi::TASKS_MAX));
    }
    let supervises = |task: &Task| task.rights.iter().any(|r| r.value == TaskRight::Supervise);
    if !supervises(first) {
        report
            .error(
                Mistake::Supervisor,
                "the task of the highest priority must supervise",
            )
            .at(
                &first.name.span,
                "has the smallest priority number but not the right",
            )
            .remedy("give the supervisor the smallest priority and `rights = [\"supervise\"]`");
    }
    for other in app.tasks.iter().skip(1).filter(|task| supervises(task)) {
        report
            .error(Mistake::Supervisor, "two tasks supervise")
            .at(&other.name.span, "the second")
            .with(&first.name.span, "the first")
            .remedy("take `supervise` from one of them");
    }
    if let Some(second) = app.tasks.get(1)
        && second.priority.value == first.priority.value
    {
        report
            .error(Mistake::Supervisor, "the supervisor shares its priority")
            .at(
                &second.priority.span,
                format!("as high as `{}`", first.name.value),
            )
            .with(&first.priority.span, "the supervisor")
            .remedy("give every other task a larger number");
    }
}

fn special_tasks(report: &Report, app: &App) {
    let once = |what: &str, spans: Vec<&Span>| {
        for second in spans.iter().skip(1) {
            let draft = report
                .error(Mistake::TwoAuthorities, format!("two tasks have `{what}`"))
                .at(second, "the second");
            if let Some(first) = spans.first() {
                drop(
                    draft
                        .with(first, "the first")
                        .remedy("take it from one of them"),
                );
            }
        }
    };
    once(
        "dma-authority",
        app.tasks
            .iter()
            .filter_map(|t| t.authority.as_ref())
            .collect(),
    );
    once(
        "reads-logs",
        app.tasks
            .iter()
            .filter_map(|t| t.reads_logs.as_ref())
            .collect(),
    );
    let smmu = app.platform.device_of_kind(PlatformDeviceKind::SmmuV3);
    let pci = app.platform.device_of_kind(PlatformDeviceKind::PciHost);
    if let Some(device) = app.devices.first() {
        if app.authority().is_none() {
            report
                .error(
                    Mistake::NoAuthority,
                    "there are devices but no task with `dma-authority`",
                )
                .at(&device.name.span, "nobody can open the SMMU for it")
                .remedy("give `dma-authority = true` to the task that owns the SMMU");
        }
        for platform_device in [smmu, pci].into_iter().flatten() {
            if app.owner(&platform_device.name).is_none() {
                report
                    .error(
                        Mistake::NoOwner,
                        format!(
                            "there are devices but nobody owns `{}`",
                            platform_device.name
                        ),
                    )
                    .at(&device.name.span, "cannot be used without it")
                    .remedy(format!(
                        "add `owns = [\"{}\"]` to the server's task",
                        platform_device.name
                    ));
            }
        }
    }
    if let (Some(smmu), Some(authority)) = (smmu, app.authority())
        && let Some(task) = app.tasks.get(authority)
        && app.owner(&smmu.name) != Some(authority)
        && let Some(span) = &task.authority
    {
        report
            .error(
                Mistake::NoAuthority,
                format!("`{}` does not own the SMMU", task.name.value),
            )
            .at(span, "authority over DMA needs the SMMU's registers")
            .remedy(format!("add `owns = [\"{}\"]`", smmu.name));
    }
}

fn references(report: &Report, app: &App, task: &Task) {
    let names = || app.tasks.iter().map(|task| task.name.value.as_str());
    for call in &task.calls {
        match app.task(&call.value) {
            None => unknown(report, Mistake::UnknownTask, "task", call, names()),
            Some((_, server)) if server.priority.value >= task.priority.value => {
                report
                    .error(
                        Mistake::NotUphill,
                        format!(
                            "`{}` cannot call `{}`: calls go uphill",
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
    for name in task.depends_on.iter().chain(&task.trusts) {
        if app.task(&name.value).is_none() {
            unknown(report, Mistake::UnknownTask, "task", name, names());
        }
    }
    for post in &task.posts {
        let (peer, bit) = post.value.split_once('.').unwrap_or((&post.value, ""));
        let peer_name = Spanned::new(peer.to_owned(), post.span.clone());
        match app.task(peer) {
            None => unknown(report, Mistake::UnknownTask, "task", &peer_name, names()),
            Some((_, peer)) if !peer.notifications.iter().any(|known| known.value == bit) => {
                let bit = Spanned::new(bit.to_owned(), post.span.clone());
                let known = peer.notifications.iter().map(|known| known.value.as_str());
                let what = format!("notification of `{}` called", peer.name.value);
                unknown(report, Mistake::UnknownNotification, &what, &bit, known);
            }
            Some(_) => {}
        }
    }
    if let Some(extra) = task.notifications.get(NOTIFICATIONS_MAX) {
        report
            .error(Mistake::TooMany, "too many notifications")
            .at(&extra.span, format!("at most {NOTIFICATIONS_MAX} a task"));
    }
    for name in &task.owns {
        if app.platform.device(&name.value).is_none() {
            let known = app
                .platform
                .devices
                .iter()
                .map(|device| device.name.as_str());
            let what = format!("device of platform {} called", app.platform.name);
            unknown(report, Mistake::UnknownPlatformDevice, &what, name, known);
        }
    }
    for name in task.drives.iter().chain(&task.audits).chain(&task.watches) {
        if !app
            .devices
            .iter()
            .any(|device| device.name.value == name.value)
        {
            let known = app.devices.iter().map(|device| device.name.value.as_str());
            unknown(report, Mistake::UnknownDevice, "device", name, known);
        }
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

fn parameters(report: &Report, app: &App, task: &Task) {
    for (_, parameter) in &task.parameters {
        let spanned = |name: &str| Spanned::new(name.to_owned(), parameter.span.clone());
        match &parameter.value {
            Parameter::PageTable(name) if app.task(name).is_none() => {
                let names = app.tasks.iter().map(|task| task.name.value.as_str());
                unknown(report, Mistake::UnknownTask, "task", &spanned(name), names);
            }
            Parameter::Pool(name, pool) => match app.task(name) {
                None => {
                    let names = app.tasks.iter().map(|task| task.name.value.as_str());
                    unknown(report, Mistake::UnknownTask, "task", &spanned(name), names);
                }
                Some((_, peer)) if !peer.pools.iter().any(|known| known.0.value == *pool) => {
                    let known = peer.pools.iter().map(|known| known.0.value.as_str());
                    let what = format!("pool of `{name}` called");
                    unknown(report, Mistake::Parameter, &what, &spanned(pool), known);
                }
                Some(_) => {}
            },
            Parameter::PlatformDevice(name) if app.platform.device(name).is_none() => {
                let known = app
                    .platform
                    .devices
                    .iter()
                    .map(|device| device.name.as_str());
                unknown(
                    report,
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

fn owners(report: &Report, app: &App) {
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

fn driven(report: &Report, app: &App, device: &Device) {
    let driver = app.driver(&device.name.value);
    let blocked = device
        .domain
        .as_ref()
        .filter(|demand| demand.value == Domain::Blocked);
    match (driver, blocked) {
        (None, None) => {
            report
                .error(
                    Mistake::NoOwner,
                    format!("`{}` is neither driven nor blocked", device.name.value),
                )
                .at(&device.name.span, "no task drives it")
                .remedy(format!(
                    "add `drives = [\"{}\"]` to a task, or `domain = \"blocked\"` here",
                    device.name.value
                ));
        }
        (Some(task), Some(demand)) => {
            let drives = app.tasks.get(task).and_then(|task| {
                task.drives
                    .iter()
                    .find(|drive| drive.value == device.name.value)
            });
            if let Some(drives) = drives {
                report
                    .error(
                        Mistake::Domain,
                        format!("`{}` is blocked but has a driver", device.name.value),
                    )
                    .at(&demand.span, "nobody can claim a blocked device")
                    .with(&drives.span, "driven here")
                    .remedy("take away one of the two");
            }
        }
        _ => {}
    }
}
