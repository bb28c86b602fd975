//! What a change of `app.toml` changes in who can reach what.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;
use solver::model::DomainType;
use solver::{Reach, Summary};

use crate::planning::Plan;

/// The old plan is not the JSON of a plan; says what is wrong with it.
#[derive(Debug)]
pub struct Unreadable(pub String);

/// Compares with the JSON of an earlier plan. Lines that widen what a device reaches start with `+`,
/// others with `-`.
pub fn diff(old: &str, plan: &Plan) -> Result<String, Unreadable> {
    let old = summary(old)?;
    let new = solver::summary(&plan.machine, &plan.solution);
    let found = solver::diff(&old, &new);
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

fn summary(text: &str) -> Result<Summary, Unreadable> {
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
        summary.insert(device.clone(), reach);
    }
    Ok(summary)
}
