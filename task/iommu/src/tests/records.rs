//! Event queues and lines about faults by themselves.

use std::vec::Vec;

use smmu::registers::{EVENTQ_CONS, EVENTQ_PROD, GERROR, GERRORN};
use smmu::{Class, Event, EventKind};

use super::rig::*;
use crate::events::{EventQueue, Share, Turn};
use crate::fault_lines::FaultLines;
use crate::limits::FAULT_LINES;
use crate::log::Line;

/// `GERROR.EVENTQ_ABT_ERR`.
const ABORTED: u32 = 4;

/// A machine, and a reader of its event queue of 16 records beside the server.
fn queue() -> (Rig, EventQueue) {
    (Rig::booted(), EventQueue::new(EVENTS, EVENT_LOG2, 0, 0))
}

/// So many accesses of a stream that nobody has.
fn fault(rig: &Rig, times: u64) {
    for _ in 0..times {
        assert_eq!(rig.reach(0x3000, BASE), None);
    }
}

/// One turn, and how many records it took.
fn turn(rig: &mut Rig, queue: &mut EventQueue) -> (Turn, usize) {
    let mut taken = 0;
    let turn = queue.turn(&mut rig.smmu, |event| {
        assert_eq!(event.stream, 0x3000);
        taken += 1;
    });
    (turn, taken)
}

fn register(rig: &Rig, register: usize) -> u32 {
    rig.smmu.0.borrow().get(register)
}

#[test]
fn slots_are_given_back_after_a_barrier() {
    let (mut rig, mut queue) = queue();
    fault(&rig, 3);
    let before = rig.smmu.0.borrow().published;
    assert_eq!(turn(&mut rig, &mut queue), (Turn::default(), 3));
    assert_eq!(rig.smmu.0.borrow().published, before + 1);
    assert_eq!(register(&rig, EVENTQ_CONS), 3);
}

/// What is not trusted is given back too, and so is the word that nothing fits.
#[test]
fn each_loss_is_acknowledged() {
    let lost = Turn {
        lost: true,
        ..Turn::default()
    };
    let (mut rig, mut queue) = queue();
    rig.smmu.0.borrow_mut().set(EVENTQ_PROD, 1 << 31);
    assert_eq!(turn(&mut rig, &mut queue), (lost, 0));
    assert_eq!(register(&rig, EVENTQ_CONS), 1 << 31);
    assert_eq!(turn(&mut rig, &mut queue), (Turn::default(), 0));

    let (mut rig, mut queue) = self::queue();
    fault(&rig, 3);
    let aborted = Turn {
        aborted: true,
        ..lost
    };
    rig.smmu.0.borrow_mut().set(GERROR, ABORTED);
    assert_eq!(turn(&mut rig, &mut queue), (aborted, 0));
    assert_eq!(register(&rig, EVENTQ_CONS), 3);
    // The bit is told by a change, to either value.
    for error in [0, ABORTED] {
        rig.smmu.0.borrow_mut().set(GERROR, error);
        assert_eq!(turn(&mut rig, &mut queue), (aborted, 0));
        assert_eq!(register(&rig, GERRORN), error);
        assert_eq!(turn(&mut rig, &mut queue), (Turn::default(), 0));
    }
}

/// The queue may become full, and lose records, between the look at the errors and the look at the queue.
#[test]
fn records_of_a_queue_that_was_full_are_trusted_at_the_next_look() {
    let (mut rig, mut queue) = queue();
    fault(&rig, 16);
    assert_eq!(turn(&mut rig, &mut queue), (Turn::default(), 16));
    rig.smmu.0.borrow_mut().set(GERROR, ABORTED);
    fault(&rig, 3);
    let aborted = Turn {
        more: false,
        lost: true,
        aborted: true,
    };
    assert_eq!(turn(&mut rig, &mut queue), (aborted, 3));
    // Once only.
    rig.smmu.0.borrow_mut().set(GERROR, 0);
    fault(&rig, 3);
    assert_eq!(turn(&mut rig, &mut queue), (aborted, 0));
}

#[test]
fn an_empty_queue_leaves_nothing_for_another_turn() {
    let (mut rig, mut queue) = queue();
    rig.smmu.0.borrow_mut().set(GERROR, ABORTED);
    let turn = queue.take(&mut rig.smmu, Share::Recorded, |_| panic!("a record"));
    assert!(turn.aborted && turn.lost && !turn.more);
}

#[test]
fn a_queue_is_idle_while_no_error_is_active() {
    for (error, acknowledged) in [(0, 0), (0, ABORTED), (ABORTED, 0), (ABORTED, ABORTED)] {
        let (mut rig, mut queue) = queue();
        rig.smmu.0.borrow_mut().set(GERROR, error);
        rig.smmu.0.borrow_mut().set(GERRORN, acknowledged);
        let idle = queue.is_idle(&mut rig.smmu);
        assert_eq!(idle, error == acknowledged, "{error} {acknowledged}");
    }
}

const PERIOD: u64 = 1000;

fn event(kind: EventKind, read: bool, address: u64) -> Event {
    Event {
        kind,
        number: kind as u8,
        stream: 0x100,
        read,
        class: Class::Input,
        address,
        fetch: 0,
    }
}

/// Accesses at a time, too far apart for one line: what is told.
fn tell(lines: &mut FaultLines, now: u64, accesses: u64) -> Vec<Line<'static>> {
    let mut told = Vec::new();
    for number in 0..accesses {
        let event = event(EventKind::Translation, true, number << 20);
        lines.add(None, None, &event, now, PERIOD, |_, line| told.push(line));
    }
    lines.finish(now, PERIOD, |_, line| told.push(line));
    told
}

#[test]
fn lines_of_a_period_are_limited_and_the_next_one_begins_with_their_number() {
    let mut lines = FaultLines::default();
    let limit = u64::from(FAULT_LINES);
    assert_eq!(tell(&mut lines, 0, limit).len() as u64, limit);
    assert!(!lines.has_omitted());
    // The last moment of it.
    assert_eq!(tell(&mut lines, PERIOD, 2), []);
    assert!(lines.has_omitted());
    let told = tell(&mut lines, PERIOD + 1, 1);
    assert_eq!(told.first(), Some(&Line::FaultsOmitted { count: 2 }));
    assert!(matches!(told[1..], [Line::Fault(_)]));
    assert!(!lines.has_omitted());
    // Where none was left out, nothing is said of it.
    let told = tell(&mut lines, 3 * PERIOD, 1);
    assert!(matches!(told[..], [Line::Fault(_)]), "{told:?}");
}

/// An SMMU does not say whether what came under an unknown StreamID was a read.
#[test]
fn a_line_says_read_where_that_is_known() {
    for (kind, read, expected) in [
        (EventKind::Translation, true, true),
        (EventKind::Translation, false, false),
        (EventKind::BadStreamId, true, false),
        (EventKind::BadStreamId, false, false),
    ] {
        let mut lines = FaultLines::default();
        let event = event(kind, read, 0);
        lines.add(None, None, &event, 0, PERIOD, |_, _| panic!("too early"));
        let mut told = None;
        lines.finish(0, PERIOD, |_, line| told = Some(line));
        let Some(Line::Fault(line)) = told else {
            panic!("{told:?}");
        };
        assert_eq!(line.read, expected, "{kind:?} {read}");
    }
}
