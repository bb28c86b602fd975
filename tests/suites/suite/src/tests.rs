//! The runner against a scripted kernel: what every kind of bad part is reported as.

use std::collections::{BTreeMap, VecDeque};
use std::string::{String, ToString};
use std::vec::Vec;
use std::{format, vec};

use abi::privileged::TaskState;
use abi::{Code, FaultKind, Lease, TaskId, notification};
use userlib::ipc::{Message, Payload, Received};
use userlib::privileged::Status;

use crate::protocol::{ASKED, Action, NEXT, NOTE, NOTES, PLEASE, REPORT, is_asked};
use crate::report::{REPORT_MAX, Report};
use crate::runner::{System, run_on};
use crate::{Case, Part, Suite};

/// What a role does when it is given its part.
#[derive(Clone, Debug)]
enum Deed {
    Send(u16, Vec<u8>),
    Die(FaultKind),
    /// Does not answer any more.
    Hang,
}

/// A kernel in which every role acts a script by case number.
struct Fake<'a> {
    /// By case and role.
    scripts: BTreeMap<(u64, usize), Vec<Deed>>,
    states: Vec<(TaskId, TaskState, FaultKind)>,
    /// Never comes up.
    stuck: Option<usize>,
    /// Words of the parameters that say which cases to run.
    asked: &'a [u64],
    inbox: VecDeque<Received>,
    text: Vec<u8>,
    now: u64,
    timer: Option<u64>,
    output: &'a mut String,
    replies: &'a mut Vec<(usize, Payload)>,
}

const NAMES: [&str; 2] = ["one", "two"];

fn message(sender: TaskId, operation: u16, bytes: &[u8]) -> Received {
    let mut payload = [0; 8];
    for (word, chunk) in payload.iter_mut().zip(bytes.chunks(8)) {
        let mut eight = [0; 8];
        eight[..chunk.len()].copy_from_slice(chunk);
        *word = u64::from_le_bytes(eight);
    }
    Received::Message(Message {
        sender,
        operation,
        len: bytes.len(),
        reply_capacity: 64,
        payload,
        leases: [Lease(0); 2],
        lease_count: 0,
    })
}

impl Fake<'_> {
    fn begin(&mut self, index: usize) {
        let (id, state, _) = &mut self.states[index];
        *state = TaskState::Ready;
        if self.stuck != Some(index) {
            self.inbox.push_back(message(*id, NEXT, &[]));
        }
    }

    fn end(&mut self, index: usize, kind: FaultKind) {
        let (id, state, fault) = &mut self.states[index];
        if *state == TaskState::Dead {
            return;
        }
        *id = TaskId::new(index as u8, id.generation() + 1);
        (*state, *fault) = (TaskState::Dead, kind);
        if kind != FaultKind::Stopped {
            self.inbox
                .push_back(Received::Notification(notification::FAULT));
        }
    }
}

impl System for Fake<'_> {
    fn index_of(&mut self, name: &str) -> Option<usize> {
        NAMES
            .iter()
            .position(|known| *known == name)
            .map(|at| at + 1)
    }
    fn parameter(&mut self, name: &str) -> Option<u64> {
        let asked = ASKED.iter().position(|known| *known == name);
        asked.and_then(|at| self.asked.get(at).copied())
    }
    fn receive(&mut self, _: u32, buffer: &mut [u8]) -> Received {
        let Some(received) = self.inbox.pop_front() else {
            // Nothing happens any more until the deadline.
            self.now = self.timer.take().expect("the runner would wait for ever");
            return Received::Notification(notification::TIMER);
        };
        if let Received::Message(message) = received
            && message.len > 64
        {
            buffer[..message.len].copy_from_slice(&self.text[..message.len]);
        }
        received
    }
    fn reply(&mut self, to: TaskId, payload: &Payload, len: usize) {
        self.replies.push((to.index(), *payload));
        if len != 32 {
            return;
        }
        let script = self.scripts.get(&(payload[0], to.index()));
        for deed in script.cloned().unwrap_or_default() {
            match deed {
                Deed::Send(operation, bytes) => {
                    self.inbox.push_back(message(to, operation, &bytes));
                    self.text = bytes;
                }
                Deed::Die(kind) => self.end(to.index(), kind),
                Deed::Hang => {}
            }
        }
    }
    fn status(&mut self, index: usize) -> Option<Status> {
        let (id, state, kind) = self.states[index];
        Some(Status {
            id,
            state: state as u64,
            fault: [kind as u64, 0x123, 0x456, 0, 0],
        })
    }
    fn restart(&mut self, index: usize) -> Code {
        self.begin(index);
        Code::OK
    }
    fn stop(&mut self, index: usize, _: bool) -> Code {
        self.end(index, FaultKind::Stopped);
        Code::OK
    }
    fn arm_fault(&mut self, _: usize, _: u64) -> Code {
        Code::OK
    }
    fn privileged(&mut self, _: u64, _: [u64; 5]) -> [u64; 8] {
        [0; 8]
    }
    fn read_word(&mut self, _: usize, _: u64) -> Result<u64, Code> {
        Err(Code::REFUSED)
    }
    fn now(&mut self) -> u64 {
        self.now
    }
    fn set_timer(&mut self, nanoseconds: Option<u64>) {
        self.timer = nanoseconds.map(|nanoseconds| self.now + nanoseconds);
    }
    fn print(&mut self, text: &str) {
        self.output.push_str(text);
    }
}

