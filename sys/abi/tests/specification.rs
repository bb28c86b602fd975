//! The tables of `docs/reference/ipc.md` say what the code does.

use std::path::Path;

use abi::privileged::{Privileged, TaskState};
use abi::{
    Code, FaultKind, LEASES_MAX, LONGEST_MASKED, Lease, LeaseAttributes, MESSAGE_MAX,
    REGISTER_BYTES, ReplyDescriptor, Rights, SendDescriptor, Syscall, TASKS_MAX, TIMERS_A_TURN,
    TaskId, WIDE_BYTES, notification,
};

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/ipc.md");
    std::fs::read_to_string(path).expect("the specification")
}

/// Rows of the table with exactly this head.
fn table(head: &[&str]) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim().trim_start_matches('|').trim_end_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().replace('`', ""))
            .collect()
    };
    let page = page();
    let rows: Vec<Vec<String>> = page
        .lines()
        .skip_while(|line| !(line.starts_with('|') && cells(line) == head))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "no table {head:?}");
    rows
}

fn number(cell: &str) -> u64 {
    match cell.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).expect("a number"),
        None => cell.parse().expect("a number"),
    }
}

/// The rows' numbers and names are those of `all`, in this order and without a gap in `all`.
fn names<T: std::fmt::Debug + Copy>(rows: &[Vec<String>], all: &[T], value: impl Fn(T) -> u64) {
    let expected: Vec<(u64, String)> = all
        .iter()
        .map(|&one| (value(one), format!("{one:?}")))
        .collect();
    let found: Vec<(u64, String)> = rows
        .iter()
        .map(|row| (number(&row[0]), row[1].clone()))
        .collect();
    assert_eq!(found, expected);
}

