//! What is drawn.

use super::*;
use std::collections::BTreeSet;

const POOLS: [u64; COUNT] = [0x4000_0000; COUNT];
const IDS: Ids = [0x7_0001, 0x7_0002, 0x7_0003, 0x7_0004, 0x7_0005, 0x7_0006];

#[test]
fn a_seed_is_a_run() {
    let rounds = |seed| {
        let mut draw = Draw::new(seed, POOLS);
        std::format!("{:?}", [draw.round(), draw.round()])
    };
    assert_eq!(rounds(1), rounds(1));
    assert_ne!(rounds(1), rounds(2));
}

#[test]
fn every_edge_and_every_bit_of_a_descriptor_is_drawn() {
    let mut draw = Draw::new(1, POOLS);
    let (mut lens, mut capacities, mut single) = (BTreeSet::new(), BTreeSet::new(), 0u64);
    for _ in 0..100_000 {
        let descriptor = SendDescriptor(draw.descriptor());
        lens.insert(descriptor.len());
        capacities.insert(descriptor.reply_capacity());
        if descriptor.0.is_power_of_two() {
            single |= descriptor.0;
        }
    }
    for edge in EDGES {
        assert!(lens.contains(&edge.into()) && capacities.contains(&edge.into()));
    }
    assert_eq!(single, u64::MAX);
}

#[test]
fn all_calls_and_all_kinds_of_ids_are_drawn() {
    let mut draw = Draw::new(3, POOLS);
    let (mut calls, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..2000 {
        for step in draw.round().iter().flatten() {
            calls.insert(step.call as u64);
            let resolved = resolve(step, &IDS);
            for (register, actor, variation) in step.ids.iter().flatten() {
                let kind = std::format!("{variation:?}");
                kinds.insert(kind.split('(').next().map(std::string::String::from));
                let id = IDS[usize::from(*actor)];
                assert_eq!(resolved[usize::from(*register)], variation.of(id));
            }
        }
    }
    assert_eq!((calls.len(), kinds.len()), (Call::ALL.len(), 5));
}

#[test]
fn of_some_rounds_it_is_known_who_pays() {
    let mut draw = Draw::new(5, POOLS);
    let (mut known, mut kinds) = (0, BTreeSet::new());
    for _ in 0..4000 {
        let round = draw.round();
        let Some(owed) = draw.owed() else { continue };
        known += 1;
        let works = |steps: &Vec<Step, STEPS_MAX>| steps.iter().filter(|step| step.works).count();
        assert_eq!(
            owed.iter().sum::<u64>(),
            works(&round[SERVER]) as u64 + works(&round[CALLER]) as u64
        );
        kinds.insert((owed, round[SERVER].last().map(|step| step.call as u64)));
    }
    // One round of 24. Across accounts there are two ways to reply.
    assert!((120..220).contains(&known), "{known}");
    assert_eq!(kinds.len(), 3);
}
