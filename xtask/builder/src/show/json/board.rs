//! `board` of `plan.json`: what the plan was told of the hardware, and `parameters`, what tasks are told of it.

use planner::planning::Plan;
use planner::read::{
    Gic, Parameter, PlatformDevice, PlatformDeviceKind, StreamRow, Task, UartKind,
};
use serde_json::Value;

use super::{hex, object};

/// The board's own addresses, on which no address of the plan depends.
pub fn of_plan(plan: &Plan) -> Value {
    let platform = &plan.app.platform;
    let memory = |of: &[planner::read::Reserved]| -> Vec<Value> {
        let parts = of.iter();
        parts
            .map(|part| extent(&part.name.value, part.base, part.len))
            .collect()
    };
    object!({
        "ram": { "base": hex(platform.memory_base), "bytes": platform.memory_len },
        "load-address": hex(platform.image_base),
        "reserved": memory(&platform.reserved),
        "other-memory": memory(&platform.other_memory),
        "address-bits": platform.address_bits,
        "coherent": platform.coherent,
        "console": platform.console.device,
        "console-access": console_access(platform.console.kind),
        "interrupt-controller": platform.gic.as_ref().map(interrupt_controller),
        "registers": platform.devices.iter().map(registers).collect::<Vec<_>>(),
        "pci": pci(plan),
    })
}

/// The UART, in the words of `app.toml`.
fn console_access(kind: UartKind) -> Value {
    match kind {
        UartKind::Pl011 => object!({ "kind": "pl011", "register-shift": 0, "register-width": 4 }),
        UartKind::Uart16550 { shift, width } => {
            object!({ "kind": "16550", "register-shift": shift, "register-width": width })
        }
    }
}

fn extent(name: &str, base: u64, bytes: u64) -> Value {
    object!({ "name": name, "base": hex(base), "bytes": bytes })
}

fn interrupt_controller(gic: &Gic) -> Value {
    object!({
        "distributor": hex(gic.distributor.value),
        "redistributor": hex(gic.redistributor.value),
        "redistributor-bytes": gic.redistributor_len,
        "its": gic.its.as_ref().map(|its| hex(its.value)),
    })
}

/// A block of registers, the configuration space of a PCI host and an SMMU's included.
fn registers(device: &PlatformDevice) -> Value {
    let lines = device.interrupts.iter();
    let lines =
        lines.map(|line| object!({ "name": line.name, "intid": line.intid, "edge": line.edge }));
    object!({
        "name": device.name,
        "kind": match device.kind {
            PlatformDeviceKind::Registers => "registers",
            PlatformDeviceKind::SmmuV3 => "smmu-v3",
            PlatformDeviceKind::PciHost => "pci-host",
            PlatformDeviceKind::Its => "gic-its",
        },
        "base": hex(device.base),
        "bytes": device.len,
        "stream-bits": device.stream_bits,
        "interrupts": lines.collect::<Vec<_>>(),
    })
}

fn pci(plan: &Plan) -> Value {
    let host = &plan.app.platform.pci;
    let apertures = host.apertures().map(|aperture| {
        object!({
            "name": aperture.name,
            "base": hex(aperture.start),
            "bytes": aperture.end.saturating_sub(aperture.start),
            "seen-at": hex(aperture.seen_at),
        })
    });
    let rows = host.streams.as_ref();
    object!({
        "buses": host.buses,
        "apertures": apertures.collect::<Vec<_>>(),
        "host-bridge": format!("{:04x}:{:04x}", host.host_bridge.0, host.host_bridge.1),
        "intx": host.intx,
        "root-slots": host.root_slots,
        "iommu-map": rows.map(|rows| rows.iter().map(stream_row).collect::<Vec<_>>()),
        "iommu-map-mask": host.stream_mask,
        "never-routes-peers": host.never_routes_peers,
    })
}

fn stream_row(row: &StreamRow) -> Value {
    object!({
        "from": row.requester,
        "ids": row.len,
        "smmu": row.smmu.as_ref().map(|smmu| &smmu.value),
        "stream": row.stream,
    })
}

/// A task's parameters as they are declared; what an address is, is known once programs are placed.
pub fn parameters(task: &Task) -> Vec<Value> {
    let all = task.parameters.iter();
    all.map(|(name, parameter)| {
        let (is, of, number) = match &parameter.value {
            Parameter::Number(number) => ("number", None, Some(*number)),
            Parameter::Nanoseconds(number) => ("nanoseconds", None, Some(*number)),
            Parameter::DeviceNumber(name) => ("device", Some(name.clone()), None),
            Parameter::Kernel => ("kernel", None, None),
            Parameter::Its => ("its", None, None),
            Parameter::Console => ("console", None, None),
            Parameter::PlatformDevice(name) => ("registers", Some(name.clone()), None),
            Parameter::PageTable(task) => ("page-table", Some(task.clone()), None),
            Parameter::Pool(task, pool) => ("pool", Some(format!("{task}.{pool}")), None),
        };
        object!({ "name": name.value, "is": is, "of": of, "number": number })
    })
    .collect()
}
