//! Functions that signal by messages: DeviceIDs, INTIDs, and whether it is possible at all.

use plan::limits::MESSAGE_INTERRUPTS;
use solver::solution::Solution;

use super::fabric::Fabric;
use crate::read::{
    App, Device, GIC_FRAME, MessageKind, Messages, MsiXTable, Place, PlatformDeviceKind,
};
use crate::report::{Mistake, Report};

/// A function that signals by messages, and what of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageDevice {
    /// Number of the function in the fabric.
    pub function: usize,
    /// Number of the device among those of the file.
    pub device: usize,
    /// The number by which the interrupt translation service knows the function: its requester id.
    pub device_id: u16,
    /// By which capability.
    pub kind: MessageKind,
    /// How many vectors: EventIDs 0 up.
    pub vectors: u32,
    /// INTID of the first; the others follow.
    pub first_intid: u32,
    /// The place of the table of MSI-X.
    pub table: Option<MsiXTable>,
}

/// Offset of the register that messages are written to, from the base of the interrupt translation service: in the second
/// frame of 64 KiB (Arm IHI 0069, `GITS_TRANSLATER`).
const TRANSLATER: u64 = GIC_FRAME + 0x40;

/// Address of that register.
pub fn message_address(app: &App) -> Option<u64> {
    Some(app.platform.its()?.value.saturating_add(TRANSLATER))
}

/// Address of the page with that register.
pub fn doorbell(app: &App) -> Option<u64> {
    Some(message_address(app)? & !(abi::layout::PAGE - 1))
}

/// Plans the messages of all functions that somebody drives, in the order of their drivers.
pub fn plan(
    report: &Report,
    app: &App,
    fabric: &Fabric,
    solution: &Solution,
) -> Vec<MessageDevice> {
    let mut planned: Vec<MessageDevice> = Vec::new();
    let mut next = *MESSAGE_INTERRUPTS.start();
    let drives = app.tasks.iter().flat_map(|task| &task.drives);
    for drive in drives {
        let found = app
            .devices
            .iter()
            .position(|device| device.name.value == drive.value);
        let Some((number, device)) = found.and_then(|at| Some((at, app.devices.get(at)?))) else {
            continue;
        };
        let Some(messages) = &device.messages else {
            continue;
        };
        let again = planned.iter().any(|other| other.device == number);
        let checked = !again && is_possible(report, app, device, messages);
        let function = fabric.device(number);
        let id = function.and_then(|at| device_id(report, fabric, solution, at, device, messages));
        if let (true, Some(function), Some(device_id)) = (checked, function, id) {
            planned.push(MessageDevice {
                function,
                device: number,
                device_id,
                kind: messages.kind.value,
                vectors: messages.vectors,
                first_intid: next,
                table: device.msi_x,
            });
            next = next.saturating_add(messages.vectors);
        }
    }
    let end = *MESSAGE_INTERRUPTS.end() + 1;
    if next > end {
        let first = *MESSAGE_INTERRUPTS.start();
        let span = app.tasks.first().map(|task| &task.name.span);
        let draft = report.error(
            Mistake::TooMany,
            format!(
                "{} message interrupts are more than the kernel routes",
                next - first
            ),
        );
        if let Some(span) = span {
            drop(
                draft
                    .at(span, format!("there is room for {} in all", end - first))
                    .remedy("give some devices fewer `vectors`"),
            );
        }
    }
    planned
}

/// Whether the machine, the tasks and the function have what messages need.
fn is_possible(report: &Report, app: &App, device: &Device, messages: &Messages) -> bool {
    let name = &device.name;
    let word = messages.kind.value.text();
    let refuse = |message: String, what: &str| {
        report
            .error(Mistake::Messages, message)
            .at(&messages.kind.span, what)
            .with(&name.span, "signals by messages")
    };
    if matches!(device.place, Place::Platform { .. }) {
        refuse(
            format!("`{}` is not on PCI and cannot have `{word}`", name.value),
            "a capability of a PCI function",
        )
        .remedy("leave `interrupt` out: its registers' lines are in the platform's description");
        return false;
    }
    let Some(its) = app.platform.its() else {
        refuse(
            format!("nothing translates the messages of `{}`", name.value),
            "needs an interrupt translation service",
        )
        .with(&app.platform.span, "the platform has no `gic.its`")
        .remedy("write `interrupt = \"intx\"`, or declare `its` of the interrupt controller");
        return false;
    };
    let owner = app
        .platform
        .device_of_kind(PlatformDeviceKind::Its)
        .and_then(|its| app.owner(&its.name));
    if owner.is_none() {
        refuse(
            format!("no task tells the interrupt translation service of `{}`", name.value),
            "is not delivered",
        )
        .with(&its.span, "the service is nobody's")
        .remedy("declare the task: [tasks.its] with `crate = \"task/its\"`, `priority = 1` and `owns = [\"its\"]`");
        return false;
    }
    let unreachable = device.address_bits != 0
        && doorbell(app).is_some_and(|doorbell| doorbell >> device.address_bits.min(63) != 0);
    if unreachable {
        report
            .error(
                Mistake::AddressBits,
                format!("`{}` cannot drive the address of the doorbell", name.value),
            )
            .at(&messages.kind.span, "writes its messages there")
            .with(
                &its.span,
                format!("needs more than {} bits", device.address_bits),
            )
            .remedy("write `interrupt = \"intx\"`");
        return false;
    }
    messages.kind.value != MessageKind::MsiX || has_table(report, device, messages)
}

