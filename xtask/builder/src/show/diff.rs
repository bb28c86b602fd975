//! What a change of `app.toml` changes: who can reach what, and everything else in the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::Value;
use solver::model::DomainType;
use solver::{Difference, Reach, Summary};

use super::compare;
use planner::planning::Plan;
use planner::read::units::show_size;

/// The old plan is not the JSON of a plan; says what is wrong with it.
#[derive(Debug)]
pub struct Unreadable(pub String);

/// Keys of a device's `reach` that have lines of their own here; any other is compared as the rest of the plan is.
const TOLD: [&str; 12] = [
    "domain",
    "untranslated",
    "owners",
    "lenders",
    "domain_mates",
    "peers",
    "ports",
    "forges",
    "direct",
    "pools",
    "pins",
    "stream_ids",
];

/// Compares with the JSON of an earlier plan. Lines that widen what a device reaches start with `+`, those that
/// narrow it with `-`, and with `~` what else differs.
pub fn diff(old: &str, plan: &Plan) -> Result<String, Unreadable> {
    let new = crate::show::json(plan, None);
    compared(&parse(old)?, &parse(&new)?)
}

fn compared(old: &Value, new: &Value) -> Result<String, Unreadable> {
    let (mut before, after) = (summary(old)?, summary(new)?);
    // What a plan of an earlier version does not say is no difference of reach.
    for (device, reach) in &mut before {
        let silent = |key: &str| old["reach"][device].get(key).is_none();
        if let (true, Some(now)) = (silent("ports") || silent("forges"), after.get(device)) {
            (reach.ports, reach.forges) = (now.ports.clone(), now.forges);
        }
    }
    let mut found = Vec::new();
    let empty = Value::Null;
    let of = |plan: &Value, device: &str| plan["reach"].get(device).unwrap_or(&empty).clone();
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for device in names {
        sizes(device, &of(old, device), &of(new, device), &mut found)?;
        lenders(device, &of(old, device), &of(new, device), &mut found)?;
    }
    registers(old, new, &mut found);
    found.extend(solver::diff(&before, &after));
    // Stable: of one device in the order of finding, sizes first.
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
    for line in compare::lines(old, new, &|path| is_told(path, old, new)) {
        let _ = writeln!(out, "~ {line}");
    }
    Ok(out)
}

/// Whether a part of the plans has lines of its own: what an earlier version did not write has not.
fn is_told(path: &str, old: &Value, new: &Value) -> bool {
    if path == "registers" {
        return old.get(path).is_some() && new.get(path).is_some();
    }
    let Some(rest) = path.strip_prefix("reach.") else {
        return false;
    };
    let has = |plan: &Value, device: &str, key: &str| plan["reach"][device].get(key).is_some();
    match rest.split_once('.') {
        Some((device, key)) => {
            TOLD.contains(&key) && has(old, device, key) && has(new, device, key)
        }
        // A device that is new, or gone.
        None => old["reach"].get(rest).is_none() || new["reach"].get(rest).is_none(),
    }
}

fn parse(text: &str) -> Result<Value, Unreadable> {
    let value: Value = serde_json::from_str(text).map_err(|error| Unreadable(error.to_string()))?;
    if value.get("version").and_then(Value::as_u64) != Some(1) {
        let what = "it has no `version` 1: it is no plan, or of another version";
        return Err(Unreadable(what.to_owned()));
    }
    Ok(value)
}

/// Pools by task and name, leases at once, and StreamIDs.
fn sizes(
    device: &str,
    old: &Value,
    new: &Value,
    found: &mut Vec<Difference>,
) -> Result<(), Unreadable> {
    let mut add = |widens, text| {
        found.push(Difference {
            device: device.to_owned(),
            widens,
            text,
        })
    };
    let is_known = |key: &str| old.is_null() || old.get(key).is_some();
    if is_known("pools") {
        let (before, after) = (pools(device, old)?, pools(device, new)?);
        for (pool @ (task, name), len) in &after {
            let of = format!("pool `{name}` of `{task}`");
            match before.get(pool) {
                None => add(true, format!("can now reach {of}, {}", show_size(*len))),
                Some(was) if was != len => add(
                    len > was,
                    format!(
                        "reaches {} of {of}, before {}",
                        show_size(*len),
                        show_size(*was)
                    ),
                ),
                Some(_) => {}
            }
        }
        for (task, name) in before.keys().filter(|pool| !after.contains_key(*pool)) {
            add(
                false,
                format!("can no longer reach pool `{name}` of `{task}`"),
            );
        }
    }
    if is_known("pins") {
        let pins = |reach: &Value| reach.get("pins").and_then(Value::as_u64).unwrap_or(0);
        let (was, is) = (pins(old), pins(new));
        if was != is {
            add(
                is > was,
                format!("reaches up to {is} lent buffers at once, before {was}"),
            );
        }
    }
    if is_known("stream_ids") {
        let streams = |reach: &Value| -> BTreeSet<u64> {
            let list = reach.get("stream_ids").and_then(Value::as_array);
            list.into_iter()
                .flatten()
                .filter_map(Value::as_u64)
                .collect()
        };
        let (was, is) = (streams(old), streams(new));
        for stream in is.difference(&was) {
            add(true, format!("uses StreamID {stream:#x} now"));
        }
        for stream in was.difference(&is) {
            add(false, format!("no longer uses StreamID {stream:#x}"));
        }
    }
    Ok(())
}

