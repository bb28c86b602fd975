//! Lazy domains: `invalidation = "lazy"`, by which what is unmapped stays within reach for a while.

use std::collections::BTreeSet;

use solver::model::{DomainType, Machine, NodeId};
use solver::solution::Solution;

use super::domain_plan::{DomainPlan, Domains, LazyPlan};
use super::limits;
use crate::read::{App, Bridge, Device, Invalidation, Place, Task};
use crate::report::{Mistake, Report, Span, Spanned};

const STRICT: &str = "write `invalidation = \"strict\"` at the device";

/// What counts for a device: its own word, or that of `[iommu]`.
fn word<'a>(app: &'a App, device: &'a Device) -> Option<&'a Spanned<Invalidation>> {
    let default = app.iommu.invalidation.as_ref();
    device.invalidation.as_ref().or(default)
}

fn said(app: &App, device: &Device) -> Invalidation {
    word(app, device).map_or(Invalidation::Strict, |word| word.value)
}

/// Whether a device is lazy, itself or by default.
pub fn is_lazy(app: &App, device: &Device) -> bool {
    matches!(said(app, device), Invalidation::Lazy(_))
}

/// The place where it is said, or where the device says nothing.
fn place<'a>(app: &'a App, device: &'a Device) -> &'a Span {
    word(app, device).map_or(&device.name.span, |word| &word.span)
}

/// The driven devices of a domain, whose unmaps these are.
fn members<'a>(app: &'a App, machine: &Machine, nodes: &[NodeId]) -> Vec<&'a Device> {
    let nodes = nodes
        .iter()
        .filter_map(|node| machine.nodes.get(node.index()));
    let devices = nodes.filter_map(|node| {
        let mut devices = app.devices.iter();
        devices.find(|device| device.name.value == node.name)
    });
    let driven = devices.filter(|device| app.driver(&device.name.value).is_some());
    driven.collect()
}

/// What a translated domain leaves to a later flush: what one of its driven devices says. [`check`] sees to it that no other
/// says anything else.
pub fn of_domain(app: &App, machine: &Machine, nodes: &[NodeId]) -> Option<LazyPlan> {
    members(app, machine, nodes).into_iter().find_map(|device| {
        let Invalidation::Lazy(bounds) = said(app, device) else {
            return None;
        };
        Some(LazyPlan {
            bounds,
            said_by: device
                .invalidation
                .as_ref()
                .map(|_| device.name.value.clone()),
        })
    })
}

/// Reports devices that cannot be lazy.
pub fn check(
    report: &Report,
    app: &App,
    machine: &Machine,
    solution: &Solution,
    domains: &Domains,
) {
    for (domain, planned) in solution.domains.iter().zip(&domains.domains) {
        let members = members(app, machine, &domain.devices);
        if planned.kind != DomainType::Dma || planned.bypass {
            members
                .iter()
                .for_each(|device| no_window(report, device, planned));
            continue;
        }
        disagreement(report, app, &members);
        for device in members.iter().filter(|device| is_lazy(app, device)) {
            external(report, app, device);
        }
        if planned.lazy.is_some() {
            lenders(report, app, &members);
        }
    }
    blocked(report, app, machine, solution);
}

/// A device whose window is nothing that could be unmapped. A default says nothing of it.
fn no_window(report: &Report, device: &Device, planned: &DomainPlan) {
    let asked = device.invalidation.as_ref();
    let Some(word) = asked.filter(|word| matches!(word.value, Invalidation::Lazy(_))) else {
        return;
    };
    let why = if planned.bypass {
        "is not translated"
    } else {
        "is mapped 1:1"
    };
    report
        .error(
            Mistake::Lazy,
            format!("`{}` has no window, as it {why}", device.name.value),
        )
        .at(&word.span, "is about what is unmapped")
        .with(&device.name.span, why)
        .remedy("leave `invalidation` out");
}

fn blocked(report: &Report, app: &App, machine: &Machine, solution: &Solution) {
    let in_domain = |device: &Device| {
        let mut nodes = solution.domains.iter().flat_map(|domain| &domain.devices);
        nodes.any(|node| {
            let node = machine.nodes.get(node.index());
            node.is_some_and(|node| node.name == device.name.value)
        })
    };
    for device in app.devices.iter().filter(|device| !in_domain(device)) {
        let asked = device.invalidation.as_ref();
        if let Some(word) = asked.filter(|word| matches!(word.value, Invalidation::Lazy(_))) {
            let name = &device.name;
            report
                .error(
                    Mistake::Lazy,
                    format!(
                        "`{}` is blocked, so nothing is ever unmapped for it",
                        name.value
                    ),
                )
                .at(&word.span, "is about what is unmapped")
                .with(&name.span, "has no domain")
                .remedy("leave `invalidation` out");
        }
    }
}

