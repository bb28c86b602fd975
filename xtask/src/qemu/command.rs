//! QEMU's command line, from the plan: the same topology, nothing typed twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use solver::model::FunctionKind as Kind;

use planner::planning::{Function, FunctionKind, Plan};

use super::network::hub_ports;

/// Files behind the disks, by the disks' names.
pub type DiskFiles = BTreeMap<String, PathBuf>;

/// All arguments that describe the machine; in a hotplug slot with alternatives is the first. Disks are opened as snapshots: nothing the guest writes
/// reaches the file.
pub fn command(plan: &Plan, image: &Path, disks: &DiskFiles) -> Vec<String> {
    let platform = &plan.app.platform;
    let mut arguments = vec!["-nodefaults".to_owned()];
    let mut add = |name: &str, value: String| {
        arguments.push(name.to_owned());
        arguments.push(value);
    };
    add("-machine", platform.qemu.machine.clone());
    add("-cpu", platform.qemu.processor.clone());
    add("-m", format!("{}M", platform.memory_len >> 20));
    add("-display", "none".to_owned());
    add("-serial", "stdio".to_owned());
    if plan.app.semihosting {
        add("-semihosting-config", "enable=on,target=native".to_owned());
    }
    add("-kernel", image.display().to_string());
    for (name, file) in disks {
        // A comma ends an option; doubled, it is part of the name.
        let file = file.display().to_string().replace(',', ",,");
        add(
            "-drive",
            format!("file={file},if=none,id={name},format=raw,snapshot=on"),
        );
    }
    let models = plan.app.devices.iter();
    for port in hub_ports(models.filter_map(|device| device.qemu.as_deref())) {
        add("-netdev", port);
    }
    for (number, function) in plan.fabric.functions.iter().enumerate() {
        let mut earlier = plan.fabric.functions.iter().take(number);
        if earlier.any(|other| other.is_alternative_of(function)) {
            continue;
        }
        if let Some(device) = device(plan, number, function) {
            add("-device", device);
        }
    }
    // Behind the root buses, to which they belong.
    for smmu in smmus(plan) {
        add("-device", smmu);
    }
    arguments.extend(platform.qemu.arguments.iter().cloned());
    arguments
}

/// SMMUs that are devices of the command line, in the order in which QEMU gives them their places.
fn smmus(plan: &Plan) -> Vec<String> {
    let platform = &plan.app.platform;
    let Some(model) = &platform.qemu.smmu_model else {
        return Vec::new();
    };
    let buses = plan.buses_of_smmus();
    let smmus = platform.smmus().into_iter().zip(buses);
    // What has no bus is refused before anything is run.
    let of_bus = smmus
        .filter_map(|(smmu, bus)| Some(format!("{model},primary-bus={},id={}", bus?, smmu.name)));
    of_bus.collect()
}

fn device(plan: &Plan, number: usize, function: &Function) -> Option<String> {
    let model = match function.kind {
        FunctionKind::HostBridge => return None,
        FunctionKind::Expander(root) => {
            let root = plan.app.roots.get(root)?;
            let model = root.qemu.as_deref().unwrap_or("pxb-pcie");
            format!("{model},bus_nr={}", root.bus)
        }
        FunctionKind::Bridge(bridge) => plan.app.bridges.get(bridge)?.qemu.clone()?,
        FunctionKind::Device(device) => plan.app.devices.get(device)?.qemu.clone()?,
    };
    let bus = function
        .parent
        .and_then(|parent| plan.fabric.functions.get(parent))
        .map(|parent| parent.name.as_str())
        .or_else(|| expander(plan, function))
        .unwrap_or("pcie.0");
    // QEMU reads both numbers as hexadecimal.
    let mut text = format!(
        "{model},id={},bus={bus},addr={:x}.{:x}",
        function.name, function.slot.0, function.slot.1
    );
    if function.multifunction && function.slot.1 == 0 {
        text.push_str(",multifunction=on");
    }
    // Nothing runs a ROM here, and QEMU's packages often come without the files: it would not start.
    if matches!(function.kind, FunctionKind::Device(_)) && !model.contains(",romfile=") {
        text.push_str(",romfile=");
    }
    if let FunctionKind::Bridge(bridge) = function.kind {
        // Slots are told apart by chassis numbers; an upstream port and a PCIe-to-PCI bridge are no slot.
        let kind = plan.app.bridges.get(bridge)?.kind;
        match kind {
            Kind::RootPort | Kind::DownstreamPort => text.push_str(&format!(",chassis={number}")),
            Kind::ConventionalBridge => text.push_str(&format!(",chassis_nr={number}")),
            _ => {}
        }
    }
    Some(text)
}

/// Name of the expander whose bus a function is on.
fn expander<'a>(plan: &'a Plan, function: &Function) -> Option<&'a str> {
    let on = |root: &&planner::read::Root| {
        root.slot.is_some() && function.parent.is_none() && function.bus == root.bus
    };
    plan.app
        .roots
        .iter()
        .find(on)
        .map(|root| root.name.value.as_str())
}
