//! The effects of a change of `app.toml`: on what each device can reach, and on everything else in
//! the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};

use serde::Deserialize;
use serde_json::Value;
use solver::{Difference, Summary};

use self::time::Times;
use super::compare;
use super::json::{AfterUnmap, DeviceReach, Lent, Reaches, VERSION};
use planner::planning::Plan;
use planner::read::units::{show_size, show_time};

/// Why a file cannot be compared with a plan of today.
#[derive(Debug)]
pub enum Unreadable {
    /// The text is not JSON.
    NotJson(String),
    /// The plan has no version, as every plan has.
    NoVersion,
    /// The plan has the keys of an earlier version.
    OlderVersion(u64),
    /// A later tool wrote it.
    NewerVersion(u64),
    /// A key that every plan of this version has is missing, or has a value that cannot be.
    NotOfThisVersion(String),
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(error) => write!(f, "it is not JSON: {error}"),
            Self::NoVersion => write!(f, "it has no `version`"),
            Self::OlderVersion(version) => write!(
                f,
                "it has version {version}, and its keys other names than those of version {VERSION}, which is read here\n  \
                 plan the app.toml of then with this tool: put it beside today's as then.toml,\n  \
                 `cargo xtask plan then.toml --format json > then.json`, and compare with that"
            ),
            Self::NewerVersion(version) => write!(
                f,
                "it has version {version}, and version {VERSION} is the latest that is read here\n  \
                 compare with the tool that wrote it"
            ),
            Self::NotOfThisVersion(why) => write!(
                f,
                "it says that it has version {VERSION}, but {why}\n  write it again with `cargo xtask plan --format json`"
            ),
        }
    }
}

/// Keys of a device's `reach` that have lines of their own here; any other is compared as the rest of the plan is.
const TOLD: [&str; 14] = [
    "domain",
    "untranslated",
    "owners",
    "lenders",
    "domain-mates",
    "peers",
    "ports",
    "forges",
    "direct",
    "pools",
    "pins",
    "lent",
    "after-unmap",
    "streams",
];

/// A task that has a device's registers: a row of `registers`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Holder {
    device: String,
    task: String,
    access: String,
}

/// The facts of a plan in words.
struct Told {
    reach: Reaches,
    registers: BTreeSet<Holder>,
    times: Times,
}

/// Compares with the JSON of an earlier plan. Lines that widen what a device reaches start with `+`, those that
/// narrow it with `-`, and with `~` what else differs.
pub fn diff(old: &str, plan: &Plan) -> Result<String, Unreadable> {
    let new = crate::show::json(plan, None);
    compared(&parse(old)?, &parse(&new)?)
}

fn compared(old: &Value, new: &Value) -> Result<String, Unreadable> {
    let (before, after) = (told(old)?, told(new)?);
    let mut found = Vec::new();
    let names: BTreeSet<&String> = before.reach.keys().chain(after.reach.keys()).collect();
    for device in names {
        let (was, is) = (before.reach.get(device), after.reach.get(device));
        let mut add = |widens, text| found.push(difference(device, widens, text));
        pools(was, is, &mut add);
        pins(was, is, &mut add);
        lent(was, is, &mut add);
        after_unmap(was, is, &mut add);
        streams(was, is, &mut add);
        lenders(was, is, &mut add);
    }
    registers(&before.registers, &after.registers, &mut found);
    found.extend(solver::diff(
        &summary(&before.reach)?,
        &summary(&after.reach)?,
    ));
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
    for line in time::lines(&before.times, &after.times) {
        let _ = writeln!(out, "{line}");
    }
    for line in compare::lines(old, new, &|path| is_told(path, &before, &after)) {
        let _ = writeln!(out, "~ {line}");
    }
    Ok(out)
}

fn difference(device: &str, widens: bool, text: String) -> Difference {
    Difference {
        device: device.to_owned(),
        widens,
        text,
    }
}

/// Whether a part of the plans has lines of its own.
fn is_told(path: &str, before: &Told, after: &Told) -> bool {
    if path == "registers" || time::is_told(path) {
        return true;
    }
    let Some(rest) = path.strip_prefix("reach.") else {
        return false;
    };
    match rest.split_once('.') {
        Some((_, key)) => TOLD.contains(&key),
        // A device that is new, or gone.
        None => !before.reach.contains_key(rest) || !after.reach.contains_key(rest),
    }
}

fn parse(text: &str) -> Result<Value, Unreadable> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| Unreadable::NotJson(error.to_string()))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => Ok(value),
        Some(older) if older < VERSION => Err(Unreadable::OlderVersion(older)),
        Some(newer) => Err(Unreadable::NewerVersion(newer)),
        None => Err(Unreadable::NoVersion),
    }
}

fn told(plan: &Value) -> Result<Told, Unreadable> {
    let no_plan = |key: &str, why: String| Unreadable::NotOfThisVersion(format!("`{key}`: {why}"));
    let part = |key: &'static str| {
        let part = plan.get(key).cloned();
        part.ok_or_else(|| no_plan(key, "it is missing".to_owned()))
    };
    let mut reach = Reaches::new();
    // One by one, so that the message names the device.
    let devices: BTreeMap<String, Value> = serde_json::from_value(part("reach")?)
        .map_err(|error| no_plan("reach", error.to_string()))?;
    for (device, value) in devices {
        let read = serde_json::from_value(value);
        let read = read.map_err(|error| no_plan(&format!("reach.{device}"), error.to_string()))?;
        reach.insert(device, read);
    }
    let registers = serde_json::from_value(part("registers")?);
    let tasks = serde_json::from_value(part("tasks")?);
    let tasks: Vec<time::Task> = tasks.map_err(|error| no_plan("tasks", error.to_string()))?;
    Ok(Told {
        reach,
        times: time::of(tasks),
        registers: registers.map_err(|error| no_plan("registers", error.to_string()))?,
    })
}

