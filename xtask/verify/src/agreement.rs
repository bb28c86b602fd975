//! `plan.json` against itself: what a task declares against the memory it is given, and what is said of a device against
//! its domain. A fault of the build step that is in the tables and in `plan.json` alike is one that only this sees.

use std::collections::BTreeSet;

use crate::Verified;
use crate::expected::{Bar, Device, Domain, Mapping, Plan, Sized, Task};
use crate::signals;

const PAGE: u64 = 4096;
const READ: &str = "r-- write-back";
const READ_WRITE: &str = "rw- write-back";
const REGISTERS: &str = "rw- device-nGnRE";
/// The kinds that a range of a task's memory may have, and how each is reached: no range is plain memory in one
/// place and registers in another.
const KINDS: [(&str, &[&str]); 14] = [
    ("program", &[READ, READ_WRITE, "r-x write-back"]),
    ("plan", &[READ]),
    ("log-ring", &[READ]),
    ("stack", &[READ_WRITE]),
    ("log", &[READ_WRITE]),
    ("pool", &[READ_WRITE]),
    ("persistent", &[READ_WRITE]),
    ("pci-record", &[READ_WRITE]),
    ("smmu-tables", &[READ_WRITE]),
    ("its-memory", &[READ_WRITE]),
    ("registers", &[REGISTERS]),
    ("bar", &[REGISTERS]),
    ("quiesce-bar", &[REGISTERS]),
    ("message-table", &[REGISTERS]),
];
/// The configuration space: the task that has it programs every function, so it has the recipes'
/// registers as well.
const CONFIGURATION: (&str, &str) = ("pci-configuration", "rw- device-nGnRnE");

/// Everything that follows from what else is there.
pub fn check(plan: &Plan, verified: &mut Verified) {
    for (index, task) in plan.tasks.iter().enumerate() {
        let whose = format!("task {}", task.name);
        powers(plan, (index, task), &whose, verified);
        for range in &task.memory {
            if let Some(why) = wrong(plan, task, range) {
                verified.say(format!(
                    "{whose}: its {} `{}` {why}",
                    range.what, range.name
                ));
            }
        }
        for (what, declared) in [("pool", &task.pools), ("persistent", &task.persistent)] {
            let has = task.memory.iter().filter(|range| range.what == what);
            let has: Vec<_> = has
                .map(|range| (range.name.as_str(), range.bytes))
                .collect();
            let pages = |of: &Sized| of.bytes.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX);
            let asked = declared.iter().map(|of| (of.name.as_str(), pages(of)));
            verified.compare(
                &whose,
                &format!("{what}s in its memory are"),
                &has,
                &asked.collect(),
            );
        }
    }
    for (index, domain) in plan.domains.iter().enumerate() {
        of_domain(plan, (index, domain), verified);
    }
    let devices: Vec<&Device> = plan.devices().collect();
    for (index, device) in devices.iter().enumerate() {
        let drives = |task: &&Task| task.drives.contains(&device.name);
        let driver = plan.tasks.iter().find(drives);
        let driver = driver.map(|task| ("task", task.name.as_str()));
        let owner = device.owner.as_ref();
        let owner = owner.map(|owner| (owner.kind.as_str(), owner.name.as_str()));
        let whose = format!("device {}", device.name);
        verified.compare(&whose, "its owner is", &owner, &driver);
        for other in devices.iter().skip(index + 1) {
            apart(device, other, verified);
        }
    }
}

fn powers(plan: &Plan, (index, task): (usize, &Task), whose: &str, verified: &mut Verified) {
    let has = |right: &str| task.rights.iter().any(|name| name == right);
    if has("TEST") && !plan.test_image {
        verified.say(format!(
            "{whose}: it has the right TEST, and this is no test image"
        ));
    }
    verified.compare(
        whose,
        "its right DMA_AUTHORITY:",
        &has("DMA_AUTHORITY"),
        &task.dma_authority,
    );
    for called in &task.calls {
        if plan
            .task(called)
            .is_none_or(|called| called as usize >= index)
        {
            verified.say(format!("{whose}: it calls {called}, which is not above it"));
        }
    }
}

