//! Message interrupts: who signals what, where the doorbell is, and the memory that this takes.

use crate::Verified;
use crate::blob::{Blob, kind};
use crate::expected::{Domain, Plan, Task};
use crate::image::Image;
use crate::pci::at;
use crate::signals::{ITS, TRANSLATER, base, owns_service, signals};
use crate::spaces::Spaces;

const MEMORY: &str = "its-memory";
const PAGE: u64 = 4096;
/// What the service and a redistributor want their memory to be a multiple of.
const ALIGNMENT: u64 = 64 << 10;
/// Offset of the first interrupt translation table, and bytes of an entry.
const TABLES: u64 = 16 << 10;
const ENTRY: u64 = 16;
const NOTHING: &[u8] = &[];

/// Compares the rest with `plan.json`: the records of the service's owner, its memory, and the domains with the
/// doorbell.
///
/// # Errors
/// If the owner's plan cannot be read.
pub fn check(
    image: &Image<'_>,
    plan: &Plan,
    spaces: &Spaces,
    verified: &mut Verified,
) -> Result<(), String> {
    for (index, domain) in plan.domains.iter().enumerate() {
        doorbell(plan, index, domain, verified);
    }
    unique(plan, verified);
    let mut tasks = plan.tasks.iter().zip(&spaces.plans);
    let Some((task, place)) = tasks.find(|(task, _)| owns_service(task)) else {
        if plan.memory.its.is_some() {
            verified.say(
                "functions signal by messages, and nobody owns the interrupt translation service",
            );
        }
        return Ok(());
    };
    let blob = Blob::new(image.plan(*place), &task.name)?;
    service(&blob, plan, task, verified);
    memory(image, plan, verified);
    Ok(())
}

/// A domain leads to the doorbell if a device of it signals by messages, and then to nothing else there.
fn doorbell(plan: &Plan, index: usize, domain: &Domain, verified: &mut Verified) {
    let mut members = plan.devices().filter(|device| device.domain == Some(index));
    let page = base(plan).map(|base| base.saturating_add(TRANSLATER) & !(PAGE - 1));
    let wanted = members.any(|device| signals(device).is_some()) && !domain.untranslated;
    let planned: Vec<_> = page
        .filter(|_| wanted)
        .map(|page| (page, page, PAGE))
        .into_iter()
        .collect();
    let ranges = domain.premapped.iter();
    let told: Vec<_> = ranges
        .filter(|range| range.kind == "doorbell")
        .map(|range| (range.iova, range.address, range.bytes))
        .collect();
    let what = "its doorbell (IOVA, address, bytes) is";
    verified.compare(domain, what, &told, &planned);
}

/// No two functions have one DeviceID, and no two messages one INTID.
fn unique(plan: &Plan, verified: &mut Verified) {
    let mut seen = Vec::new();
    for device in plan.devices() {
        let Some(signals) = signals(device) else {
            continue;
        };
        if seen.contains(&signals.device_id) {
            verified.say(format!(
                "device {}: another signals with the DeviceID {:#x}",
                device.name, signals.device_id
            ));
        }
        seen.push(signals.device_id);
        let of = plan
            .interrupts
            .iter()
            .filter(|line| line.device == device.name);
        let told: Vec<_> = of
            .filter_map(|line| line.message.as_ref())
            .map(|message| (message.device_id, message.event_id))
            .collect();
        let planned = (0..signals.vectors).map(|event| (signals.device_id, event));
        let whose = format!("device {}", device.name);
        verified.compare(&whose, "its messages are", &told, &planned.collect());
    }
}

/// What the owner tells the service.
fn service(blob: &Blob<'_>, plan: &Plan, task: &Task, verified: &mut Verified) {
    let its = blob.table(kind::ITS);
    let Some(memory) = plan.memory.its else {
        verified.compare("the ITS", "is told of places", &its.len(), &0);
        return;
    };
    let told: Vec<_> = its
        .iter()
        .map(|record| [0, 16, 24, 32].map(|at| Some(record.u64(at))))
        .collect();
    let planned = [
        at(task, "registers", Some(ITS)),
        at(task, MEMORY, None),
        Some(memory.address),
        Some(memory.bytes),
    ];
    let what = "its owner is told of registers, memory, address and bytes:";
    verified.compare_rows("the ITS", what, Some(&told), &[planned]);
    let mut next = TABLES;
    let mut sources = Vec::new();
    for (number, device) in plan.devices().enumerate() {
        let Some(signals) = signals(device) else {
            continue;
        };
        let first = plan
            .interrupts
            .iter()
            .find(|line| line.device == device.name);
        let first = first.map_or(0, |line| line.intid);
        sources.push((number as u32, signals.device_id, signals.vectors, first));
    }
    let told: Vec<_> = blob
        .table(kind::SOURCE)
        .iter()
        .map(|record| {
            let [device, id, events, first] = [0, 4, 8, 12].map(|at| record.u32(at));
            (device, id, events, first)
        })
        .collect();
    let mut sorted = told.clone();
    sorted.sort_unstable();
    sources.sort_unstable();
    verified.compare_rows("the ITS", "it is told of", Some(&sorted), &sources);
    // Tables lie behind each other, before the device table, each with room for its events.
    for record in blob.table(kind::SOURCE) {
        let (table, bits) = (record.u64(16), record.u32(24));
        let room = 1u64.checked_shl(bits).unwrap_or(0);
        if table < next || !table.is_multiple_of(256) || room < u64::from(record.u32(8)) {
            verified.say(format!(
                "the ITS: the table at {table:#x} has no room of its own"
            ));
        }
        next = table.saturating_add(ENTRY.saturating_mul(room));
    }
    for record in its {
        let places = [(40, 48), (56, 64)].map(|(at, len)| (record.u64(at), record.u64(len)));
        for (offset, bytes) in places {
            if offset < next || !offset.is_multiple_of(ALIGNMENT) || bytes == 0 {
                verified.say(format!(
                    "the ITS: its table at {offset:#x} has no room of its own"
                ));
            }
            next = offset.saturating_add(bytes);
        }
        if next > memory.bytes {
            verified.say("the ITS: its tables end beyond its memory");
        }
    }
}

/// All of it begins as zeros: the service takes what is in its tables as its own.
fn memory(image: &Image<'_>, plan: &Plan, verified: &mut Verified) {
    let both = [plan.memory.its, plan.memory.pending_messages];
    for extent in both.into_iter().flatten() {
        let bytes = image.bytes(extent.address, extent.bytes).unwrap_or(NOTHING);
        let zeros = bytes.len() as u64 == extent.bytes && bytes.iter().all(|byte| *byte == 0);
        if !zeros || !extent.address.is_multiple_of(ALIGNMENT) {
            verified.say(format!(
                "the memory of message interrupts at {:#x} is not zeros at a multiple of 64 KiB",
                extent.address
            ));
        }
    }
}
