//! The other tables in the shape of the answers.

use import::acpi::{Conduit, Core, Fadt, Gic, Tables, Timer, Timers, Uart, serial_name};
use serde_json::{Map, Value, json};

use super::hex;

fn core(core: &Core) -> Value {
    let mut shown = json!({
        "uid": core.uid,
        "mpidr": hex(core.mpidr),
        "enabled": core.enabled,
        "structure_bytes": core.structure,
    });
    for (key, address) in [
        ("gicc", core.interface),
        ("gicv", core.virtual_interface),
        ("gich", core.virtual_control),
        ("gicr", core.redistributor),
    ] {
        if address != 0 {
            shown[key] = hex(address);
        }
    }
    for (key, gsiv) in [
        ("maintenance_gsiv", core.maintenance),
        ("pmu_gsiv", core.counters),
    ] {
        if gsiv != 0 {
            shown[key] = json!(gsiv);
        }
    }
    shown
}

fn gic(gic: &Gic) -> Value {
    let distributor = gic
        .distributor
        .map(|found| json!({ "base": hex(found.base), "version": found.version }));
    let redistributors = gic.redistributors.iter();
    let redistributors: Vec<Value> = redistributors
        .map(|found| json!({ "base": hex(found.base), "length": hex(found.len) }))
        .collect();
    let services = gic.services.iter();
    let services: Vec<Value> = services
        .map(|found| json!({ "id": found.id, "base": hex(found.base) }))
        .collect();
    let frames = gic.frames.iter().map(|frame| {
        json!({
            "id": frame.id,
            "base": hex(frame.base),
            "flags": hex(frame.flags),
            "spi_count": frame.count,
            "spi_base": frame.first,
        })
    });
    json!({
        "distributor": distributor,
        "redistributors": redistributors,
        "its": services,
        "msi_frames": frames.collect::<Vec<Value>>(),
        "cpus": gic.cores.iter().map(core).collect::<Vec<Value>>(),
    })
}

fn uart(uart: &Uart) -> Value {
    json!({
        "type": uart.kind,
        "type_name": serial_name(uart.kind.into()),
        "space": uart.space,
        "bit_width": uart.bit_width,
        "access_size": uart.access_size,
        "base": hex(uart.base),
        "interrupt_type": hex(uart.interrupt_type),
        "gsiv": uart.gsiv,
        "baud_code": uart.baud_code,
    })
}

fn fadt(fadt: &Fadt) -> Value {
    json!({
        "minor_revision": fadt.minor_revision,
        "hw_reduced": fadt.hardware_reduced,
        "low_power_s0": fadt.low_power_idle,
        "arm_boot_flags": hex(fadt.arm_boot_flags),
        "psci": fadt.psci().is_some(),
        "psci_conduit": fadt.psci().map(|conduit| match conduit {
            Conduit::Smc => "smc",
            Conduit::Hvc => "hvc",
        }),
    })
}

fn timers(timers: &Timers) -> Value {
    let flags = |timer: Timer| {
        json!({
            "edge": timer.edge,
            "active_low": timer.active_low,
            "always_on": timer.always_on,
        })
    };
    let mut shown = json!({
        "secure_el1": timers.secure_el1.gsiv,
        "nonsecure_el1": timers.nonsecure_el1.gsiv,
        "virtual": timers.virtual_el1.gsiv,
        "el2": timers.el2.gsiv,
        "platform_timers": timers.platform_timers,
        "flags": {
            "secure_el1": flags(timers.secure_el1),
            "nonsecure_el1": flags(timers.nonsecure_el1),
            "virtual": flags(timers.virtual_el1),
            "el2": flags(timers.el2),
        },
    });
    if let Some(gsiv) = timers.virtual_el2 {
        shown["virtual_el2"] = json!(gsiv);
    }
    shown
}

pub fn show(found: &Tables, all: &mut Map<String, Value>) {
    let ecam = found.ecam.iter().map(|ecam| {
        json!({
            "segment": ecam.segment,
            "base": hex(ecam.base),
            "bus_first": ecam.bus_first,
            "bus_last": ecam.bus_last,
        })
    });
    all.insert("ecam".into(), json!(ecam.collect::<Vec<Value>>()));
    all.insert("gic".into(), json!(found.gic.as_ref().map(gic)));
    all.insert("uart".into(), json!(found.uart.as_ref().map(uart)));
    all.insert("fadt".into(), json!(found.fadt.as_ref().map(fadt)));
    all.insert("timers".into(), json!(found.timers.as_ref().map(timers)));
    let ports = found.debug_ports.iter().map(|port| {
        let registers = port.registers.iter();
        let registers: Vec<Value> = registers
            .map(|(base, size)| json!({ "base": hex(*base), "size": hex(*size) }))
            .collect();
        json!({
            "port_type": hex(port.port_type),
            "port_subtype": hex(port.subtype),
            "path": port.path,
            "registers": registers,
        })
    });
    all.insert("debug_ports".into(), json!(ports.collect::<Vec<Value>>()));
}