/// Why a task should not have a range of its memory.
fn wrong(plan: &Plan, task: &Task, range: &Mapping) -> Option<&'static str> {
    let what = range.what.as_str();
    let mut kinds = KINDS
        .into_iter()
        .chain([(CONFIGURATION.0, [CONFIGURATION.1].as_slice())]);
    let Some((_, ways)) = kinds.find(|(kind, _)| *kind == what) else {
        return Some("is of a kind that no memory here is");
    };
    if !ways.contains(&range.access.as_str()) {
        return Some("is reached otherwise than such memory is");
    }
    let drives = |device: &Device| task.drives.contains(&device.name);
    let watches = |device: &Device| task.watches.contains(&device.name);
    let within = |device: &&Device| {
        let seen_at = |bar: &Bar| plan.board.seen_at(bar.address);
        let mut bars = device
            .bars
            .iter()
            .map(|bar| around(seen_at(bar), bar.bytes));
        bars.any(|(start, end)| range.address >= start && range.run().output_end() <= end)
    };
    let is_pci_task = task
        .memory
        .iter()
        .any(|range| range.what == CONFIGURATION.0);
    let mut others = plan.non_pci.iter();
    let allowed = match what {
        "bar" => plan.functions.iter().filter(within).any(drives),
        // Registers of a device that is not on PCI are a block of the platform's.
        "quiesce-bar" => {
            is_pci_task
                && (plan.functions.iter().any(|device| within(&device)) || others.next().is_some())
        }
        "message-table" => is_pci_task && plan.functions.iter().any(|device| within(&device)),
        "its-memory" => signals::owns_service(task),
        "registers" => {
            let own = |device: &Device| device.registers.as_ref() == Some(&range.name);
            let mut watched = plan.functions.iter().filter(within);
            task.owns.contains(&range.name)
                || watched.any(watches)
                || others.any(|device| own(device) && watches(device))
        }
        "stack" => range.bytes == task.stack.checked_next_multiple_of(PAGE).unwrap_or(0),
        "log" => range.bytes > task.log,
        "log-ring" => task.reads_logs,
        _ => true,
    };
    (!allowed).then_some("is not what it declares, drives, watches or owns")
}

/// The pages of an extent.
fn around(address: u64, bytes: u64) -> (u64, u64) {
    let end = address.saturating_add(bytes);
    (
        address - address % PAGE,
        end.checked_next_multiple_of(PAGE).unwrap_or(u64::MAX),
    )
}

fn of_domain(plan: &Plan, (index, domain): (usize, &Domain), verified: &mut Verified) {
    let whose = domain.to_string();
    let members: Vec<_> = plan
        .devices()
        .filter(|device| device.domain == Some(index))
        .collect();
    let reach = |device: &&&Device| {
        plan.reach
            .get(&device.name)
            .is_some_and(|reach| reach.untranslated)
    };
    let untranslated = members.iter().filter(reach).count();
    let planned = if domain.untranslated {
        members.len()
    } else {
        0
    };
    verified.compare(
        &whose,
        "devices whose streams bypass the SMMU:",
        &untranslated,
        &planned,
    );
    let all = plan.groups.iter().flat_map(|group| &group.devices);
    let coherent: BTreeSet<_> = all
        .filter(|device| device.coherent)
        .map(|device| &device.name)
        .collect();
    let snoops = members.iter().any(|device| coherent.contains(&device.name));
    verified.compare(&whose, "it snoops:", &domain.snoops, &snoops);
    let mut before = plan.domains.iter().take(index);
    let tag = (&domain.smmu, domain.asid);
    if domain.asid == 0 || before.any(|other| (&other.smmu, other.asid) == tag) {
        verified.say(format!("{whose}: its ASID is 0, or another's"));
    }
    let elsewhere = members
        .iter()
        .find(|device| device.smmu.as_ref() != Some(&domain.smmu));
    if let Some(device) = elsewhere {
        verified.say(format!(
            "{whose}: device {} in it is behind another SMMU",
            device.name
        ));
    }
    for range in domain
        .premapped
        .iter()
        .filter(|range| !matches!(range.kind.as_str(), "direct" | "doorbell"))
    {
        let is_owner =
            |device: &&Device| device.owner().is_some() && device.owner() == range.task.as_deref();
        if !members.iter().any(is_owner) {
            verified.say(format!(
                "{whose}: {:#x} leads to a pool of a task that owns no device of it",
                range.iova
            ));
        }
        let task = plan
            .tasks
            .iter()
            .find(|task| Some(&task.name) == range.task.as_ref());
        let pools = task.map(|task| task.memory.iter().filter(|range| range.what == "pool"));
        let is_pool = |pool: &Mapping| (pool.address, pool.bytes) == (range.address, range.bytes);
        if !pools.is_some_and(|mut pools| pools.any(is_pool)) {
            verified.say(format!(
                "{whose}: {:#x} leads to no pool of its task",
                range.iova
            ));
        }
    }
}

/// Two devices with a StreamID of one SMMU in common have one domain, unless only one of them can be in the slot.
fn apart(one: &Device, two: &Device, verified: &mut Verified) {
    let mut streams = one.streams.iter();
    let shared = streams.find(|stream| one.smmu == two.smmu && two.streams.contains(stream));
    let both = one.domain.is_some() && two.domain.is_some() && one.domain != two.domain;
    let alternatives = one.address.is_some() && one.address == two.address;
    if let (Some(stream), true, false) = (shared, both, alternatives) {
        verified.say(format!(
            "devices {} and {} have the stream {stream:#x} and two domains",
            one.name, two.name
        ));
    }
}
