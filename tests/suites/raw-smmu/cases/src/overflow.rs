//! The event queue: wraps, overflows, writes that abort; and the interrupts of both queues.

use abi::notification;
use iommu::hardware::Hardware;
use smmu::EventKind::Translation;
use smmu::registers::{
    EVENTQ_BASE, EVENTQ_CONS, EVENTQ_PROD, OVERFLOW_FLAG, cr0, gerror, queue_base,
};
use suite::{Case, Result, Stage, check, check_eq};
use userlib::ipc::{self, Received};
use userlib::{interrupt, time};

use crate::board::ACCESS;
use crate::machine::{FIRST, Machine, QUEUE_LEN, QUEUE_LOG2};
use crate::records::{Record, skip};
use crate::shows;

/// Page of the window at which nothing is mapped.
const AT: u64 = 5;

fn wrap(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    let count = QUEUE_LEN * 3 / 4;
    let mut total = 0;
    for round in 0..5 {
        let at = iova + round * 4096;
        machine.write(stage, at, count * ACCESS)?;
        let (found, turn) = machine.take()?;
        check!(!turn.lost);
        machine.in_a_row(&found, count, at)?;
        total += count;
        let index = total % (2 * QUEUE_LEN);
        check_eq!(machine.smmu.read32(EVENTQ_PROD), index);
        check_eq!(machine.smmu.read32(EVENTQ_CONS), index);
    }
    check!(total > 3 * QUEUE_LEN);
    Ok(())
}

fn full_is_not_too_full(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    machine.write(stage, iova, QUEUE_LEN * ACCESS)?;
    let (found, turn) = machine.take()?;
    check!(!turn.lost);
    machine.in_a_row(&found, QUEUE_LEN, iova)
}

/// More than it holds: the oldest are kept, the loss is told in one of two ways, and recording goes on.
fn overflow(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    for round in 0..2 {
        let at = iova + 2 * round * 4096;
        machine.write(stage, at, 3 * QUEUE_LEN * ACCESS)?;
        let flags = machine.smmu.read32(EVENTQ_PROD) ^ machine.smmu.read32(EVENTQ_CONS);
        let flagged = OVERFLOW_FLAG.is_set32(flags);
        let aborted = gerror::EVENTQ_ABT_ERR.is_set32(machine.errors());
        // By the flag of the index (section 7.4), or as QEMU does, by the error that is for failed writes.
        check!(flagged != aborted);
        let (found, turn) = machine.take()?;
        check!(turn.lost);
        check_eq!(turn.aborted, aborted);
        machine.in_a_row(&found, QUEUE_LEN, at)?;
        // Acknowledged, both.
        check_eq!(machine.errors(), 0);
        let flags = machine.smmu.read32(EVENTQ_PROD) ^ machine.smmu.read32(EVENTQ_CONS);
        check_eq!(flags, 0);
        machine.silent()?;
        machine.write(stage, at + 4096, ACCESS)?;
        machine.recorded(&Record::write(Translation, stream, at + 4096))?;
    }
    Ok(())
}

fn room_in_the_middle(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    // Half of the queue stays unread while more comes than the other half holds.
    let half = QUEUE_LEN / 2;
    machine.write(stage, iova, half * ACCESS)?;
    machine.write(stage, iova + (half * ACCESS) as u64, (half + 3) * ACCESS)?;
    let (found, turn) = machine.take()?;
    check!(turn.lost);
    machine.in_a_row(&found, QUEUE_LEN, iova)
}

fn disabled(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let on = machine.control_now();
    machine.control(on & !cr0::EVENTQEN.put32(1))?;
    machine.write(stage, iova, ACCESS)?;
    check_eq!(machine.errors(), 0);
    machine.control(on)?;
    machine.silent()?;
    machine.write(stage, iova, ACCESS)?;
    machine.recorded(&Record::write(Translation, stream, iova))
}

fn queue_nowhere(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let log2 = u64::from(QUEUE_LOG2);
    let place = |machine: &mut Machine, base: u64| {
        let value = queue_base::ADDR.address(base) | queue_base::LOG2SIZE.put(log2);
        machine.smmu.write64(EVENTQ_BASE, value);
    };
    let nowhere = machine.nowhere;
    // Records that were there before are not to be told from what a failed write left.
    machine.write(stage, iova, 2 * ACCESS)?;
    machine.while_off(cr0::EVENTQEN, |machine| place(machine, nowhere))?;
    machine.write(stage, iova, 3 * ACCESS)?;
    if machine.errors() == 0 {
        return skip("this machine does not report a record that it cannot write");
    }
    check_eq!(machine.errors(), gerror::EVENTQ_ABT_ERR.mask());
    // What the queue's memory holds is not taken for records.
    let (found, turn) = machine.take()?;
    check!(turn.lost && turn.aborted);
    check_eq!(found.len(), 0);
    check_eq!(machine.errors(), 0);
    let good = machine.entry.tables_pa + machine.entry.event_queue;
    machine.while_off(cr0::EVENTQEN, |machine| place(machine, good))?;
    machine.write(stage, iova, ACCESS)?;
    machine.recorded(&Record::write(Translation, stream, iova))
}

/// Whether one of the bits is posted within some milliseconds.
fn posted(stage: &Stage, bits: u32, milliseconds: u64) -> bool {
    let end = time::now().after(milliseconds * 1_000_000);
    loop {
        time::set_timer(Some(end));
        match ipc::receive_from(stage.runner(), bits | notification::TIMER) {
            Received::Notification(found) if found & bits != 0 => return true,
            _ if time::now() >= end => return false,
            _ => {}
        }
    }
}

/// Unmasks an interrupt and drops what is left of it from before.
fn listen(stage: &Stage, bit: u32) -> Result {
    check!(bit != 0);
    for _ in 0..3 {
        interrupt::unmask(bit);
        if !posted(stage, bit, 5) {
            return Ok(());
        }
    }
    check!(!posted(stage, bit, 5));
    Ok(())
}

fn event_interrupt(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let (stream, iova) = (machine.stream(FIRST)?, machine.iova(AT)?);
    let bit = machine.entry.event_interrupt;
    listen(stage, bit)?;
    machine.write(stage, iova, ACCESS)?;
    check!(posted(stage, bit, 50));
    machine.recorded(&Record::write(Translation, stream, iova))
}

fn error_interrupt(stage: &Stage) -> Result {
    let mut machine = Machine::open(stage)?;
    let iova = machine.iova(AT)?;
    let bit = machine.entry.error_interrupt;
    listen(stage, bit)?;
    machine.write(stage, iova, 2 * QUEUE_LEN * ACCESS)?;
    if !gerror::EVENTQ_ABT_ERR.is_set32(machine.errors()) {
        return skip("this SMMU tells of an overflow in the index, without a global error");
    }
    check!(posted(stage, bit, 50));
    let (found, turn) = machine.take()?;
    check!(turn.lost && turn.aborted);
    machine.in_a_row(&found, QUEUE_LEN, iova)
}

pub const CASES: &[Case] = &[
    shows!("events-wrap", &["E1", "F5"], wrap),
    shows!("events-full", &["F4"], full_is_not_too_full),
    shows!("events-overflow", &["F4", "R5"], overflow),
    shows!("events-overflow-in-the-middle", &["F4"], room_in_the_middle),
    shows!("events-disabled", &["F3"], disabled),
    shows!("events-nowhere", &["F4", "R5"], queue_nowhere),
    shows!("event-interrupt", &["F1"], event_interrupt),
    shows!("error-interrupt", &["F4", "R5"], error_interrupt),
];
