//! Checks of driven devices only.

use solver::model::DomainType;

use crate::read::app::App;
use crate::read::device::Device;
use crate::read::known::Quiesce;
use crate::read::place::Place;
use crate::report::{Mistake, Report};

/// A driver needs a claim, BARs of known sizes, and a way to make the device quiet.
pub fn check(report: &Report, app: &App, device: &Device) {
    let name = &device.name.value;
    let Some(task) = app.driver(name).and_then(|task| app.tasks.get(task)) else {
        return;
    };
    let drives = task.drives.iter().find(|drive| drive.value == *name);
    let by = drives.map_or(&task.name.span, |drive| &drive.span);
    if let Some(demand) = device
        .domain
        .as_ref()
        .filter(|demand| demand.value == DomainType::Blocked)
    {
        report
            .error(
                Mistake::Domain,
                format!("`{name}` is blocked but has a driver"),
            )
            .at(&demand.span, "nobody can claim a blocked device")
            .with(by, "driven here")
            .remedy("remove one of the two");
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
                .error(
                    Mistake::NoQuiesce,
                    format!("there is no way to make `{name}` quiet"),
                )
                .at(&device.name.span, "no recipe is known for it")
                .with(by, "driven here")
                .remedy(
                    "declare `quiesce`: \"flr\", \"bus\", { poll = … }, { wait = … }, or \"none\", \
                     with which memory it could reach stays held until power-off",
                ),
        ),
        Some(Quiesce::Poll { bar, offset, .. }) => polled(report, app, device, bar, offset),
        Some(Quiesce::FunctionReset | Quiesce::BusReset)
            if matches!(device.place, Place::Platform { .. }) =>
        {
            report
                .error(
                    Mistake::NoQuiesce,
                    format!("`{name}` is not on PCI, so no PCI reset reaches it"),
                )
                .at(&device.name.span, "a function or bus reset is its recipe")
                .with(by, "driven here")
                .remedy(
                    "declare `quiesce`: { poll = … } of its `registers`, { wait = … }, or \"none\"",
                );
        }
        Some(Quiesce::BusReset) if on_root_bus(app, device) => {
            report
                .error(
                    Mistake::NoQuiesce,
                    format!("`{name}` is on a root bus, which nobody can reset"),
                )
                .at(&device.name.span, "no bridge is above it")
                .with(by, "driven here")
                .remedy("declare another `quiesce`: { poll = … }, { wait = … }, or \"none\"");
        }
        Some(_) => {}
    }
}

/// A polled register lies in a BAR, or in the registers of a platform device, which count as BAR 0.
fn polled(report: &Report, app: &App, device: &Device, bar: u32, offset: u32) {
    let (len, what, remedy) = match &device.place {
        Place::Platform { registers, .. } => {
            let block = registers
                .as_ref()
                .filter(|_| bar == 0)
                .and_then(|name| app.platform.device(&name.value));
            (
                block.map(|block| block.len),
                "the polled register is not in the device's `registers`",
                "declare `registers`, and poll BAR 0",
            )
        }
        _ => {
            let bar = usize::try_from(bar).ok();
            (
                bar.and_then(|bar| device.bars.get(&bar)).map(|bar| bar.len),
                "the polled register is not in that BAR",
                "name a BAR that the device has",
            )
        }
    };
    let covers = len.is_some_and(|len| u64::from(offset) + 4 <= len && offset.is_multiple_of(4));
    if !covers && device.bars_known {
        report
            .error(Mistake::NoQuiesce, what)
            .at(
                &device.name.span,
                format!("BAR {bar}, offset {offset:#x}, 32 bits"),
            )
            .remedy(format!(
                "{remedy}, and an offset below its size that is a multiple of 4"
            ));
    }
}

/// True of a device on a root bus.
fn on_root_bus(app: &App, device: &Device) -> bool {
    let root = |at: &str| app.roots.iter().any(|root| root.name.value == at);
    match &device.place {
        Place::Slot { at, .. } => at.as_ref().is_none_or(|at| root(&at.value)),
        // A virtual function is on the bus of its physical one.
        Place::Virtual { of, .. } => {
            let mut devices = app.devices.iter();
            let physical = devices.find(|device| device.name.value == of.value);
            physical.is_some_and(|physical| match &physical.place {
                Place::Slot { at, .. } => at.as_ref().is_none_or(|at| root(&at.value)),
                _ => false,
            })
        }
        Place::Platform { .. } => false,
    }
}
