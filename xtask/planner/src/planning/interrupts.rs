//! Interrupt routes: INTIDs to notification bits.

use std::collections::BTreeMap;

use plan::kernel::InterruptClass;

use super::Plan;
use super::fabric::Fabric;
use super::function::FunctionKind;
use super::messages::MessageDevice;
use super::route::InterruptRoute;
use crate::read::App;
use crate::report::{Mistake, Report, Spanned};

/// First notification bit that an interrupt can have.
const FIRST_BIT: u32 = abi::notification::INTERRUPTS.trailing_zeros();
/// One above the last.
const END_BIT: u32 = 32 - abi::notification::INTERRUPTS.leading_zeros();

/// Gives every interrupt of a task a bit.
pub fn plan(
    report: &Report,
    app: &App,
    fabric: &Fabric,
    messages: &[MessageDevice],
) -> Vec<InterruptRoute> {
    let mut routes = Vec::new();
    for (index, task) in app.tasks.iter().enumerate() {
        let mut next = FIRST_BIT;
        let mut add = |intid, class, device: &str, interrupt: &str| {
            let name = super::names::interrupt(device, interrupt);
            let same = |route: &&InterruptRoute| route.task == index && route.intid == intid;
            let shared = routes.iter().find(same).map(|route| route.bit);
            if let Some(bit) = shared.or((next < END_BIT).then(|| 1 << next)) {
                routes.push(InterruptRoute {
                    intid,
                    class,
                    task: index,
                    bit,
                    name,
                    device: device.to_owned(),
                    interrupt: interrupt.to_owned(),
                });
            }
            next += u32::from(shared.is_none());
        };
        for own in &task.owns {
            if let Some(device) = app.platform.device(&own.value) {
                for interrupt in &device.interrupts {
                    let class = match interrupt.edge {
                        true => InterruptClass::Edge,
                        false => InterruptClass::Level,
                    };
                    add(interrupt.intid, class, &device.name, &interrupt.name);
                }
            }
        }
        for drive in &task.drives {
            let device = app.devices.iter().position(|d| d.name.value == drive.value);
            let intid = device.and_then(|device| line(app, fabric, device));
            if let Some(intid) = intid {
                add(intid, InterruptClass::Level, &drive.value, "");
            }
            let own = messages.iter().find(|own| Some(own.device) == device);
            for (vector, intid) in own.iter().flat_map(|own| vectors(own)) {
                add(intid, InterruptClass::Message, &drive.value, &vector);
            }
        }
        if next > END_BIT {
            let count = next - FIRST_BIT;
            report
                .error(
                    Mistake::TooMany,
                    format!("`{}` has {count} interrupts", task.name.value),
                )
                .at(
                    &task.name.span,
                    format!("a task has bits for {}", END_BIT - FIRST_BIT),
                )
                .remedy("give some of its devices to another task, give them fewer `vectors`, or let those that are polled have `interrupt = \"none\"`");
        }
    }
    shared(report, app, fabric, &routes);
    routes
}

impl Plan {
    /// Each line once, as the kernel routes it: the first of those that share one.
    pub fn interrupt_lines(&self) -> impl Iterator<Item = &InterruptRoute> {
        let routes = self.interrupts.iter().enumerate();
        let first = routes.filter(|(index, route)| {
            let mut earlier = self.interrupts.iter().take(*index);
            earlier.all(|other| other.intid != route.intid)
        });
        first.map(|(_, route)| route)
    }
}

/// Name and INTID of each vector of a device; the only one has the device's name.
fn vectors(device: &MessageDevice) -> impl Iterator<Item = (String, u32)> {
    let only = device.vectors == 1;
    (0..device.vectors)
        .zip(device.first_intid..)
        .map(move |(vector, intid)| {
            let name = if only {
                String::new()
            } else {
                vector.to_string()
            };
            (name, intid)
        })
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

/// A line of two tasks would let either hold off the other, and one of two triggers would be taken for the other.
fn shared(report: &Report, app: &App, fabric: &Fabric, routes: &[InterruptRoute]) {
    let mut lines: BTreeMap<u32, &InterruptRoute> = BTreeMap::new();
    for route in routes {
        let Some(other) = lines.get(&route.intid).copied() else {
            lines.insert(route.intid, route);
            continue;
        };
        let (Some((name, place)), Some((first, first_place))) =
            (declared(app, fabric, route), declared(app, fabric, other))
        else {
            continue;
        };
        if other.device == route.device && other.task != route.task {
            // One device with two owners, which is reported as that.
            continue;
        }
        if other.task == route.task {
            // Both have one bit: their driver looks at each before it unmasks the line.
            if other.class != route.class {
                report
                    .error(
                        Mistake::SharedInterrupt,
                        format!("INTID {} is both edge and level", route.intid),
                    )
                    .at(&name.span, trigger(route))
                    .with(&first.span, trigger(other))
                    .remedy("correct `intid` or `edge` of one in the platform's description");
            }
            continue;
        }
        let task = |route: &InterruptRoute| {
            let task = app.tasks.get(route.task);
            task.map_or("?", |task| &task.name.value)
        };
        let of = |place: &WiredAt, route: &InterruptRoute| match place {
            WiredAt::Slot(slot) => {
                format!("of `{}`, below slot {slot} of the root bus", task(route))
            }
            WiredAt::Platform => format!("of `{}`, wired by the platform", task(route)),
        };
        let draft = report
            .error(
                Mistake::SharedInterrupt,
                format!(
                    "`{}` and `{}` share INTID {}, but have two owners",
                    first.value, name.value, route.intid
                ),
            )
            .at(&name.span, of(&place, route))
            .with(&first.span, of(&first_place, other));
        drop(draft.remedy(remedy(app, fabric, routes, name, [place, first_place])));
    }
}

/// Where an interrupt line comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WiredAt {
    /// A slot of the root bus, which decides about the four lines of all below it.
    Slot(u8),
    Platform,
}

