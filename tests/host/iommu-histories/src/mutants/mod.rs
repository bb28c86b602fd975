//! The seeded faults, one for each way to break a rule.

mod always_open;
mod around;
mod configuration;
mod failing;
mod image;
mod lazy;
mod order;
mod pools;
mod queues;
mod registers;
mod restart;
mod slots;
mod translations;

use super::layout::Layout;
use super::sabotage::{Edit, Kind, Mutant, View};
use super::troubles::Troubles;
use smmu_model::{Check, Memory, Model};

/// Something is within reach that must not be.
const REACHED: &[Check] = &[
    Check::Reach,
    Check::Stale,
    Check::Release,
    Check::Containment,
    Check::Adoption,
];
/// What was granted cannot be used.
const FUNCTION: &[Check] = &[Check::Function];
/// Both: entries that stay when they should go work for one and not for another.
const USED: &[Check] = &[
    Check::Function,
    Check::Reach,
    Check::Stale,
    Check::Release,
    Check::Containment,
];
/// A fault or its loss is not told.
const DELIVERY: &[Check] = &[Check::Delivery];
/// The server itself notices.
const REFUSED: &[Check] = &[Check::Refusal];

const fn command(
    name: &'static str,
    rule: &'static str,
    by: &'static [Check],
    edit: fn(&mut Edit<'_>),
) -> Mutant {
    other(name, rule, by, Kind::Command(edit))
}
const fn entry(
    name: &'static str,
    rule: &'static str,
    by: &'static [Check],
    store: fn(&mut Model, u64, u64, u64),
) -> Mutant {
    other(name, rule, by, Kind::Entry(store))
}
const fn leaf(
    name: &'static str,
    rule: &'static str,
    by: &'static [Check],
    change: fn(u64, u64) -> u64,
) -> Mutant {
    other(name, rule, by, Kind::Leaf(change))
}
const fn write(
    name: &'static str,
    rule: &'static str,
    by: &'static [Check],
    change: fn(&View<'_>, usize, u32) -> Option<u32>,
) -> Mutant {
    other(name, rule, by, Kind::Write(change))
}
const fn read(
    name: &'static str,
    rule: &'static str,
    by: &'static [Check],
    change: fn(&View<'_>, usize, u32) -> u32,
) -> Mutant {
    other(name, rule, by, Kind::Read(change))
}
const fn image(
    name: &'static str,
    rule: &'static str,
    by: &'static [Check],
    change: fn(&Layout, &mut Memory),
) -> Mutant {
    other(name, rule, by, Kind::Image(change))
}
const fn other(name: &'static str, rule: &'static str, by: &'static [Check], kind: Kind) -> Mutant {
    Mutant {
        name,
        rule,
        by,
        kind,
        troubles: Troubles::of_devices,
    }
}

/// Every seeded fault.
pub fn all() -> impl Iterator<Item = Mutant> {
    let tables = [
        configuration::MUTANTS,
        translations::MUTANTS,
        order::MUTANTS,
        queues::MUTANTS,
        registers::MUTANTS,
        restart::MUTANTS,
        always_open::MUTANTS,
        around::MUTANTS,
        failing::MUTANTS,
        pools::MUTANTS,
        image::MUTANTS,
        slots::MUTANTS,
        lazy::MUTANTS,
    ];
    tables.into_iter().flatten().copied()
}