/// The facts of every device that the solver compares.
fn summary(reaches: &Reaches) -> Result<Summary, Unreadable> {
    let reaches = reaches.iter();
    reaches
        .map(|(device, reach)| {
            let no_type = || {
                Unreadable::NotOfThisVersion(format!("`reach.{device}.domain` is no domain type"))
            };
            Ok((device.clone(), reach.compared().ok_or_else(no_type)?))
        })
        .collect()
}

type Reach<'a> = Option<&'a DeviceReach>;

/// Pools by task and name.
fn pools(was: Reach<'_>, is: Reach<'_>, add: &mut impl FnMut(bool, String)) {
    let by_name = |reach: Reach<'_>| -> BTreeMap<(String, String), u64> {
        let pools = reach.into_iter().flat_map(|reach| &reach.pools);
        pools
            .map(|pool| ((pool.task.clone(), pool.pool.clone()), pool.bytes))
            .collect()
    };
    let (before, after) = (by_name(was), by_name(is));
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

/// Most lent buffers at once.
fn pins(was: Reach<'_>, is: Reach<'_>, add: &mut impl FnMut(bool, String)) {
    let pins = |reach: Reach<'_>| reach.map_or(0, |reach| reach.pins);
    let (was, is) = (pins(was), pins(is));
    if was != is {
        add(
            is > was,
            format!("reaches up to {is} lent buffers at once, before {was}"),
        );
    }
}

/// Pools of others that are lent as a whole: each that is there or not, or otherwise.
fn lent(was: Reach<'_>, is: Reach<'_>, add: &mut impl FnMut(bool, String)) {
    let lent = |reach: Reach<'_>| reach.map_or_else(BTreeSet::new, |reach| reach.lent.clone());
    let (was, is) = (lent(was), lent(is));
    let text = |lent: &Lent| {
        let access = if lent.writable { "write" } else { "read" };
        format!(
            "{} of pool `{}` of {}, to {access}, lent to {} as a whole",
            show_size(lent.bytes),
            lent.pool,
            lent.task,
            lent.to
        )
    };
    for lent in is.difference(&was) {
        add(true, format!("now reaches {}", text(lent)));
    }
    for lent in was.difference(&is) {
        add(false, format!("no longer reaches {}", text(lent)));
    }
}

/// Pages that wait for a flush. More of them, or for longer, widens: if one of the two grows, the other cannot make up
/// for it.
fn after_unmap(was: Reach<'_>, is: Reach<'_>, add: &mut impl FnMut(bool, String)) {
    let bounds = |reach: Reach<'_>| reach.and_then(|reach| reach.after_unmap);
    let text = |bounds: AfterUnmap| {
        format!(
            "{} unmapped pages for up to {}",
            bounds.pages,
            show_time(bounds.within_ns)
        )
    };
    match (bounds(was), bounds(is)) {
        (None, Some(is)) => add(true, format!("now reaches {}", text(is))),
        (Some(was), None) => add(false, format!("no longer reaches {}", text(was))),
        (Some(was), Some(is)) if was != is => add(
            is.pages > was.pages || is.within_ns > was.within_ns,
            format!("reaches {}, before {}", text(is), text(was)),
        ),
        _ => {}
    }
}

fn streams(was: Reach<'_>, is: Reach<'_>, add: &mut impl FnMut(bool, String)) {
    let streams = |reach: Reach<'_>| reach.map_or_else(BTreeSet::new, |r| r.streams.clone());
    let (was, is) = (streams(was), streams(is));
    for stream in is.difference(&was) {
        add(true, format!("uses StreamID {stream:#x} now"));
    }
    for stream in was.difference(&is) {
        add(false, format!("no longer uses StreamID {stream:#x}"));
    }
}

fn lenders(was: Reach<'_>, is: Reach<'_>, add: &mut impl FnMut(bool, String)) {
    let lenders = |reach: Reach<'_>| reach.map_or_else(BTreeSet::new, |r| r.lenders.clone());
    let (was, is) = (lenders(was), lenders(is));
    for task in is.difference(&was) {
        add(true, format!("can now reach buffers that `{task}` lends"));
    }
    for task in was.difference(&is) {
        add(
            false,
            format!("can no longer reach buffers that `{task}` lends"),
        );
    }
}

fn registers(was: &BTreeSet<Holder>, is: &BTreeSet<Holder>, found: &mut Vec<Difference>) {
    let mut add = |holder: &Holder, widens, has: &str| {
        let text = format!("`{}` {has} its registers ({})", holder.task, holder.access);
        found.push(difference(&holder.device, widens, text));
    };
    is.difference(was)
        .for_each(|holder| add(holder, true, "now has"));
    was.difference(is)
        .for_each(|holder| add(holder, false, "no longer has"));
}

mod time;

#[cfg(test)]
mod tests;