fn has_table(report: &Report, device: &Device, messages: &Messages) -> bool {
    let name = &device.name;
    let refuse = |message: String, what: String, remedy: &str| {
        report
            .error(Mistake::Messages, message)
            .at(&messages.kind.span, what)
            .with(&name.span, "signals by messages")
            .remedy(remedy);
        false
    };
    let Some(table) = device.msi_x else {
        return refuse(
            format!("nobody says where the MSI-X table of `{}` is", name.value),
            "the `pci` task writes it".to_owned(),
            "write `msi-x = { bar = …, offset = …, entries = … }` of the device, as `lspci -vv` shows it",
        );
    };
    let Some(bar) = device.bars.get(&table.bar) else {
        return refuse(
            format!(
                "the MSI-X table of `{}` is in BAR {}, which it has not got",
                name.value, table.bar
            ),
            "the `pci` task writes it".to_owned(),
            "correct `msi-x` or `bars`",
        );
    };
    if table.end() > bar.len {
        return refuse(
            format!(
                "the MSI-X table of `{}` ends beyond BAR {}",
                name.value, table.bar
            ),
            format!("it ends at {:#x} of {:#x}", table.end(), bar.len),
            "correct `msi-x` or `bars`",
        );
    }
    if messages.vectors > table.entries {
        return refuse(
            format!(
                "`{}` is to have {} vectors, but its table has {}",
                name.value, messages.vectors, table.entries
            ),
            format!("`vectors` is at most {}", table.entries),
            "write fewer `vectors`",
        );
    }
    true
}

/// The DeviceID of a function: its own requester id, if that is the only one that its requests may carry, and no other
/// function's.
fn device_id(
    report: &Report,
    fabric: &Fabric,
    solution: &Solution,
    function: usize,
    device: &Device,
    messages: &Messages,
) -> Option<u16> {
    let function = fabric.functions.get(function)?;
    let found = solution.devices.get(function.node.index())?;
    let set = solution.alias_sets.get(found.alias_set)?;
    if found.aliases.len() == 1 && set.devices.len() == 1 {
        return Some(found.requester?.id);
    }
    report
        .error(
            Mistake::Messages,
            format!(
                "messages of `{}` do not say whose they are",
                device.name.value
            ),
        )
        .at(
            &messages.kind.span,
            "the interrupt controller tells devices apart by their ids",
        )
        .with(&device.name.span, whose(found.aliases.len()))
        .remedy(
            "write `interrupt = \"intx\"`, or move the device below a PCI Express port of its own",
        );
    None
}

fn whose(aliases: usize) -> String {
    match aliases {
        1 => "shares its requester id with another function".to_owned(),
        many => format!("its requests may carry {many} requester ids"),
    }
}

#[cfg(test)]
mod tests {
    use crate::planning::Plan;
    use crate::project::Project;
    use crate::read;
    use crate::report::Report;

    /// The system of twelve owners, changed; the plan, and what was said.
    fn planned(change: impl Fn(String) -> String) -> (Option<Plan>, String) {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let text = std::fs::read_to_string(root.join("tests/systems/messages/app.toml")).unwrap();
        // Read as a file of the root.
        let text = text
            .replace("../../../", "")
            .replace("\"../disk/client\"", "\"tests/systems/disk/client\"");
        let report = Report::default();
        let app = read::from_text(
            &report,
            &Project::at(root),
            "app.toml".as_ref(),
            change(text),
        );
        let plan = app.and_then(|app| Plan::new(&report, app)).ok();
        (plan, report.text())
    }

