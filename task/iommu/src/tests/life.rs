//! The table of `life.rs`: whatever happens in whatever order, a device is in one of its combinations, and each of them
//! can be come to.

use std::collections::BTreeSet;
use std::vec::Vec;

use abi::TaskId;
use iommu_api::Error;

use super::rig::{life as life_of, plan, task};
use crate::indices::TaskIndex;
use crate::life::{Asked, ForSharers, Life, Purpose, State};

type Combination = [&'static str; 6];

/// The words of a column, in their order.
const WORDS: [&[&str]; 6] = [
    &[
        "Free", "Claim", "Refusal", "Claimed", "Release", "Death", "Taken", "Forever",
    ],
    &["closed", "open", "always", "both"],
    &["no", "yes"],
    &["no", "yes"],
    &["no", "running", "failed"],
    &["unknown", "made", "word"],
];

/// Every combination of the table in the first comment of `life.rs`, and whether it is one between two events.
fn table() -> Vec<(Combination, bool)> {
    let source = include_str!("../life.rs").lines();
    let rows = source.filter_map(|line| line.strip_prefix("//! | "));
    let mut found = Vec::new();
    for row in rows.skip(1) {
        let cells: Vec<&str> = row
            .trim_end_matches('|')
            .split('|')
            .map(str::trim)
            .collect();
        let at_rest = !cells[0].contains('†');
        let allowed = |column: usize| {
            let mut names = cells[column].trim_end_matches('†').trim().split(" or ");
            let names: Vec<&str> = names.by_ref().collect();
            let words = WORDS[column].iter().copied();
            words.filter(move |word| names == ["any"] || names.contains(word))
        };
        let mut all: Vec<Vec<&'static str>> = std::vec![Vec::new()];
        for column in 0..WORDS.len() {
            let longer = |head: &Vec<&'static str>| {
                let head = head.clone();
                allowed(column).map(move |word| [head.as_slice(), &[word]].concat())
            };
            all = all.iter().flat_map(longer).collect();
        }
        // Only while its quiet is unknown is a device made quiet for what shares its streams.
        all.retain(|words| words[4] == "no" || words[5] == "unknown");
        let combinations = all.iter().map(|words| words.as_slice().try_into().unwrap());
        found.extend(combinations.map(|words: Combination| (words, at_rest)));
    }
    found
}

/// Numbers that look random and are the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % count
    }
    fn flip(&mut self) -> bool {
        self.below(2) == 0
    }
    fn life(&mut self) -> TaskId {
        life_of(5, self.below(2) as u64)
    }
    fn asked(&mut self) -> Asked {
        let all = [
            Asked::Begun,
            Asked::Joined,
            Asked::Unheard,
            Asked::Gone,
            Asked::Refused,
        ];
        all[self.below(all.len())]
    }
}

fn when(allowed: bool) -> Option<()> {
    allowed.then_some(())
}

/// A quiesce begins: for a reason of the device's own if it has one, else for those that share streams with it.
fn begin_quiet(life: &mut Life, how: Asked, for_sharers: bool) -> Option<()> {
    if let Some(purpose) = life.unquiet_purpose() {
        life.asked(how);
        life.quiesces_for(purpose, how);
    } else {
        let [state, ..] = life.in_words();
        when(for_sharers && ["Free", "Claimed"].contains(&state) && life.may_be_under_way())?;
        life.asked(how);
        life.quiesces_for_sharers(how);
    }
    Some(())
}