fn unused(_: &crate::Stage) -> crate::Result {
    Ok(())
}

const ONE: &[Part] = &[Part::returns(0, unused)];

const fn returns(name: &'static str) -> Case {
    Case::new(name, &["X"], ONE)
}

const CASES: &[Case] = &[
    returns("passes"),
    returns("fails"),
    returns("hangs"),
    returns("faults"),
    returns("is-skipped"),
    Case::new(
        "dies-as-it-should",
        &["X"],
        &[Part::dies(0, FaultKind::Panic, unused)],
    ),
    Case::new(
        "dies-otherwise",
        &["X"],
        &[Part::dies(0, FaultKind::Panic, unused)],
    ),
    Case::new(
        "lives-on",
        &["X"],
        &[Part::dies(0, FaultKind::Panic, unused)],
    ),
    Case::new(
        "is-served",
        &["X"],
        &[Part::serves(1, unused), Part::returns(0, unused)],
    ),
    Case::new(
        "server-fails",
        &["X"],
        &[Part::serves(1, unused), Part::returns(0, unused)],
    ),
    returns("passes-again"),
    returns("is-nonsense"),
    returns("compares"),
];

const SUITE: Suite = Suite {
    name: "fake",
    roles: &NAMES,
    groups: &[CASES],
};

fn reports(report: Report<'_>) -> Vec<Deed> {
    let bytes = report.write(&mut [0; REPORT_MAX]).to_vec();
    vec![Deed::Send(REPORT, bytes)]
}

fn fails(line: u32, values: Option<(u64, u64)>, what: &str) -> Vec<Deed> {
    reports(Report::Failed { line, values, what })
}

/// Runs the suite; the output, the replies, and the number of failures.
fn run(stuck: Option<usize>) -> (String, Vec<(usize, Payload)>, usize) {
    run_asked(stuck, &[])
}

fn run_asked(stuck: Option<usize>, asked: &[u64]) -> (String, Vec<(usize, Payload)>, usize) {
    let returned = reports(Report::Returned);
    let scripts = [
        ((0, 1), returned.clone()),
        ((1, 1), fails(7, None, &"x".repeat(100))),
        ((2, 1), vec![Deed::Hang]),
        ((3, 1), vec![Deed::Die(FaultKind::BadSlice)]),
        ((4, 1), reports(Report::Skipped("no such thing"))),
        ((5, 1), vec![Deed::Die(FaultKind::Panic)]),
        ((6, 1), vec![Deed::Die(FaultKind::BadSlice)]),
        ((7, 1), returned.clone()),
        ((8, 1), returned.clone()),
        ((9, 1), returned.clone()),
        ((9, 2), fails(0, None, "two lines\nwere sent")),
        ((10, 1), returned),
        ((11, 1), vec![Deed::Send(REPORT, vec![2, 200, 1, b'x'])]),
        ((12, 1), fails(12, Some((1, 0x20)), "a == b")),
    ];
    let (mut output, mut replies) = (String::new(), Vec::new());
    let fake = Fake {
        scripts: scripts.into(),
        states: vec![(TaskId::new(0, 0), TaskState::Ready, FaultKind::None); 3]
            .into_iter()
            .enumerate()
            .map(|(at, (_, state, kind))| (TaskId::new(at as u8, 0), state, kind))
            .collect(),
        stuck,
        asked,
        inbox: VecDeque::new(),
        text: Vec::new(),
        now: 0,
        timer: None,
        output: &mut output,
        replies: &mut replies,
    };
    let failed = run_on(fake, &SUITE);
    (output, replies, failed)
}