    #[test]
    fn every_message_has_an_id_and_an_interrupt_of_its_own() {
        let (plan, text) = planned(|text| text);
        let plan = plan.unwrap_or_else(|| panic!("{text}"));
        assert_eq!(plan.messages.len(), 12);
        let mut ids: Vec<u16> = plan.messages.iter().map(|own| own.device_id).collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=12).map(|bus| bus << 8).collect::<Vec<u16>>());
        let mut intids: Vec<u32> = plan.messages.iter().map(|own| own.first_intid).collect();
        intids.sort_unstable();
        assert_eq!(intids, (8192..8204).collect::<Vec<u32>>());
        for own in &plan.messages {
            let device = &plan.app.devices[own.device].name.value;
            let mut routes = plan
                .interrupts
                .iter()
                .filter(|route| route.device == *device);
            let route = routes.next().unwrap();
            assert_eq!(
                (route.intid, routes.next().is_none()),
                (own.first_intid, true)
            );
            assert_eq!(route.name, format!("{device}-irq"));
        }
    }

    #[test]
    fn vectors_are_bits_of_their_own() {
        let more = "interrupt = \"msi-x\"\nvectors = 2\n";
        let (plan, text) = planned(|text| text.replacen("interrupt = \"msi-x\"\n", more, 1));
        let plan = plan.unwrap_or_else(|| panic!("{text}"));
        let routes = plan
            .interrupts
            .iter()
            .filter(|route| route.device == "disk0");
        let routes: Vec<_> = routes
            .map(|route| (route.name.as_str(), route.bit))
            .collect();
        assert_eq!(routes, [("disk0-0-irq", 1 << 16), ("disk0-1-irq", 1 << 17)]);
    }

    type Change = Box<dyn Fn(String) -> String>;

    /// What is changed, and what has to be said of it.
    #[test]
    fn what_is_not_possible_is_said() {
        let first =
            |to: &'static str| move |text: String| text.replacen("interrupt = \"msi-x\"\n", to, 1);
        let mut cases: Vec<(Change, &str, &str)> = vec![
            (
                Box::new(|text| text.replace("owns = [\"its\"]\n", "")),
                "P0512",
                "no task tells the interrupt translation service of `disk0`",
            ),
            (
                Box::new(first("interrupt = \"msi-x\"\nvectors = 3\n")),
                "P0512",
                "`disk0` is to have 3 vectors, but its table has 2",
            ),
            (
                Box::new(first(
                    "interrupt = \"msi-x\"\nmsi-x = { bar = 2, offset = 0, entries = 2 }\n",
                )),
                "P0512",
                "is in BAR 2, which it has not got",
            ),
            (
                Box::new(first(
                    "interrupt = \"msi-x\"\nmsi-x = { bar = 1, offset = 0xff0, entries = 2 }\n",
                )),
                "P0512",
                "ends beyond BAR 1",
            ),
            (
                Box::new(first("interrupt = \"msi-x\"\naddress-bits = 27\n")),
                "P0520",
                "cannot drive the address of the doorbell",
            ),
        ];
        let values: [(&str, &str); 7] = [
            (
                "interrupt = \"msi\"\nvectors = 3\n",
                "MSI has 1, 2, 4, 8, 16 or 32 vectors",
            ),
            (
                "interrupt = \"msi-x\"\nvectors = 0\n",
                "MSI-X has 1 to 2048 vectors",
            ),
            ("vectors = 2\n", "a line has no vectors"),
            (
                "interrupt = \"none\"\nvectors = 2\n",
                "a line has no vectors",
            ),
            (
                "msi-x = { bar = 6, offset = 0, entries = 2 }\n",
                "there is no BAR 6",
            ),
            (
                "msi-x = { bar = 1, offset = 4, entries = 2 }\n",
                "begins at a multiple of 8",
            ),
            (
                "msi-x = { bar = 1, offset = 0, entries = 0 }\n",
                "has 1 to 2048 entries",
            ),
        ];
        for (line, said) in values {
            cases.push((Box::new(first(line)), "P0006", said));
        }
        for (number, (change, code, said)) in cases.iter().enumerate() {
            let (plan, text) = planned(change);
            assert!(plan.is_none(), "case {number}");
            assert!(
                text.contains(code) && text.contains(said),
                "case {number}: {text}"
            );
        }
    }

    #[test]
    fn more_messages_than_there_are_routes() {
        let table = "interrupt = \"msi-x\"\nvectors = 40\n\
                     msi-x = { bar = 1, offset = 0, entries = 64 }\n";
        let (plan, text) = planned(|text| text.replace("interrupt = \"msi-x\"\n", table));
        assert!(plan.is_none());
        assert!(
            text.contains("480 message interrupts are more than the kernel routes"),
            "{text}"
        );
        assert!(text.contains("has 40 interrupts"), "{text}");
    }
}
