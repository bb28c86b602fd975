//! Whether anything of the machine goes past the SMMU. The guest cannot see this from inside: a bridge
//! wired past the SMMU looks like any other.

use serde_json::{Value, json};

use super::Monitor;
use super::monitor::Answer;
use planner::failure::Failure;

/// Refuses a machine in which a bus or a device bypasses the SMMU; the message says which.
pub fn refuse_bypass(monitor: &mut Monitor) -> Answer<()> {
    let mut reasons = Vec::new();
    if get(monitor, "/machine", "iommu")?
        .as_ref()
        .and_then(Value::as_str)
        != Some("smmuv3")
    {
        reasons.push("the machine has no SMMUv3 (-machine iommu=smmuv3)".to_owned());
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
    for folder in ["/machine/peripheral", "/machine/peripheral-anon"] {
        for device in list(monitor, folder)? {
            device_reasons(monitor, &format!("{folder}/{device}"), &mut reasons)?;
        }
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

fn device_reasons(monitor: &mut Monitor, path: &str, reasons: &mut Vec<String>) -> Answer<()> {
    let name = path.rsplit('/').next().unwrap_or(path).to_owned();
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