/// The devices of one domain use the same entries, so what one of them unmaps all of them reach until the flush.
fn disagreement(report: &Report, app: &App, members: &[&Device]) {
    let lazy = members.iter().find(|device| is_lazy(app, device));
    let Some(first) = lazy else { return };
    let others: Vec<&&Device> = members
        .iter()
        .filter(|other| said(app, other) != said(app, first))
        .collect();
    let Some(other) = others.first() else { return };
    let mut draft = report
        .error(
            Mistake::Lazy,
            format!(
                "`{}` and `{}` share a domain, but not their `invalidation`",
                first.name.value, other.name.value
            ),
        )
        .at(
            place(app, first),
            format!("`{}` is lazy: {}", first.name.value, shown(app, first)),
        );
    for other in others {
        let label = format!(
            "`{}` reaches the same pages, and is {}",
            other.name.value,
            shown(app, other)
        );
        draft = draft.with(place(app, other), label);
    }
    drop(draft.remedy("write the same `invalidation` at all of them"));
}

/// The word, and the bounds of a lazy device.
fn shown(app: &App, device: &Device) -> String {
    match said(app, device) {
        Invalidation::Lazy(bounds) => {
            format!("{} pages within {} ms", bounds.pages, bounds.milliseconds)
        }
        other => other.word().to_owned(),
    }
}

/// What is plugged in at an external port is not trusted to leave alone what its driver has unmapped.
fn external(report: &Report, app: &App, device: &Device) {
    let Some(port) = external_port(app, device) else {
        return;
    };
    report
        .error(
            Mistake::Lazy,
            format!(
                "`{}` is lazy behind the external port `{}`",
                device.name.value, port.name.value
            ),
        )
        .at(
            place(app, device),
            "leaves unmapped pages within its reach for a while",
        )
        .with(
            &port.name.span,
            "anything may be plugged in here, which nobody trusts",
        )
        .with(&device.name.span, "is below it")
        .remedy(STRICT);
}

/// The nearest external port above a device.
fn external_port<'a>(app: &'a App, device: &Device) -> Option<&'a Bridge> {
    let mut at = above(app, device, app.devices.len())?;
    // A bridge above itself is another mistake.
    for _ in 0..=app.bridges.len() {
        let bridge = app.bridges.iter().find(|bridge| bridge.name.value == at)?;
        if bridge.external {
            return Some(bridge);
        }
        at = &bridge.at.as_ref()?.value;
    }
    None
}

/// What a device, or the physical function of a virtual one, is below.
fn above<'a>(app: &'a App, device: &'a Device, depth: usize) -> Option<&'a str> {
    match &device.place {
        Place::Slot { at, .. } => at.as_ref().map(|at| at.value.as_str()),
        Place::Virtual { of, .. } => {
            let depth = depth.checked_sub(1)?;
            let mut devices = app.devices.iter();
            let physical = devices.find(|physical| physical.name.value == of.value)?;
            above(app, physical, depth)
        }
        Place::Platform { .. } => None,
    }
}

/// Whoever lends buffers to a driver takes them back with the answer, and the device reaches them a while longer. So each of
/// them has to trust the driver.
fn lenders(report: &Report, app: &App, members: &[&Device]) {
    let pins = limits::pins(app);
    let mut seen = BTreeSet::new();
    for device in members {
        let name = &device.name.value;
        let Some(driver) = app.driver(name).and_then(|driver| app.tasks.get(driver)) else {
            continue;
        };
        let pinned = pins
            .iter()
            .any(|pins| pins.device == *name && pins.count > 0);
        for lender in &app.tasks {
            let lends = lender.lends.iter().any(|lend| lend.device.value == *name);
            if (lends || pinned && calls(lender, driver))
                && !trusts(lender, driver)
                && seen.insert((lender.name.value.clone(), driver.name.value.clone()))
            {
                distrust(report, app, (lender, lends), driver, device);
            }
        }
    }
}

fn calls(lender: &Task, driver: &Task) -> bool {
    let mut calls = lender.calls.iter();
    calls.any(|call| call.value == driver.name.value)
}

fn trusts(lender: &Task, driver: &Task) -> bool {
    let mut trusts = lender.trusts.iter();
    trusts.any(|trusted| trusted.value == driver.name.value)
}

fn distrust(
    report: &Report,
    app: &App,
    (lender, lends): (&Task, bool),
    driver: &Task,
    device: &Device,
) {
    let (lender, driver, device_name) = (&lender.name, &driver.name, &device.name.value);
    let or = if lends {
        format!("leave `{device_name}` out of its `lends`")
    } else {
        format!("let `{}` have `pins = 0`", driver.value)
    };
    report
        .error(
            Mistake::Lazy,
            format!(
                "`{}` lends buffers to `{}`, whose device is lazy, and does not trust it",
                lender.value, driver.value
            ),
        )
        .at(
            place(app, device),
            format!("`{device_name}` reaches a buffer a while longer than it is lent"),
        )
        .with(&lender.span, "takes the buffer back before")
        .with(&driver.span, "drives the device")
        .remedy(format!(
            "name `{}` in the `trusts` of `{}`, or {or}, or {STRICT}",
            driver.value, lender.value
        ));
}