/// Something that the server may do with a device that is in this combination; none if it may not.
fn step(life: &mut Life, chance: &mut Chance) -> Option<()> {
    let (who, how) = (chance.life(), chance.asked());
    let [state, streams, revoked, ..] = life.in_words();
    let closed = streams == "closed";
    let lone = life.for_sharers() == ForSharers::No;
    let claimable = !life.is_for_sharers();
    // What a start found open is inherited before anything else happens; what was closed while claimed is
    // released or revoked next.
    let found_open = state == "Free" && life.is_open();
    let half = state == "Claimed" && closed && revoked == "no";
    let lost = state == "Claimed" && streams == "always";
    let dying = ["Death", "Taken"].contains(&state) && !closed;
    let rest = !found_open && !half && !lost && !dying;
    match chance.below(19) {
        0 => {
            when(rest && state == "Free" && closed && claimable).map(|()| life.await_claim(who))?
        }
        1 => {
            when(rest && (state == "Free" && claimable || state == "Claim"))?;
            life.opening();
            life.closed();
            life.grant(who);
        }
        2 => life.allow_always_open(chance.flip()),
        3 => {
            when(rest && closed && (state == "Free" && claimable || state == "Claim"))?;
            life.opening();
            life.forget_quiet();
            life.await_refusal(who, Error::HardwareFailure);
        }
        4 => when(state == "Claim").map(|()| life.refuse())?,
        5 => when(state == "Claimed" && closed).map(|()| life.await_release(who))?,
        6 => {
            when(rest && state == "Claimed" && revoked == "no")?;
            if !life.is_always_open() {
                life.closed();
            }
            life.end_by_word(who);
        }
        7 => {
            let drained = matches!(life.state(), State::Quiescing(_)) && life.is_drained();
            when(drained && state != "Claim" || state == "Claimed" && revoked == "yes" && lone)?;
            life.free();
        }
        8 => {
            when(!["Free", "Death", "Forever"].contains(&state) && !half)?;
            life.lose(Purpose::Death(who.next_life()));
        }
        17 => {
            when(rest && state == "Claimed")?;
            life.lose(Purpose::Taken(who));
        }
        9 => when(!found_open).map(|()| life.closed())?,
        10 => when(closed && (state != "Free" || claimable))
            .map(|()| life.hold_forever(TaskIndex::of(who)))?,
        11 => when(closed && ["Free", "Claimed"].contains(&state))
            .map(|()| life.revoke())
            .map(|_| ())?,
        12 => {
            when(life.waits_to_be_always_open() && closed && claimable)?;
            life.opening();
            life.always_opened();
        }
        13 => when(state == "Free" && closed).map(|()| life.keep_closed(chance.flip()))?,
        14 => life.shared_streams_were_open(),
        15 => begin_quiet(life, how, rest && lone)?,
        16 => match chance.below(3) {
            0 => when(life.is_for_sharers()).map(|()| life.once_more_for_sharers())?,
            1 => when(life.is_for_sharers()).map(|()| life.failed_for_sharers())?,
            _ => when(rest && state == "Claimed" && lone && life.may_be_under_way())
                .map(|()| life.covered(who))?,
        },
        _ => when(life.is_awaited() && closed).map(|()| life.now_quiet())?,
    }
    Some(())
}

#[test]
fn a_device_is_always_in_a_combination_of_the_table_and_comes_to_each() {
    let plan = plan();
    let table = table();
    let mut reached = BTreeSet::new();
    for walk in 1..=4000_u64 {
        let mut chance = Chance(walk.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut entry = plan.devices[2];
        (entry.non_pci, entry.watched) = (u32::from(chance.flip()), u32::from(chance.flip()));
        let mut life = Life::new(&entry);
        if chance.flip() {
            let held = chance.flip();
            life.found(held && chance.flip(), chance.flip(), chance.flip());
            reached.insert(life.in_words());
            if held {
                life.inherit(task(5));
            }
        }
        for _ in 0..120 {
            let before = life;
            let words = life.in_words();
            let known = table.iter().find(|(row, _)| *row == words);
            let at_rest = known
                .unwrap_or_else(|| panic!("not in the table: {life:?}"))
                .1;
            assert!(life.is_legal(), "{life:?}");
            assert_eq!(life.is_at_rest(), at_rest, "{life:?}");
            reached.insert(words);
            if step(&mut life, &mut chance).is_none() {
                assert_eq!(life, before);
            }
        }
    }
    let missed: Vec<_> = table
        .iter()
        .filter(|(row, _)| !reached.contains(row))
        .collect();
    assert!(missed.is_empty(), "never reached: {missed:#?}");
}

#[test]
fn a_use_is_assumed_once() {
    let mut life = Life::new(&plan().devices[2]);
    assert!(!life.was_used_before());
    assert!(life.assume_used());
    assert!(life.was_used_before());
    assert!(!life.assume_used());
}

#[test]
fn each_reason_to_take_a_device_for_on_is_enough() {
    let new = || Life::new(&plan().devices[2]);
    assert!(!new().may_be_on());
    let reasons: [fn(&mut Life); 4] = [
        |life| life.found_master(true),
        |life| life.found(false, false, false),
        |life| life.allow_always_open(true),
        |life| life.await_claim(task(5)),
    ];
    for (number, reason) in reasons.iter().enumerate() {
        let mut life = new();
        reason(&mut life);
        assert!(life.may_be_on(), "{number}");
    }
}
