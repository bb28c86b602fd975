//! Interrupt routes: INTIDs to notification bits.

use std::collections::BTreeMap;

use super::Plan;
use super::fabric::{Fabric, FunctionKind};
use crate::read::App;
use crate::report::{Mistake, Report};

/// First notification bit that an interrupt can have.
const FIRST_BIT: u32 = abi::notification::INTERRUPTS.trailing_zeros();
/// One above the last.
const END_BIT: u32 = 32 - abi::notification::INTERRUPTS.leading_zeros();

/// One interrupt of one task.
#[derive(Clone, Debug)]
pub struct InterruptRoute {
    pub intid: u32,
    pub edge: bool,
    /// Index of the task.
    pub task: usize,
    /// As a mask. Devices of one task on one line have the same: the kernel masks lines, not devices.
    pub bit: u32,
    /// Its notification's name.
    pub name: String,
    /// The device and, of a platform device with several, the interrupt.
    pub device: String,
    pub interrupt: String,
}

/// Gives every interrupt line of a task a bit.
pub fn plan(report: &Report, app: &App, fabric: &Fabric) -> Vec<InterruptRoute> {
    let mut routes = Vec::new();
    for (index, task) in app.tasks.iter().enumerate() {
        let mut next = FIRST_BIT;
        let mut add = |intid, edge, device: &str, interrupt: &str| {
            let name = if interrupt.is_empty() || interrupt == device {
                format!("{device}-irq")
            } else {
                format!("{device}-{interrupt}-irq")
            };
            let same = |route: &&InterruptRoute| route.task == index && route.intid == intid;
            let shared = routes.iter().find(same).map(|route| route.bit);
            if let Some(bit) = shared.or((next < END_BIT).then(|| 1 << next)) {
                routes.push(InterruptRoute {
                    intid,
                    edge,
                    task: index,
                    bit,
                    name,
                    device: device.to_owned(),
                    interrupt: interrupt.to_owned(),
                });
            } else {
                report
                    .error(
                        Mistake::TooMany,
                        format!("`{}` has too many interrupts", task.name.value),
                    )
                    .at(&task.name.span, format!("at most {}", END_BIT - FIRST_BIT));
            }
            next += u32::from(shared.is_none());
        };
        for own in &task.owns {
            if let Some(device) = app.platform.device(&own.value) {
                for interrupt in &device.interrupts {
                    add(
                        interrupt.intid,
                        interrupt.edge,
                        &device.name,
                        &interrupt.name,
                    );
                }
            }
        }
        for drive in &task.drives {
            let device = app.devices.iter().position(|d| d.name.value == drive.value);
            let intid = device.and_then(|device| line(app, fabric, device));
            if let Some(intid) = intid {
                add(intid, false, &drive.value, "");
            }
        }
    }
    shared(report, app, fabric, &routes);
    routes
}

impl Plan {
    /// Each line once, as the kernel routes it: the first of those that share one.
    pub fn lines(&self) -> impl Iterator<Item = &InterruptRoute> {
        let routes = self.interrupts.iter().enumerate();
        let first = routes.filter(|(index, route)| {
            let mut earlier = self.interrupts.iter().take(*index);
            earlier.all(|other| other.intid != route.intid)
        });
        first.map(|(_, route)| route)
    }
}

/// INTID of a device's pin, swizzled through the bridges above it.
fn line(app: &App, fabric: &Fabric, device: usize) -> Option<u32> {
    let pin = app.devices.get(device)?.pin.checked_sub(1)?;
    let mut pin = u32::from(pin);
    let mut function = fabric.functions.get(fabric.device(device)?)?;
    while let Some(parent) = function.parent {
        pin = (pin + u32::from(function.slot.0)) % 4;
        function = fabric.functions.get(parent)?;
    }
    Some(app.platform.pci.intx + (u32::from(function.slot.0) + pin) % 4)
}

