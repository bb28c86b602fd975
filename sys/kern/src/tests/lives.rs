//! The table of `task.rs`: between two entries into the kernel each task is in one of its combinations.

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::vec::Vec;

use abi::TaskId;

use super::world::*;
use crate::State;
use crate::task::{Slow, Task};

/// State, partner, processor, queue and pending bits, in the words of the table.
pub type Combination = [&'static str; 5];

/// The words of a column, in their order.
const WORDS: [&[&str]; 5] = [
    &[
        "Runnable",
        "Receiving",
        "ReceivingFrom",
        "Sending",
        "AwaitingReply",
        "Down",
    ],
    &["nobody", "over", "up", "itself"],
    &["running", "ready", "waiting"],
    &["nobody", "partner"],
    &["none", "others", "wanted"],
];

/// Every combination of the table in the first comment of `task.rs`.
pub fn table() -> &'static BTreeSet<Combination> {
    static TABLE: OnceLock<BTreeSet<Combination>> = OnceLock::new();
    TABLE.get_or_init(|| {
        let rows = include_str!("../task.rs").lines();
        let rows = rows.filter_map(|line| line.strip_prefix("//! | "));
        rows.skip(1).flat_map(combinations).collect()
    })
}

/// The combinations of one row, whose cells say `any`, or some words with `or` between.
fn combinations(row: &str) -> Vec<Combination> {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let mut all: Vec<Vec<&'static str>> = std::vec![Vec::new()];
    for (cell, words) in cells.iter().zip(WORDS) {
        let named: Vec<&str> = cell.split(" or ").collect();
        let unknown = named.iter().find(|name| !words.contains(name));
        assert!(*cell == "any" || unknown.is_none(), "{row}: {unknown:?}");
        let allowed = |word: &&&str| *cell == "any" || named.contains(*word);
        let longer = |head: &Vec<&'static str>| {
            let head = head.clone();
            let words = words.iter().filter(allowed);
            words
                .map(move |word| [head.as_slice(), &[*word]].concat())
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    let row = |words: Vec<&'static str>| words.try_into().unwrap();
    all.into_iter().map(row).collect()
}

fn waits_in_receive(state: State) -> bool {
    matches!(state, State::Receiving | State::ReceivingFrom)
}

/// What the fast path reads in place of the bits and the queue says what they say.
fn notes(own: &Task<'_>) -> Result<(), &'static str> {
    let noted = |bit: Slow| own.slow() & bit.bits() != 0;
    if noted(Slow::PENDING) != (own.pending() != 0)
        || noted(Slow::SENDERS) == own.senders().is_empty()
    {
        return Err("has bits or senders that nothing says, or says so without any");
    }
    if own.own_bits() & !own.pending() != 0 {
        return Err("set bits itself that are not pending");
    }
    if own.run_limit() == 0 && own.used() != 0 {
        return Err("counts a run without a limit");
    }
    Ok(())
}

/// What a task is in, or how it is in nothing that there is a word for.
fn in_words(world: &World, task: usize) -> Result<Combination, &'static str> {
    let kernel = &world.kernel;
    let own = kernel.task(index(task));
    let (state, partner) = (own.state(), own.partner());
    let waits = [State::ReceivingFrom, State::Sending, State::AwaitingReply].contains(&state);
    let state = WORDS[0][state as usize];
    let server = partner.index();
    let partner = if partner == TaskId::KERNEL {
        "nobody"
    } else if partner == own.id() {
        "itself"
    } else {
        let peer = kernel.task(index(server));
        let up = peer.id() == partner && peer.state() != State::Down;
        if up { "up" } else { "over" }
    };
    let running = world.running == Some(index(task));
    let (funded, spent) = (
        kernel.ready.contains(index(task)),
        kernel.spent.contains(index(task)),
    );
    let is_spent = kernel.is_spent(index(task));
    let right = match (funded, spent) {
        (true, true) => false,
        (true, false) => !is_spent,
        (false, true) => is_spent,
        (false, false) => true,
    };
    if !right {
        return Err("is not in the set of those that have time left as it has");
    }
    if own.state() != State::Down
        && waits_in_receive(own.state())
        && own.account() != own.own_account()
    {
        return Err("waits in a receive, and works on the account of somebody else");
    }
    if kernel.task(index(task)).slow() & Slow::SPENT.bits() != 0
        && kernel.marked != Some(index(task))
    {
        return Err("is marked as spent, and does not run");
    }
    notes(own)?;
    let processor = match (running, funded || spent) {
        (true, false) => "running",
        (false, true) => "ready",
        (false, false) => "waiting",
        (true, true) => return Err("runs, and is in a set of those that are ready"),
    };
    let queues =
        (0..COUNT).filter(|peer| kernel.task(index(*peer)).senders().contains(index(task)));
    let queued = match queues.collect::<Vec<_>>()[..] {
        [] => "nobody",
        [queue] if partner == "up" && queue == server => "partner",
        _ => return Err("is in the queue of one that is not its partner"),
    };
    let pending = match (own.pending(), own.pending() & own.mask()) {
        (0, _) => "none",
        (_, 0) => "others",
        _ => "wanted",
    };
    if waits && partner != "nobody" {
        let found = kernel.task(index(server)).callers().0 | kernel.closed.0;
        if !crate::TaskSet(found).contains(index(task)) {
            return Err("waits where the death of its partner does not look for it");
        }
    }
    Ok([state, partner, processor, queued, pending])
}

/// Each task is in a combination of the table. Returns these.
pub fn check(world: &World) -> [Combination; COUNT] {
    core::array::from_fn(|task| {
        let words = in_words(world, task).unwrap_or_else(|fault| panic!("task {task} {fault}"));
        assert!(table().contains(&words), "task {task}: {words:?}");
        words
    })
}

#[test]
fn the_table_has_every_state_and_every_word() {
    for (column, words) in WORDS.iter().enumerate() {
        for word in *words {
            let named = table().iter().any(|row| row[column] == *word);
            assert!(named, "no row says {word}");
        }
    }
}
