//! Waivers: that each has a reason, is needed, and covers what it was written for.

use std::collections::BTreeSet;

use crate::diagnostic::{Code, Diagnostic};
use crate::model::{Machine, Waiver};
use crate::solution::UsedWaiver;

/// Reports what is wrong with waivers; `used` are those that were needed.
pub(crate) fn check(machine: &Machine, used: &[UsedWaiver], found: &mut Vec<Diagnostic>) {
    // One that falls short is needed; the error says what is missing in it.
    let short = found.iter().filter_map(|error| error.short.as_ref());
    let short: BTreeSet<usize> = short.map(|short| short.waiver).collect();
    for (index, waiver) in machine.waivers.iter().enumerate() {
        let pair = pair(machine, waiver);
        let mut report = |code, message: String| {
            found.push(Diagnostic::new(code, message).party("the waiver", waiver.source));
        };
        if waiver.reason.trim().is_empty() {
            report(
                Code::EmptyReason,
                format!("the waiver of {pair} gives no reason"),
            );
        }
        let groups = used.iter().filter(|used| used.waiver == index);
        let groups: BTreeSet<usize> = groups.map(|used| used.group).collect();
        let twins = || machine.waivers.iter().enumerate();
        let is_twin = twins().any(|(other, twin)| other != index && overlap(waiver, twin));
        if groups.is_empty() && !is_twin && !short.contains(&index) {
            report(
                Code::UnusedWaiver,
                format!("the waiver of {pair} is not needed"),
            );
        }
        if groups.len() > 1 && waiver.devices.is_empty() {
            report(
                Code::WideWaiver,
                format!("one waiver of {pair} covers {} groups", groups.len()),
            );
        }
        for other in &machine.waivers[..index] {
            if overlap(waiver, other) {
                let message = format!("the pair {pair} is waived twice for the same devices");
                found.push(
                    Diagnostic::new(Code::WaiverTwice, message)
                        .party("one waiver", waiver.source)
                        .party("the other", other.source),
                );
            }
        }
    }
}

/// The two owners, by name.
fn pair(machine: &Machine, waiver: &Waiver) -> String {
    let owners = [waiver.pair.0, waiver.pair.1];
    let mut names = owners.map(|owner| {
        let owner = machine.owners.get(owner.index());
        owner.map_or("?", |owner| owner.name.as_str())
    });
    names.sort_unstable();
    format!("`{}` and `{}`", names[0], names[1])
}

fn overlap(one: &Waiver, other: &Waiver) -> bool {
    let same = one.pair == other.pair || one.pair == (other.pair.1, other.pair.0);
    let devices = one.devices.is_empty() && other.devices.is_empty()
        || one.devices.iter().any(|d| other.devices.contains(d));
    same && devices
}
