//! The part of the plan about devices that the IOMMU server reads: their streams, pools, and premapped ranges
//! (`docs/reference/image.md`). By it the server decides whom it serves, and what it opens.

use super::records::{Records, SERVER};
use crate::Verified;
use crate::blob::{Record, Runs};
use crate::expected::{Device, Mapping, Plan, Premapped, Task};

/// The value of an absent number.
const NONE: u32 = u32::MAX;

/// Compares all of them with `plan.json`.
pub fn check(plan: &Plan, records: &Records<'_>, verified: &mut Verified) {
    let planned = plan.devices().count();
    verified.compare(SERVER, "devices", &records.devices.len(), &planned);
    let [mut streams, mut auditors] = [Runs::default(); 2];
    for ((record, device), number) in records.devices.iter().zip(plan.devices()).zip(0..) {
        one(plan, record, (device, number), verified);
        let whose = format!("device {}", device.name);
        let told = streams.next(&records.streams, record, 32);
        // StreamID, and the SMMU.
        let pair = |row: &Record<'_>| (row.u32(0), row.u32(4));
        let told = told.map(|rows| rows.iter().map(pair).collect::<Vec<_>>());
        let smmu = device.smmu.as_ref().and_then(|name| plan.smmu(name));
        let smmu = smmu.unwrap_or(NONE);
        let streams = device.streams.iter();
        let planned: Vec<_> = streams.map(|stream| (*stream, smmu)).collect();
        let what = "the IOMMU server is told of the stream";
        verified.compare_rows(&whose, what, told.as_deref(), &planned);
        let told = auditors.next(&records.numbers, record, 64);
        let told = told.map(|rows| rows.iter().map(|row| row.u32(0)).collect::<Vec<_>>());
        let audits = |task: &&Task| task.inspects || task.audits.contains(&device.name);
        let planned = plan.tasks.iter().filter(audits);
        let planned: Vec<_> = planned.filter_map(|task| plan.task(&task.name)).collect();
        let what = "the IOMMU server is told of the auditor";
        verified.compare_rows(&whose, what, told.as_deref(), &planned);
    }
    verified.compare(SERVER, "streams", &records.streams.len(), &streams.end());
    verified.compare(SERVER, "auditors", &records.numbers.len(), &auditors.end());
    let reserved = records.streams.iter().any(|stream| stream.u32(20) != 0);
    verified.compare(SERVER, "a word of a stream is in use:", &reserved, &false);
    pools(plan, records, verified);
    lent(plan, records, verified);
    premapped(plan, records, verified);
}

fn one(
    plan: &Plan,
    record: &Record<'_>,
    (device, number): (&Device, usize),
    verified: &mut Verified,
) {
    let whose = format!("device {}", device.name);
    verified.compare(
        &whose,
        "the IOMMU server is told of",
        &record.name(),
        &device.name,
    );
    let index = |number: Option<usize>| number.and_then(|number| u32::try_from(number).ok());
    let owner = device.owner();
    let owner = owner.map_or(Some(NONE), |owner| plan.task(owner));
    let domain = device
        .domain
        .map_or(Some(NONE), |domain| index(Some(domain)));
    let group = index(
        plan.groups
            .iter()
            .position(|group| group.name == device.group),
    );
    let what = "the IOMMU server is told of domain, owner, group and reset unit";
    let told = [24, 28, 40, 44].map(|at| Some(record.u32(at)));
    let planned = [domain, owner, group, Some(device.reset_unit)];
    verified.compare(&whose, what, &told, &planned);
    let other = |task: &&Task| Some(task.name.as_str()) != device.owner();
    let has = |task: &Task| {
        let owns = device
            .registers
            .as_ref()
            .is_some_and(|block| task.owns.contains(block));
        owns || task.watches.contains(&device.name)
    };
    let is_watched = plan.tasks.iter().filter(other).any(has);
    let is_standing = plan.exceptions.contains(&device.name);
    let direct = plan
        .reach
        .get(&device.name)
        .map(|reach| !reach.direct.is_empty());
    verified.compare(
        &whose,
        "it is an exception,",
        &is_standing,
        &direct.unwrap_or(false),
    );
    let what =
        "the IOMMU server is told of pins, direct regions, whether it is not on PCI and watched";
    let told = [48, 52, 56, 60].map(|at| record.u32(at));
    let flags = [is_standing, number >= plan.functions.len(), is_watched].map(u32::from);
    let planned = [device.pins, flags[0], flags[1], flags[2]];
    verified.compare(&whose, what, &told, &planned);
}