/// A line of two tasks would let either hold off the other.
fn shared(report: &Report, app: &App, fabric: &Fabric, routes: &[InterruptRoute]) {
    let mut lines: BTreeMap<u32, &InterruptRoute> = BTreeMap::new();
    for route in routes {
        let Some(other) = lines.insert(route.intid, route) else {
            continue;
        };
        if other.task == route.task {
            // Both have one bit: their driver looks at each before it unmasks the line.
            continue;
        }
        let find = |route: &InterruptRoute| {
            let device = app
                .devices
                .iter()
                .position(|d| d.name.value == route.device)?;
            let slot = fabric.root_slot(fabric.device(device)?)?;
            Some((app.devices.get(device)?, slot))
        };
        let (Some((device, slot)), Some((first, first_slot))) = (find(route), find(other)) else {
            continue;
        };
        let draft = report
            .error(
                Mistake::SharedInterrupt,
                format!(
                    "`{}` and `{}` share INTID {}, but have two owners",
                    first.name.value, device.name.value, route.intid
                ),
            )
            .at(
                &device.name.span,
                format!("below slot {slot} of the root bus"),
            )
            .with(
                &first.name.span,
                format!("below slot {first_slot} of the root bus"),
            );
        if slot == first_slot {
            // What is below one slot moves together.
            drop(draft.remedy(format!(
                "let one task drive both, or write `interrupt = \"none\"` if a driver can do without, or give \
                 `{}` another pin",
                device.name.value
            )));
            continue;
        }
        match free_slot(app, fabric, routes, slot) {
            Some(free) => drop(draft.remedy(format!(
                "move `{}` from slot {slot} to slot {free}, whose line is free",
                device.name.value
            ))),
            None => drop(draft.remedy(
                "all four lines are in use: let one task drive both devices, or declare \
                 `interrupt = \"none\"` for one that is polled",
            )),
        }
    }
}

/// A free slot of the root bus whose line nobody uses, if the device moves there from `slot`.
fn free_slot(app: &App, fabric: &Fabric, routes: &[InterruptRoute], slot: u8) -> Option<u8> {
    let [first, last] = app.platform.pci.root_slots;
    let line_of = |slot: u8| app.platform.pci.intx + u32::from(slot) % 4;
    let taken = |slot: u8| {
        fabric.functions.iter().any(|function| {
            fabric.on_main_root(function)
                && function.kind != FunctionKind::HostBridge
                && function.slot.0 == slot
        })
    };
    let pin = routes
        .iter()
        .find(|route| fabric_slot(app, fabric, route) == Some(slot))
        .map_or(0, |route| (route.intid + 4 - line_of(slot) % 4) % 4);
    let line = |candidate: u8| app.platform.pci.intx + (u32::from(candidate) + pin) % 4;
    (first..=last)
        .filter(|&candidate| !taken(candidate))
        .find(|&candidate| routes.iter().all(|route| route.intid != line(candidate)))
}

fn fabric_slot(app: &App, fabric: &Fabric, route: &InterruptRoute) -> Option<u8> {
    let device = app
        .devices
        .iter()
        .position(|d| d.name.value == route.device)?;
    fabric.root_slot(fabric.device(device)?)
}

#[cfg(test)]
mod tests {
    use crate::planning::Plan;
    use crate::read::{self, Paths};
    use crate::report::Report;

    /// Slots 1 and 5 of the root bus have one line.
    #[test]
    fn devices_of_one_task_on_one_line_share_its_bit_and_its_route() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut text = std::fs::read_to_string(root.join("tests/bypass/app.toml")).unwrap();
        text = text
            .replace("../../", "")
            .replace("\"driver\"", "\"tests/bypass/driver\"");
        text = text.replace("[\"edu0\"]", "[\"edu0\", \"edu1\", \"edu2\"]");
        for (device, slot) in [("edu1", 5), ("edu2", 6)] {
            text += &format!(
                "\n[pci.port-of-{device}]\nkind = \"root-port\"\nslot = \"{slot}\"\nacs = true\n\
                 \n[devices.{device}]\nat = \"port-of-{device}\"\nid = \"1234:11e8\"\n"
            );
        }
        let report = Report::default();
        let app = read::from_text(&report, &Paths { root }, "app.toml".as_ref(), text);
        let plan = app
            .and_then(|app| Plan::new(&report, app))
            .unwrap_or_else(|_| panic!("{}", report.text()));
        let route = |device: &str| {
            let mut routes = plan.interrupts.iter();
            routes.find(|route| route.device == device).unwrap()
        };
        let (first, same, other) = (route("edu0"), route("edu1"), route("edu2"));
        assert_eq!((first.intid, first.bit), (same.intid, same.bit));
        assert_ne!((first.intid, first.bit), (other.intid, other.bit));
        let mut lines: Vec<u32> = plan.lines().map(|route| route.intid).collect();
        let all = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), all, "the kernel takes one route of a line");
    }
}