type Pools = BTreeMap<(String, String), u64>;

fn pools(device: &str, reach: &Value) -> Result<Pools, Unreadable> {
    let list = reach.get("pools").and_then(Value::as_array);
    let pool = |pool: &Value| {
        let text = |key: &str| Some(pool.get(key)?.as_str()?.to_owned());
        Some(((text("task")?, text("pool")?), pool.get("bytes")?.as_u64()?))
    };
    let pools: Option<Pools> = list.into_iter().flatten().map(pool).collect();
    pools.ok_or_else(|| Unreadable(format!("`reach.{device}.pools` is no list of pools")))
}

fn lenders(
    device: &str,
    old: &Value,
    new: &Value,
    found: &mut Vec<Difference>,
) -> Result<(), Unreadable> {
    let lenders = |reach: &Value| match reach {
        Value::Null => Ok(BTreeSet::new()),
        reach => names(device, reach, "lenders"),
    };
    let (before, now) = (lenders(old)?, lenders(new)?);
    let mut add = |widens, can: &str, task: &String| {
        found.push(Difference {
            device: device.to_owned(),
            widens,
            text: format!("can {can} reach buffers that `{task}` lends"),
        })
    };
    now.difference(&before)
        .for_each(|task| add(true, "now", task));
    before
        .difference(&now)
        .for_each(|task| add(false, "no longer", task));
    Ok(())
}

/// Who has whose registers.
fn registers(old: &Value, new: &Value, found: &mut Vec<Difference>) {
    let rows = |plan: &Value| -> Option<BTreeSet<(String, String, String)>> {
        let row = |row: &Value| {
            let text = |key: &str| Some(row.get(key)?.as_str()?.to_owned());
            Some((text("device")?, text("task")?, text("access")?))
        };
        plan.get("registers")?.as_array()?.iter().map(row).collect()
    };
    // A plan of an earlier version has none.
    let (Some(old), Some(new)) = (rows(old), rows(new)) else {
        return;
    };
    let mut add = |(device, task, access): &(String, String, String), widens, has: &str| {
        found.push(Difference {
            device: device.clone(),
            widens,
            text: format!("`{task}` {has} its registers ({access})"),
        })
    };
    new.difference(&old)
        .for_each(|row| add(row, true, "now has"));
    old.difference(&new)
        .for_each(|row| add(row, false, "no longer has"));
}

fn names(device: &str, reach: &Value, key: &str) -> Result<BTreeSet<String>, Unreadable> {
    let list = reach.get(key).and_then(Value::as_array);
    let names = list.and_then(|list| {
        let names = list.iter().map(|name| name.as_str().map(str::to_owned));
        names.collect::<Option<BTreeSet<String>>>()
    });
    names.ok_or_else(|| Unreadable(format!("`reach.{device}.{key}` is no list of names")))
}

/// What each device reached.
fn summary(plan: &Value) -> Result<Summary, Unreadable> {
    let reach = plan.get("reach").and_then(Value::as_object);
    let reach = reach.ok_or_else(|| Unreadable("it has no `reach`".to_owned()))?;
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
        let names = |key: &str| names(device, value, key);
        let segment = |key: &str| match value.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(found) => found
                .as_u64()
                .and_then(|segment| u16::try_from(segment).ok())
                .map(Some)
                .ok_or_else(|| Unreadable(format!("`reach.{device}.{key}` is no segment"))),
        };
        let reach = Reach {
            domain,
            untranslated: value.get("untranslated").and_then(Value::as_bool) == Some(true),
            owners: names("owners")?,
            domain_mates: names("domain_mates")?,
            peers: names("peers")?,
            ports: match value.get("ports") {
                None => BTreeSet::new(),
                Some(_) => names("ports")?,
            },
            forges: segment("forges")?,
            direct: names("direct")?,
        };
        summary.insert(device.clone(), reach);
    }
    Ok(summary)
}

#[cfg(test)]
mod tests;
