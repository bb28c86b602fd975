//! Devices in `plan.json`, bridges included, with all that the PCI task programs and checks.

use serde_json::{Value, json as object};
use solver::quirk::settable_acs;

use super::owner::Owner;
use super::{hex, smmu_name};
use plan::kernel::InterruptClass;
use planner::planning::{DevicePlan, FunctionKind, InterruptRoute, Plan};
use planner::read::{Device, MessageKind, Quiesce};

/// PCI functions, by their number in every protocol.
pub fn on_pci(plan: &Plan) -> Vec<Value> {
    plan.fabric
        .functions
        .iter()
        .zip(&plan.domains.devices)
        .enumerate()
        .map(|(number, (function, device))| {
            let bars: Vec<Value> = function
                .bars
                .iter()
                .map(|(index, placed)| {
                    object!({
                        "bar": index,
                        "address": hex(placed.address),
                        "bytes": placed.bar.len,
                        "wide": placed.bar.wide,
                        "prefetchable": placed.bar.prefetch,
                    })
                })
                .collect();
            let declared = match function.kind {
                FunctionKind::Device(index) => plan.app.devices.get(index),
                FunctionKind::HostBridge | FunctionKind::Expander(_) | FunctionKind::Bridge(_) => {
                    None
                }
            };
            let node = plan.machine.nodes.get(function.node.index());
            let acs = node.and_then(|node| settable_acs(&node.function));
            let parent = function
                .parent
                .and_then(|parent| plan.fabric.functions.get(parent));
            let routed = |route: &InterruptRoute| {
                route.device == function.name && route.class != InterruptClass::Message
            };
            object!({
                "number": number,
                "name": function.name,
                "kind": match function.kind {
                    FunctionKind::HostBridge | FunctionKind::Expander(_) => "host-bridge",
                    FunctionKind::Bridge(_) => "bridge",
                    FunctionKind::Device(_) => "device",
                },
                "id": format!("{:04x}:{:04x}", function.id.0, function.id.1),
                "address": function.address(),
                "buses-below": function.buses_below.map(|(first, last)| [first, last]),
                "bars": bars,
                "streams": device.streams,
                "smmu": smmu_of(plan, device),
                "domain": device.domain,
                "group": plan.domains.groups.get(device.group),
                "reset-unit": device.reset_unit,
                "reason": device.reason,
                "owner": owner(plan, &function.name),
                "pins": plan.pins(&function.name),
                "acs": acs.map(|acs| hex(acs.enabled.into())),
                "parent": parent.map(|parent| &parent.name),
                "port": node.map(|node| node.function.kind.text()),
                "optional": function.optional,
                "multifunction": function.multifunction,
                "interrupts": plan.interrupts.iter().any(routed),
                "messages": messages(plan, number),
                "any-bars": declared.is_some_and(|device| !device.bars_known),
                "window": function.memory_window.map(hex),
                "prefetch-window": function.prefetch_window.map(hex),
                "quiesce": quiesce(declared),
            })
        })
        .collect()
}

/// How a function signals by messages.
fn messages(plan: &Plan, number: usize) -> Value {
    let mut devices = plan.messages.iter();
    let own = devices.find(|device| device.function == number);
    own.map_or(Value::Null, |device| {
        let table = device.table.filter(|_| device.kind == MessageKind::MsiX);
        object!({
            "by": device.kind.text(),
            "vectors": device.vectors,
            "device-id": device.device_id,
            "table": table.map(|table| object!({
                "bar": table.bar,
                "offset": table.offset,
                "entries": table.entries,
            })),
        })
    })
}

/// Devices that are not on PCI, whose numbers follow.
pub fn others(plan: &Plan) -> Vec<Value> {
    let numbers = plan.non_pci_numbers();
    let planned = plan.domains.devices.iter().skip(numbers.start);
    numbers
        .zip(&plan.non_pci)
        .zip(planned)
        .map(|((number, device), planned)| {
            let registers = device.registers.as_deref();
            let block = registers.and_then(|name| plan.app.platform.device(name));
            object!({
                "number": number,
                "name": device.name,
                "registers": device.registers,
                "streams": planned.streams,
                "smmu": smmu_of(plan, planned),
                "domain": planned.domain,
                "group": plan.domains.groups.get(planned.group),
                "reset-unit": planned.reset_unit,
                "reason": planned.reason,
                "owner": owner(plan, &device.name),
                "pins": plan.pins(&device.name),
                "bars": block.map(|block| object!({
                    "bar": 0,
                    "address": hex(block.base),
                    "bytes": block.len,
                    "wide": false,
                    "prefetchable": false,
                })).as_slice(),
                "quiesce": quiesce(plan.app.devices.get(device.device)),
            })
        })
        .collect()
}

/// The SMMU that sees a device's requests; none if no request of it has a StreamID.
fn smmu_of<'p>(plan: &'p Plan, device: &DevicePlan) -> Option<&'p str> {
    let seen = !device.streams.is_empty();
    seen.then(|| smmu_name(plan, device.smmu)).flatten()
}

/// The task that may claim a device.
pub fn owner(plan: &Plan, device: &str) -> Option<Owner> {
    let task = plan.app.driver(device)?;
    Some(Owner::task(&*plan.app.tasks.get(task)?.name.value))
}

/// How a device is made quiet.
fn quiesce(declared: Option<&Device>) -> Value {
    match declared.and_then(|device| device.quiesce) {
        None | Some(Quiesce::None) => object!({ "way": "none" }),
        Some(Quiesce::FunctionReset) => object!({ "way": "function-reset" }),
        Some(Quiesce::BusReset) => object!({ "way": "bus-reset" }),
        Some(Quiesce::Wait(time)) => object!({ "way": "wait", "wait-ns": time }),
        Some(Quiesce::Poll {
            bar,
            offset,
            mask,
            expect,
            write,
            deadline,
        }) => object!({
            "way": "poll",
            "bar": bar,
            "offset": offset,
            "mask": mask,
            "expect": expect,
            "write": write,
            "wait-ns": deadline,
        }),
    }
}