/// Registers that a cell names, ranges written out.
fn registers(cell: &str) -> Vec<u8> {
    let mut found = Vec::new();
    let words = cell.split([' ', ',', ':', ';']);
    for word in words.filter(|word| word.starts_with('x')) {
        let mut ends = word
            .split("..")
            .map(|end| end.trim_start_matches('x').parse::<u8>());
        if let Some(Ok(first)) = ends.next() {
            let last = ends.next().map_or(first, |last| last.expect("a register"));
            found.extend(first..=last);
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Argument registers of each call, beyond the payload; a call that is missing here does not compile.
fn arguments(call: Syscall) -> std::ops::Range<u8> {
    match call {
        // `BorrowWrite` is as `BorrowRead`.
        Syscall::WhoAmI | Syscall::BorrowWrite => 8..8,
        Syscall::Send => 8..16,
        Syscall::Receive => 8..12,
        Syscall::Reply => 8..11,
        Syscall::ReplyReceive => 11..15,
        // As `Reply`.
        Syscall::ReplyAgain => 8..8,
        Syscall::Post | Syscall::Interrupt | Syscall::Panic => 8..10,
        Syscall::BorrowRead => 8..13,
        Syscall::Timer | Syscall::Refresh => 8..9,
        Syscall::Privileged => 8..10,
    }
}

#[test]
fn system_calls() {
    let rows = table(&["number", "call", "arguments", "results"]);
    names(&rows, &Syscall::ALL, |call| call as u64);
    for (row, call) in rows.iter().zip(Syscall::ALL) {
        let found = registers(&row[2])
            .into_iter()
            .filter(|&register| register >= 8);
        assert!(found.eq(arguments(call)), "{call:?}: {}", row[2]);
    }
}

#[test]
fn privileged_calls() {
    let rows = table(&["number", "call", "right", "arguments", "results"]);
    names(&rows, &Privileged::ALL, |call| call as u64);
    for (row, call) in rows.iter().zip(Privileged::ALL) {
        let right = Rights::from_name(&row[2]).expect("a right");
        assert_eq!(right, call.needed(), "{call:?}");
        let last = match call {
            Privileged::Status | Privileged::Restart | Privileged::Exit => 9,
            Privileged::Unpin | Privileged::Enumerate | Privileged::NextMessage => 9,
            Privileged::Stop | Privileged::Console | Privileged::ArmFault => 10,
            Privileged::Registers | Privileged::Hold | Privileged::Lift => 10,
            Privileged::ReadMemory => 12,
            Privileged::Pin => 13,
            Privileged::SystemErrors => 8,
        };
        assert!(registers(&row[3]).into_iter().eq(9..=last), "{call:?}");
    }
}

#[test]
fn codes() {
    let rows = table(&["code", "name", "meaning"]);
    let found = rows.iter().map(|row| (row[1].as_str(), number(&row[0])));
    let defined = Code::ALL.map(|(name, code)| (name, u64::from(code.0)));
    assert!(found.eq(defined));
    assert!(page().contains("at most 0xfffffeff (`SERVER_LAST`)"));
    assert_eq!(Code::SERVER_LAST, 0xffff_feff);
    assert_eq!(Code::KERNEL_FIRST, Code::DEAD.0);
}

#[test]
fn faults() {
    let rows = table(&["number", "fault", "address", "detail"]);
    names(&rows, &FaultKind::ALL, |kind| kind as u64);
}

#[test]
fn states() {
    let rows = table(&["state", "name", "meaning"]);
    names(&rows, &TaskState::ALL, |state| state as u64);
}

#[test]
fn rights() {
    let rows = table(&["bit", "right"]);
    let found = rows
        .iter()
        .map(|row| (row[1].as_str(), 1 << number(&row[0])));
    let defined = Rights::all();
    assert!(
        found.eq(defined
            .iter_names()
            .map(|(name, right)| (name, right.bits())))
    );
}

/// A mask of `15:0` or `28`.
fn mask(cell: &str) -> u64 {
    let (high, low) = cell.split_once(':').unwrap_or((cell, cell));
    let (high, low) = (number(high), number(low));
    (u64::MAX >> (63 - high)) & (u64::MAX << low)
}

#[test]
fn notifications() {
    let rows = table(&["bits", "name", "set by"]);
    let defined = [
        ("POSTABLE", notification::POSTABLE),
        ("INTERRUPTS", notification::INTERRUPTS),
        ("PEER", notification::PEER),
        ("HELD_DEATH", notification::HELD_DEATH),
        ("FAULT", notification::FAULT),
        ("MESSAGES", notification::MESSAGES),
        ("TIMER", notification::TIMER),
    ];
    let found = rows
        .iter()
        .map(|row| (row[1].as_str(), mask(&row[0]) as u32));
    assert!(found.eq(defined));
}

#[test]
fn fields() {
    let rows = table(&["word", "bits", "field"]);
    let of = |word: &str| -> Vec<u64> {
        let rows = rows.iter().filter(|row| row[0] == word);
        rows.map(|row| mask(&row[1])).collect()
    };
    let all = |word: &str| of(word).iter().fold(0, |sum, bits| sum | bits);
    let generation = TaskId::new(0, (1 << 48) - 1).0;
    let index = TaskId::new(0xff, 0).0;
    assert_eq!(of("id"), [index, !(index | generation), generation]);
    let all_ones = TaskId(u64::MAX);
    assert_eq!(
        (all_ones.core(), TaskId::KERNEL, TaskId::ANY),
        (0xff, all_ones, all_ones)
    );
    assert_eq!(
        of("send descriptor"),
        [
            SendDescriptor::new(0xffff, 0, 0, 0).0,
            SendDescriptor::new(0, 0xffff, 0, 0).0,
            SendDescriptor::new(0, 0, 0xffff, 0).0,
            SendDescriptor::new(0, 0, 0, 3).0,
            SendDescriptor::new(0, 0, 0, 0).wide().0,
        ]
    );
    assert_eq!(all("send descriptor"), !SendDescriptor::RESERVED);
    assert_eq!(
        of("reply descriptor"),
        [
            ReplyDescriptor::new(u32::MAX, 0).0,
            ReplyDescriptor::new(0, 0xffff).0,
            ReplyDescriptor::new(0, 0).wide().0
        ]
    );
    assert_eq!(all("reply descriptor"), !ReplyDescriptor::RESERVED);
    assert_eq!(
        of("lease descriptor"),
        [
            Lease::new(u32::MAX, LeaseAttributes::empty()).0,
            Lease::new(0, LeaseAttributes::READ).0,
            Lease::new(0, LeaseAttributes::WRITE).0,
        ]
    );
    assert_eq!(all("lease descriptor"), !Lease::RESERVED);
}

#[test]
fn limits() {
    let page = page().replace('\n', " ");
    for (limit, value) in [
        ("at most {} tasks", TASKS_MAX),
        ("A message or reply has at most {} bytes", MESSAGE_MAX),
        ("up to {} bytes travel in registers", REGISTER_BYTES),
        ("up to {} bytes, in more registers", WIDE_BYTES),
        ("bytes 64 to {}, are in", WIDE_BYTES - 1),
        ("A send has at most {} leases", LEASES_MAX),
        ("execute more than {} instructions", LONGEST_MASKED as usize),
        ("MUST notify at most {} tasks", TIMERS_A_TURN),
    ] {
        let limit = limit.replace("{}", &value.to_string());
        assert!(page.contains(&limit), "{limit}");
    }
}