#[test]
fn every_end_is_told_by_name_and_stops_nothing() {
    let (output, replies, failed) = run(None);
    let expected = [
        "case passes ok".to_string(),
        format!("case fails FAILED one: line 7: {}", "x".repeat(100)),
        "case hangs FAILED one: still runs at the deadline".into(),
        "case faults FAILED one: died of fault 9, address 0x123, pc 0x456".into(),
        "case is-skipped skipped no such thing".into(),
        "case dies-as-it-should ok".into(),
        "case dies-otherwise FAILED one: died of fault 9, address 0x123, pc 0x456".into(),
        "case lives-on FAILED one: lived on".into(),
        "case is-served ok".into(),
        "case server-fails FAILED two: two lines were sent".into(),
        "case passes-again ok".into(),
        "case is-nonsense FAILED one: a report that is none: it ends in the middle".into(),
        "case compares FAILED one: line 12: 0x1 instead of 0x20: a == b".into(),
        "suite fake: 4 passed, 8 failed, 1 skipped".into(),
    ];
    let (times, told): (Vec<_>, Vec<_>) = output
        .lines()
        .partition(|line| line.starts_with("between "));
    assert_eq!(told, expected);
    assert_eq!(times.len(), failed);
    assert_eq!(failed, 8);
    // Every case began with a new life of its role, and parts go to those who have one.
    let given: Vec<_> = replies.iter().filter(|(role, _)| *role == 1).collect();
    assert_eq!(given.len(), CASES.len());
    assert!(
        given
            .iter()
            .enumerate()
            .all(|(case, (_, words))| words[0] == case as u64)
    );
    assert_eq!(given[0].1[3], 0x0201, "indices of the roles");
}

#[test]
fn what_is_not_asked_for_is_not_run() {
    let (output, replies, failed) = run_asked(None, &[1 << 0 | 1 << 10 | 1 << 40]);
    assert_eq!(
        output,
        "case passes ok\ncase passes-again ok\nsuite fake: 2 passed, 0 failed, 0 skipped\n"
    );
    assert_eq!((replies.len(), failed), (2, 0));
    let (output, ..) = run_asked(None, &[0, u64::MAX]);
    assert_eq!(output, "suite fake: 0 passed, 0 failed, 0 skipped\n");
}

#[test]
fn cases_are_bits_of_the_parameters() {
    let word = |at: usize| (at == 0 || at == 2).then_some(1 << 3);
    let asked = |number| {
        is_asked(number, |name| {
            word(ASKED.iter().position(|known| *known == name)?)
        })
    };
    let numbers: Vec<usize> = (0..64 * ASKED.len() + 64).filter(|n| asked(*n)).collect();
    assert_eq!(numbers, [3, 131]);
    assert!(is_asked(5000, |_| None));
}

#[test]
fn a_role_that_does_not_start_fails_its_cases() {
    let (output, replies, failed) = run(Some(2));
    assert_eq!(failed, CASES.len());
    assert!(output.contains(" us\ncase passes FAILED two does not start\n"));
    assert!(replies.is_empty());
}

#[test]
fn a_missing_task_is_named() {
    let suite = Suite {
        roles: &["one", "three"],
        ..SUITE
    };
    let (mut output, mut replies) = (String::new(), Vec::new());
    let fake = Fake {
        scripts: BTreeMap::new(),
        states: Vec::new(),
        stuck: None,
        asked: &[],
        inbox: VecDeque::new(),
        text: Vec::new(),
        now: 0,
        timer: None,
        output: &mut output,
        replies: &mut replies,
    };
    assert_eq!(run_on(fake, &suite), 1);
    assert_eq!(output, "suite fake: no task three\n");
}

#[test]
fn operations_and_actions_are_distinct() {
    let operations = [NEXT, REPORT, PLEASE, NOTE, NOTES];
    assert_eq!(operations, [1, 2, 3, 4, 5]);
    for number in 0..8 {
        assert_eq!(Action::from_number(number).map(|a| a as u64), Some(number));
    }
    assert_eq!(Action::from_number(8), None);
}
