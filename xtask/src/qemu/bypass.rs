//! Whether anything of the machine goes past the SMMU. The guest cannot see this from inside: a bridge
//! wired past the SMMU looks like any other.

use serde_json::{Value, json};

use super::Monitor;
use super::monitor::Answer;
use planner::failure::Failure;

/// The root bus that the machine has of itself.
const MAIN_BUS: &str = "pcie.0";

/// Refuses a machine in which a bus or a device bypasses the SMMU; the message says which.
pub fn refuse_bypass(monitor: &mut Monitor) -> Answer<()> {
    let mut reasons = Vec::new();
    let mut devices = Vec::new();
    for folder in ["/machine/peripheral", "/machine/peripheral-anon"] {
        for device in list(monitor, folder)? {
            devices.push(format!("{folder}/{device}"));
        }
    }
    match get(monitor, "/machine", "iommu")? {
        Some(of_machine) => machine_reasons(monitor, &of_machine, &devices, &mut reasons)?,
        None => board_reasons(monitor, &mut reasons)?,
    }
    for device in &devices {
        device_reasons(monitor, device, &mut reasons)?;
    }
    if reasons.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "refused before the guest started, because the SMMU would be bypassed\n  {}",
        reasons.join("\n  ")
    ))
    .into())
}

/// A machine whose SMMU is its own property, as `virt`.
fn machine_reasons(
    monitor: &mut Monitor,
    iommu: &Value,
    devices: &[String],
    reasons: &mut Vec<String>,
) -> Answer<()> {
    if iommu.as_str() != Some("smmuv3") {
        reasons.extend(unseen_buses(monitor, devices)?);
    }
    match get(monitor, "/machine", "default-bus-bypass-iommu")? {
        Some(Value::Bool(false)) => {}
        Some(_) => reasons.push(
            "the root bus bypasses the SMMU (-machine default-bus-bypass-iommu=on): every device below it \
             could reach all memory"
                .to_owned(),
        ),
        None => reasons.push("QEMU does not tell whether the root bus bypasses the SMMU".to_owned()),
    }
    Ok(())
}

/// A machine that is wired as its board is: the root bus of each host has to be that of an SMMU.
fn board_reasons(monitor: &mut Monitor, reasons: &mut Vec<String>) -> Answer<()> {
    const PARTS: &str = "/machine/unattached";
    let smmus = names(monitor, PARTS, |kind| kind == "child<arm-smmuv3>")?;
    let mut served = Vec::new();
    for smmu in smmus {
        let bus = get(monitor, &format!("{PARTS}/{smmu}"), "primary-bus")?;
        served.extend(bus.as_ref().and_then(Value::as_str).map(str::to_owned));
    }
    let hosts = names(monitor, PARTS, |kind| kind.ends_with("-pcihost>"))?;
    if hosts.is_empty() {
        reasons.push("QEMU does not tell which PCI hosts the machine has".to_owned());
    }
    for host in hosts {
        let path = format!("{PARTS}/{host}");
        if !served.contains(&format!("{path}/pcie.0")) {
            reasons.push(format!(
                "no SMMUv3 serves the PCI host {host} of the machine"
            ));
        }
        if get(monitor, &path, "bypass-iommu")? != Some(Value::Bool(false)) {
            reasons.push(format!("the root bus of {host} bypasses the SMMU"));
        }
    }
    Ok(())
}

/// Why requests of a root bus come to no SMMU, where the SMMUs are devices of one bus each.
fn unseen_buses(monitor: &mut Monitor, devices: &[String]) -> Answer<Vec<String>> {
    let mut roots = vec![MAIN_BUS.to_owned()];
    let mut seen = Vec::new();
    for device in devices {
        match text(monitor, device, "type")?.as_deref() {
            // An expander's bus has its name.
            Some("pxb-pcie") => roots.push(last(device).to_owned()),
            Some("arm-smmuv3") => {
                let bus = text(monitor, device, "primary-bus")?;
                seen.extend(bus.map(|bus| last(&bus).to_owned()));
            }
            _ => {}
        }
    }
    if seen.is_empty() {
        return Ok(vec![
            "the machine has no SMMUv3 (-machine iommu=smmuv3)".to_owned(),
        ]);
    }
    roots.retain(|root| !seen.contains(root));
    let reason = |root| format!("no SMMU is given the root bus {root} (primary-bus={root})");
    Ok(roots.iter().map(reason).collect())
}

/// The last part of a path, by which QEMU names devices and buses.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn device_reasons(monitor: &mut Monitor, path: &str, reasons: &mut Vec<String>) -> Answer<()> {
    let name = last(path).to_owned();
    for property in list_properties(monitor, path)? {
        let bypass = matches!(property.as_str(), "bypass_iommu" | "bypass-iommu");
        if bypass && get(monitor, path, &property)? == Some(Value::Bool(true)) {
            reasons.push(format!("bridge {name} bypasses the SMMU ({property}=on)"));
        }
        if property == "iommu_platform"
            && get(monitor, path, &property)? == Some(Value::Bool(false))
        {
            reasons.push(format!(
                "virtio device {name} bypasses the SMMU (iommu_platform=off)"
            ));
        }
    }
    Ok(())
}

fn get(monitor: &mut Monitor, path: &str, property: &str) -> Answer<Option<Value>> {
    let arguments = json!({ "path": path, "property": property });
    Ok(monitor.ask("qom-get", &arguments)?.ok())
}

fn text(monitor: &mut Monitor, path: &str, property: &str) -> Answer<Option<String>> {
    let value = get(monitor, path, property)?;
    Ok(value.and_then(|value| Some(value.as_str()?.to_owned())))
}

/// Names of the children at `path`.
fn list(monitor: &mut Monitor, path: &str) -> Answer<Vec<String>> {
    names(monitor, path, |kind| kind.starts_with("child<"))
}

fn list_properties(monitor: &mut Monitor, path: &str) -> Answer<Vec<String>> {
    names(monitor, path, |kind| kind == "bool")
}

fn names(monitor: &mut Monitor, path: &str, wanted: impl Fn(&str) -> bool) -> Answer<Vec<String>> {
    let list = monitor
        .ask("qom-list", &json!({ "path": path }))?
        .unwrap_or_default();
    let text = |entry: &Value, key: &str| Some(entry.get(key)?.as_str()?.to_owned());
    Ok(list
        .as_array()
        .into_iter()
        .flatten()
        .filter(|entry| text(entry, "type").is_some_and(|kind| wanted(&kind)))
        .filter_map(|entry| text(entry, "name"))
        .collect())
}
