//! What a change of `app.toml` changes in who can reach what.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;
use solver::model::DomainType;
use solver::{Difference, Reach, Summary};

use crate::planning::Plan;

/// The old plan is not the JSON of a plan; says what is wrong with it.
#[derive(Debug)]
pub struct Unreadable(pub String);

/// Compares with the JSON of an earlier plan. Lines that widen what a device reaches start with `+`,
/// others with `-`.
pub fn diff(old: &str, plan: &Plan) -> Result<String, Unreadable> {
    let (old, lent) = summary(old)?;
    let new = solver::summary(&plan.machine, &plan.solution);
    let mut found = solver::diff(&old, &new);
    for (device, reach) in &new {
        let now = super::reach::lenders(plan, reach);
        let before = lent.get(device).cloned().unwrap_or_default();
        let mut add = |widens, can: &str, task: &String| {
            found.push(Difference {
                device: device.clone(),
                widens,
                text: format!("can {can} reach buffers that `{task}` lends"),
            })
        };
        now.difference(&before)
            .for_each(|task| add(true, "now", task));
        before
            .difference(&now)
            .for_each(|task| add(false, "no longer", task));
    }
    // Stable: of one device in the order of finding.
    found.sort_by(|one, other| one.device.cmp(&other.device));
    let mut out = String::new();
    for difference in &found {
        let sign = if difference.widens { '+' } else { '-' };
        // Writing to a string does not fail.
        let _ = writeln!(out, "{sign} {}: {}", difference.device, difference.text);
    }
    if found.is_empty() {
        out.push_str("no device reaches anything else than before\n");
    }
    Ok(out)
}

/// What each device reached, and whose buffers.
fn summary(text: &str) -> Result<(Summary, BTreeMap<String, BTreeSet<String>>), Unreadable> {
    let wrong = |what: &str| Unreadable(what.to_owned());
    let value: Value = serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))?;
    if value.get("version").and_then(Value::as_u64) != Some(1) {
        return Err(wrong(
            "it has no `version` 1: it is no plan, or of another version",
        ));
    }
    let reach = value.get("reach").and_then(Value::as_object);
    let reach = reach.ok_or_else(|| wrong("it has no `reach`"))?;
    let mut summary = Summary::new();
    let mut lent = BTreeMap::new();
    for (device, value) in reach {
        let domain = match value.get("domain").and_then(Value::as_str) {
            Some("dma") => DomainType::Dma,
            Some("identity") => DomainType::Identity,
            Some("blocked") => DomainType::Blocked,
            _ => {
                return Err(Unreadable(format!(
                    "`reach.{device}.domain` is no domain type"
                )));
            }
        };
        let names = |key: &str| -> Result<BTreeSet<String>, Unreadable> {
            let list = value.get(key).and_then(Value::as_array);
            let names = list.and_then(|list| {
                let names = list.iter().map(|name| name.as_str().map(str::to_owned));
                names.collect::<Option<BTreeSet<String>>>()
            });
            names.ok_or_else(|| Unreadable(format!("`reach.{device}.{key}` is no list of names")))
        };
        let reach = Reach {
            domain,
            untranslated: value.get("untranslated").and_then(Value::as_bool) == Some(true),
            owners: names("owners")?,
            domain_mates: names("domain_mates")?,
            peers: names("peers")?,
            direct: names("direct")?,
        };
        lent.insert(device.clone(), names("lenders")?);
        summary.insert(device.clone(), reach);
    }
    Ok((summary, lent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{self, Paths};
    use crate::report::Report;

    #[test]
    fn a_client_that_may_lend_is_a_difference() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let text = std::fs::read_to_string(root.join("app.toml")).unwrap();
        let plan = |text: &str| {
            let report = Report::default();
            let paths = Paths { root: root.clone() };
            let app = read::from_text(&report, &paths, "app.toml".as_ref(), text.to_owned());
            app.and_then(|app| Plan::new(&report, app))
                .unwrap_or_else(|_| panic!("{}", report.text()))
        };
        let with = plan(&text);
        let without = plan(&text.replace(r#"["supervisor", "virtio-blk"]"#, r#"["supervisor"]"#));
        let differences = |old: &Plan, new: &Plan| {
            let json = crate::pack::json(old, None);
            diff(&json, new).unwrap_or_else(|why| panic!("{why:?}"))
        };
        let same = "no device reaches anything else than before\n";
        assert_eq!(differences(&with, &with), same);
        assert_eq!(
            differences(&without, &with),
            "+ disk0: can now reach buffers that `digest` lends\n"
        );
        assert_eq!(
            differences(&with, &without),
            "- disk0: can no longer reach buffers that `digest` lends\n"
        );
    }
}
