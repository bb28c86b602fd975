//! What must hold between the parts of an `app.toml`.

use std::collections::BTreeMap;

use super::app::{App, Unread};
use super::device::{Device, Domain, Place};
use super::fields::nearest;
use super::known::Quiesce;
use super::platform::PlatformDeviceKind;
use super::task::{Parameter, Task, TaskRight};
use crate::report::{Mistake, Report, Span, Spanned};

/// Most postable notification bits a task can declare; bit 0 of the log task is taken.
const NOTIFICATIONS_MAX: usize = 15;

/// Where names are looked up, and which of them are not worth a word.
struct Names<'a> {
    report: &'a Report,
    unread: &'a Unread,
}

/// Reports everything that does not fit together.
pub fn app(report: &Report, app: &mut App, unread: &Unread) {
    let names = Names { report, unread };
    if !unread.task {
        supervisor(report, app);
        special_tasks(report, app);
    }
    for task in &app.tasks {
        references(&names, app, task);
        program(report, task);
        parameters(&names, app, task);
    }
    policy(&names, app);
    owners(report, app);
    memory(report, app);
    let known = |name: &str| app.devices.iter().any(|device| device.name.value == name);
    app.owners_unknown = unread.task
        || app
            .tasks
            .iter()
            .flat_map(|task| &task.drives)
            .any(|name| !known(&name.value));
    for device in &app.devices {
        driven(report, app, device);
    }
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

fn supervisor(report: &Report, app: &App) {
    // Without tasks it is the description of a machine, which can be planned.
    let Some(first) = app.tasks.first() else {
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
    let all: Vec<&Task> = app.tasks.iter().filter(|task| supervises(task)).collect();
    for pair in all.windows(2) {
        let [one, other] = pair else { continue };
        report
            .error(Mistake::Supervisor, "two tasks supervise")
            .at(&other.name.span, "the second")
            .with(&one.name.span, "the first")
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
    let driven = |device: &&Device| app.driver(&device.name.value).is_some();
    if let Some(device) = app.devices.iter().find(driven) {
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

fn references(checked: &Names<'_>, app: &App, task: &Task) {
    let report = checked.report;
    let names = || app.tasks.iter().map(|task| task.name.value.as_str());
    for call in &task.calls {
        match app.task(&call.value) {
            None => unknown(checked, Mistake::UnknownTask, "task", call, names()),
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
            unknown(checked, Mistake::UnknownTask, "task", name, names());
        }
    }
    for post in &task.posts {
        let Some((peer, bit)) = post.value.split_once('.') else {
            report
                .error(
                    Mistake::UnknownNotification,
                    format!("`{}` names no notification", post.value),
                )
                .at(&post.span, "expected \"task.notification\"");
            continue;
        };
        let peer_name = Spanned::new(peer.to_owned(), post.span.clone());
        match app.task(peer) {
            None => unknown(checked, Mistake::UnknownTask, "task", &peer_name, names()),
            Some((_, peer)) if !peer.notifications.iter().any(|known| known.value == bit) => {
                let bit = Spanned::new(bit.to_owned(), post.span.clone());
                let known = peer.notifications.iter().map(|known| known.value.as_str());
                let what = format!("notification of `{}` called", peer.name.value);
                unknown(checked, Mistake::UnknownNotification, &what, &bit, known);
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
            unknown(checked, Mistake::UnknownPlatformDevice, &what, name, known);
        }
    }
    for name in task.drives.iter().chain(&task.audits).chain(&task.watches) {
        if !app
            .devices
            .iter()
            .any(|device| device.name.value == name.value)
        {
            let known = app.devices.iter().map(|device| device.name.value.as_str());
            unknown(checked, Mistake::UnknownDevice, "device", name, known);
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

fn parameters(checked: &Names<'_>, app: &App, task: &Task) {
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

/// Names in waivers, containment units and groups: one that nobody has would silently change nothing.
fn policy(checked: &Names<'_>, app: &App) {
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
    for name in app.iommu.groups.iter().flat_map(|group| &group.devices) {
        if !device(&name.value) && !bridge(&name.value) {
            let known = app.devices.iter().map(|device| device.name.value.as_str());
            unknown(checked, Mistake::UnknownDevice, "device", name, known);
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
                .with(&one.span, "as this one");
        }
    }
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
    let rows = of_roots.chain(&app.platform.pci.streams);
    for name in of_devices.chain(rows.filter_map(|row| row.smmu.as_ref())) {
        if !smmu(&name.value) {
            let devices = app.platform.devices.iter();
            let smmus = devices.filter(|device| device.kind == PlatformDeviceKind::SmmuV3);
            let known = smmus.map(|device| device.name.as_str());
            unknown(checked, Mistake::UnknownPlatformDevice, "SMMU", name, known);
        }
    }
}

/// Platform memory and registers must not overlap: two tasks would share what each thinks its own.
fn memory(report: &Report, app: &App) {
    let platform = &app.platform;
    let page = abi::layout::PAGE;
    let mut ranges: Vec<(String, u64, u64, Option<&Span>)> = platform
        .devices
        .iter()
        .map(|device| {
            let len = device
                .len
                .checked_next_multiple_of(page)
                .unwrap_or(device.len);
            let end = device.base.saturating_add(len);
            (device.name.clone(), device.base, end, Some(&device.span))
        })
        .collect();
    let memory = (platform.memory_base, platform.memory_end());
    ranges.push(("RAM".to_owned(), memory.0, memory.1, None));
    for (name, [start, end]) in [
        ("32-bit PCI aperture", platform.pci.memory),
        ("64-bit PCI aperture", platform.pci.prefetch),
    ] {
        ranges.push((name.to_owned(), start, end, None));
    }
    ranges.retain(|range| range.1 < range.2);
    ranges.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
    for pair in ranges.windows(2) {
        if let [low, high] = pair
            && high.1 < low.2
        {
            let mut draft = report.error(
                Mistake::Overlap,
                format!("`{}` and `{}` of the platform overlap", low.0, high.0),
            );
            for (index, (name, _, _, span)) in [high, low].into_iter().enumerate() {
                if let Some(span) = span {
                    let text = format!("`{name}`");
                    draft = if index == 0 || high.3.is_none() {
                        draft.at(span, text)
                    } else {
                        draft.with(span, text)
                    };
                }
            }
            draft
                .note(format!("`{}` is {:#x} to {:#x}", low.0, low.1, low.2 - 1))
                .note(format!(
                    "`{}` is {:#x} to {:#x}",
                    high.0,
                    high.1,
                    high.2 - 1
                ))
                .remedy("correct base or size of one of them in the platform's description");
        }
    }
}

/// What only a driven device needs.
fn driven(report: &Report, app: &App, device: &Device) {
    let name = &device.name.value;
    let Some(task) = app.driver(name).and_then(|task| app.tasks.get(task)) else {
        return;
    };
    let drives = task.drives.iter().find(|drive| drive.value == *name);
    let by = drives.map_or(&task.name.span, |drive| &drive.span);
    if let Some(demand) = device
        .domain
        .as_ref()
        .filter(|demand| demand.value == Domain::Blocked)
    {
        report
            .error(
                Mistake::Domain,
                format!("`{name}` is blocked but has a driver"),
            )
            .at(&demand.span, "nobody can claim a blocked device")
            .with(by, "driven here")
            .remedy("take away one of the two");
    }
    if !device.bars_known {
        report
            .error(
                Mistake::UnknownDeviceModel,
                format!(
                    "the BARs of `{name}`, {:04x}:{:04x}, are not known",
                    device.id.value.0, device.id.value.1
                ),
            )
            .at(
                &device.id.span,
                "neither this file nor sys/platform/devices.toml tells their sizes",
            )
            .with(by, "driven here, so they have to be placed and mapped")
            .remedy("declare the size of each of its `bars`");
    }
    match device.quiesce {
        None => drop(
            report
                .error(Mistake::NoQuiesce, format!("nobody can quiesce `{name}`"))
                .at(&device.name.span, "no recipe is known for it")
                .with(by, "driven here")
                .remedy(
                    "declare `quiesce`: \"flr\", \"bus\", { poll = … }, { wait = … }, or \"none\", \
                     with which memory it could reach stays held until power-off",
                ),
        ),
        Some(Quiesce::Poll { bar, offset, .. }) => {
            let covers = usize::try_from(bar)
                .ok()
                .and_then(|bar| device.bars.get(&bar))
                .is_some_and(|bar| u64::from(offset) + 4 <= bar.len && offset % 4 == 0);
            if !covers && device.bars_known {
                report
                    .error(Mistake::NoQuiesce, "the polled register is not in that BAR")
                    .at(
                        &device.name.span,
                        format!("BAR {bar}, offset {offset:#x}, 32 bits"),
                    )
                    .remedy("name a BAR that the device has, and an offset below its size that is a multiple of 4");
            }
        }
        Some(_) => {}
    }
}
