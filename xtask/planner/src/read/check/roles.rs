//! Tasks that a system has one of: the supervisor, and the servers that devices need.

use crate::read::app::App;
use crate::read::device::Device;
use crate::read::registers::{PlatformDevice, PlatformDeviceKind};
use crate::read::task::{Task, TaskRight};
use crate::report::{Mistake, Report, Span};

pub fn supervisor(report: &Report, app: &App) {
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

pub fn servers(report: &Report, app: &App) {
    let once = |what: &str, spans: Vec<&Span>| {
        for second in spans.iter().skip(1) {
            let draft = report
                .error(Mistake::TwoAuthorities, format!("two tasks have `{what}`"))
                .at(second, "the second");
            if let Some(first) = spans.first() {
                drop(
                    draft
                        .with(first, "the first")
                        .remedy("remove it from one of them"),
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
    let smmus = app.platform.smmus();
    let pci = app.platform.device_of_kind(PlatformDeviceKind::PciHost);
    let driven = |device: &&Device| app.driver(&device.name.value).is_some();
    if let Some(device) = app.devices.iter().find(driven) {
        if app.authority().is_none() {
            report
                .error(
                    Mistake::NoAuthority,
                    "there are devices but no task with `dma-authority`",
                )
                .at(&device.name.span, "no task can open the SMMU for it")
                .remedy("give `dma-authority = true` to the task that owns the SMMU");
        }
        // What the task with the authority lacks is said below.
        let smmus = smmus.iter().copied();
        let smmus = smmus.filter(|_| app.authority().is_none());
        for platform_device in smmus.chain(pci) {
            if app.owner(&platform_device.name).is_none() {
                report
                    .error(
                        Mistake::NoOwner,
                        format!(
                            "there are driven devices, but no task owns `{}`",
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
    authority(report, app);
}

/// An SMMU that nobody sets up may let everything behind it through: the task with the authority owns them all.
fn authority(report: &Report, app: &App) {
    let smmus = app.platform.smmus();
    if let Some(authority) = app.authority()
        && let Some(task) = app.tasks.get(authority)
        && let Some(span) = &task.authority
    {
        let lacks = |smmu: &&&PlatformDevice| app.owner(&smmu.name) != Some(authority);
        let lacking = smmus.iter().filter(lacks);
        let lacking: Vec<_> = lacking.map(|smmu| format!("`{}`", smmu.name)).collect();
        if !lacking.is_empty() {
            report
                .error(
                    Mistake::NoAuthority,
                    format!(
                        "`{}` does not own {}",
                        task.name.value,
                        lacking.join(" and ")
                    ),
                )
                .at(span, "authority over DMA needs the registers of every SMMU")
                .remedy(format!(
                    "add {} to its `owns`",
                    lacking.join(", ").replace('`', "\"")
                ));
        }
    }
}