/// The pools of a task in their order.
fn of(task: &Task) -> impl Iterator<Item = &Mapping> {
    task.memory.iter().filter(|mapping| mapping.what == "pool")
}

fn pools(plan: &Plan, records: &Records<'_>, verified: &mut Verified) {
    let row = |record: &Record<'_>| {
        let numbers = (record.u32(0), record.u32(4));
        (numbers, record.u64(8), record.u64(16))
    };
    let told: Vec<_> = records.pools.iter().map(row).collect();
    let pools = |(task, index): (_, u32)| {
        let rows = of(task).zip(0..);
        rows.map(move |(pool, number)| ((index, number), pool.address, pool.bytes))
    };
    let planned: Vec<_> = plan.tasks.iter().zip(0..).flat_map(pools).collect();
    verified.compare_rows(SERVER, "is told of the pools", Some(&told), &planned);
}

/// The pools that tasks lend as a whole, by device and then by task.
fn lent(plan: &Plan, records: &Records<'_>, verified: &mut Verified) {
    let row = |record: &Record<'_>| ([0, 4, 8, 12].map(|at| record.u32(at)), record.u64(16));
    let told: Vec<_> = records.lent.iter().map(row).collect();
    let devices = plan.devices().zip(0u32..);
    let planned = devices.flat_map(|(device, number)| {
        let tasks = plan.tasks.iter().zip(0u32..);
        tasks.flat_map(move |(task, index)| {
            let lends = task.lends.iter();
            let to_it = lends.filter(|lent| lent.device == device.name);
            to_it.map(move |lent| {
                let numbers = [number, index, lent.pool, u32::from(lent.writable)];
                (numbers, lent.bytes / 4096)
            })
        })
    });
    let planned: Vec<_> = planned.collect();
    let what = "is told of the pools that are lent as a whole";
    verified.compare_rows(SERVER, what, Some(&told), &planned);
}

/// Memory types by their index.
const MEMORY: [&str; 4] = [
    "write-back",
    "device-nGnRE",
    "non-cacheable",
    "device-nGnRnE",
];

fn premapped(plan: &Plan, records: &Records<'_>, verified: &mut Verified) {
    let row = |record: &Record<'_>| {
        let numbers = [0, 4, 8, 12, 40, 44].map(|at| Some(record.u32(at)));
        (numbers, [16, 24, 32].map(|at| record.u64(at)))
    };
    let told: Vec<_> = records.premapped.iter().map(row).collect();
    let domains = plan.domains.iter().zip(0u32..);
    let planned = domains.flat_map(|(domain, index)| {
        let ranges = domain.premapped.iter();
        ranges.map(move |range| {
            let kinds = ["direct", "identity", "pool", "doorbell"];
            let kind = kinds.iter().position(|kind| *kind == range.kind);
            let memory = range.access.split(' ').next_back();
            let memory = MEMORY.iter().position(|known| Some(*known) == memory);
            let number = |at: Option<usize>| Some(at? as u32);
            let (task, pool) = pool(plan, range);
            let numbers = [
                Some(index),
                number(kind),
                task,
                pool,
                number(memory),
                Some(0),
            ];
            (numbers, [range.iova, range.address, range.bytes])
        })
    });
    let planned: Vec<_> = planned.collect();
    verified.compare_rows(
        SERVER,
        "is told that this is premapped:",
        Some(&told),
        &planned,
    );
}

/// The task, and the number of its pool.
fn pool(plan: &Plan, range: &Premapped) -> (Option<u32>, Option<u32>) {
    if matches!(range.kind.as_str(), "direct" | "doorbell") {
        return (Some(NONE), Some(0));
    }
    let task = range.task.as_deref().and_then(|name| plan.task(name));
    let pools = task.and_then(|task| plan.tasks.get(task as usize));
    let pool =
        pools.and_then(|task| of(task).position(|pool| Some(&pool.name) == range.pool.as_ref()));
    (task, pool.map(|pool| pool as u32))
}
