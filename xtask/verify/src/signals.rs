//! What kernel and PCI task are told of message interrupts.

use crate::Verified;
use crate::blob::{Blob, Record, kind};
use crate::expected::{Device, Mapping, Plan, Signals, Task};

/// The platform's name of the interrupt translation service.
pub const ITS: &str = "its";
/// Offset of the register that messages are written to, from the service's base (GICv3, `GITS_TRANSLATER`).
pub const TRANSLATER: u64 = 0x1_0040;
const PAGE: u64 = 4096;
/// Offset of the configuration table, behind the queue.
const CONFIGURATION: u64 = 4 << 10;
/// Bytes of an entry of an MSI-X table.
const ENTRY: u64 = 16;

/// Whether a task owns the service.
pub fn owns_service(task: &Task) -> bool {
    task.owns.iter().any(|own| own == ITS)
}

/// The task that owns the service, if any function signals by messages.
pub fn translator(plan: &Plan) -> Option<u32> {
    plan.memory.its?;
    let owner = plan.tasks.iter().find(|task| owns_service(task))?;
    plan.task(&owner.name)
}

/// The service's first address.
pub fn base(plan: &Plan) -> Option<u64> {
    plan.board.interrupt_controller.as_ref()?.its()
}

/// How a device signals by messages.
pub fn signals(device: &Device) -> Option<&Signals> {
    device.function.as_ref()?.messages.as_ref()
}

/// The kernel's record of the memory.
pub fn kernel(blob: &Blob<'_>, plan: &Plan, verified: &mut Verified) {
    let told: Vec<_> = blob.table(kind::MESSAGE_TABLES).iter().map(pair).collect();
    let planned = plan.memory.its.zip(plan.memory.pending_messages);
    let planned =
        planned.map(|(its, pending)| (its.address.saturating_add(CONFIGURATION), pending.address));
    let planned: Vec<_> = planned.into_iter().collect();
    let what = "its tables of message interrupts are at";
    verified.compare_rows("kernel", what, Some(&told), &planned);
}

fn pair(record: &Record<'_>) -> (u64, u64) {
    (record.u64(0), record.u64(8))
}

/// What the PCI task is told of the messages of a function.
pub fn function(
    record: &Record<'_>,
    plan: &Plan,
    task: &Task,
    device: &Device,
    whose: &str,
    verified: &mut Verified,
) {
    let numbers = [272, 276, 288, 292].map(|at| Some(record.u32(at)));
    let places = [280, 296, 304].map(|at| record.u64(at));
    let planned = match signals(device) {
        None => ([Some(0); 4], [0; 3]),
        Some(signals) => {
            let by = ["", "msi", "msi-x"];
            let by = by.iter().position(|by| *by == signals.by);
            let table = signals.table.as_ref();
            let name = format!("{}-messages", device.name);
            let mut ranges = task.memory.iter();
            let mapped = ranges.find(|range| range.what == "message-table" && range.name == name);
            let address = base(plan).map_or(0, |base| base.saturating_add(TRANSLATER));
            let mapped_at = mapped.map_or((0, 0), |range| (range.input, range.bytes));
            (
                [
                    by.map(|by| by as u32),
                    Some(signals.vectors),
                    Some(table.map_or(0, |table| table.bar)),
                    Some(table.map_or(0, |table| table.offset as u32)),
                ],
                [address, mapped_at.0, mapped_at.1],
            )
        }
    };
    let what = "the PCI task is told of its messages: by, how many, BAR and offset of the table; doorbell, mapped at, bytes";
    verified.compare(whose, what, &(numbers, places), &planned);
    if let Some(why) = signals(device).and_then(|signals| misplaced(plan, task, device, signals)) {
        verified.say(format!("{whose}: its MSI-X table {why}"));
    }
}

/// Why the PCI task would write somewhere else than the table.
fn misplaced(plan: &Plan, task: &Task, device: &Device, signals: &Signals) -> Option<&'static str> {
    let table = signals.table.as_ref()?;
    let name = format!("{}-messages", device.name);
    let mut bars = device.bars.iter();
    let Some(bar) = bars.find(|bar| bar.bar == table.bar as usize) else {
        return Some("is in a BAR that it has not got");
    };
    let address = plan.board.seen_at(bar.address);
    let start = address.saturating_add(table.offset);
    let end = start.saturating_add(u64::from(table.entries) * ENTRY);
    let holds = |range: &Mapping| {
        range.name == name
            && range.address == start - start % PAGE
            && Some(range.run().output_end()) == end.checked_next_multiple_of(PAGE)
    };
    if end > address.saturating_add(bar.bytes) {
        Some("ends beyond its BAR")
    } else if signals.vectors > table.entries {
        Some("has fewer entries than it has vectors")
    } else if !task
        .memory
        .iter()
        .any(|range| range.what == "message-table" && holds(range))
    {
        Some("is not where the PCI task writes it")
    } else {
        None
    }
}