fn trigger(route: &InterruptRoute) -> &'static str {
    if route.class == InterruptClass::Edge {
        "edge here"
    } else {
        "level here"
    }
}

/// The devices that signal a line, as declared, and where the line is wired.
fn declared<'a>(
    app: &'a App,
    fabric: &Fabric,
    route: &InterruptRoute,
) -> Option<(&'a Spanned<String>, WiredAt)> {
    let devices = app.devices.iter();
    let device = devices
        .enumerate()
        .find(|(_, device)| device.name.value == route.device);
    if let Some((index, device)) = device {
        let slot = fabric.device(index).and_then(|f| fabric.root_slot(f));
        return Some((&device.name, slot.map_or(WiredAt::Platform, WiredAt::Slot)));
    }
    let owns = &app.tasks.get(route.task)?.owns;
    let own = owns.iter().find(|own| own.value == route.device)?;
    Some((own, WiredAt::Platform))
}

/// How one of two owners of a line gets another, for the later of the two.
fn remedy(
    app: &App,
    fabric: &Fabric,
    routes: &[InterruptRoute],
    name: &Spanned<String>,
    places: [WiredAt; 2],
) -> String {
    let name = &name.value;
    match places {
        [WiredAt::Platform, WiredAt::Platform] => {
            "let one task own both devices, or correct `intid` in the platform's description"
                .to_owned()
        }
        [WiredAt::Platform, WiredAt::Slot(slot)] | [WiredAt::Slot(slot), WiredAt::Platform] => {
            let moved = free_slot(app, fabric, routes, slot);
            let moved = moved.map_or(String::new(), |free| {
                format!(
                    "move the PCI device from slot {slot} to slot {free}, whose line is free, or "
                )
            });
            format!(
                "{moved}let one task own both, or write `interrupt = \"none\"` for a PCI device that is polled"
            )
        }
        [WiredAt::Slot(one), WiredAt::Slot(other)] if one == other => {
            // What is below one slot moves together.
            format!(
                "let one task drive both, or write `interrupt = \"none\"` if a driver can do without, or give \
                 `{name}` another pin"
            )
        }
        [WiredAt::Slot(slot), WiredAt::Slot(_)] => match free_slot(app, fabric, routes, slot) {
            Some(free) => {
                format!("move `{name}` from slot {slot} to slot {free}, whose line is free")
            }
            None => "all four lines are in use: let one task drive both devices, or declare \
                     `interrupt = \"none\"` for one that is polled"
                .to_owned(),
        },
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
    use crate::project::Project;
    use crate::read;
    use crate::report::Report;

    /// Slots 1 and 5 of the root bus have one line.
    #[test]
    fn devices_of_one_task_on_one_line_share_its_bit_and_its_route() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut text = std::fs::read_to_string(root.join("tests/systems/bypass/app.toml")).unwrap();
        text = text
            .replace("../../../", "")
            .replace("\"driver\"", "\"tests/systems/bypass/driver\"");
        text = text.replace("[\"edu0\"]", "[\"edu0\", \"edu1\", \"edu2\"]");
        for (device, slot) in [("edu1", 5), ("edu2", 6)] {
            text += &format!(
                "\n[pci.port-of-{device}]\nkind = \"root-port\"\nslot = \"{slot}\"\nacs = true\n\
                 \n[devices.{device}]\nat = \"port-of-{device}\"\nid = \"1234:11e8\"\n"
            );
        }
        let report = Report::default();
        let app = read::from_text(&report, &Project::at(root), "app.toml".as_ref(), text);
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
        let mut lines: Vec<u32> = plan.interrupt_lines().map(|route| route.intid).collect();
        let all = lines.len();
        lines.sort_unstable();
        lines.dedup();
        assert_eq!(lines.len(), all, "the kernel takes one route of a line");
    }
}
