//! The table of rules, the seeded faults and the tests name each other.

mod rig;

use std::collections::{BTreeMap, BTreeSet};

use rig::steps::STEPS;
use smmu_model::harness::mutants;

const TABLE: &str = include_str!("../../../docs/reference/smmu-rules.md");
const LIBERTIES: &str = include_str!("liberties.rs");

/// Rule, and what its last column names: mutants, tests.
fn rows() -> Vec<(String, BTreeSet<String>, BTreeSet<String>)> {
    let rows = TABLE
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{line}");
        let quoted = |quote: char| {
            let names = cells[5].split(',').map(str::trim);
            let names = names.filter(|name| name.starts_with(quote) && name.ends_with(quote));
            names
                .map(|name| name.trim_matches(quote).to_owned())
                .collect()
        };
        (cells[0].to_owned(), quoted('`'), quoted('*'))
    })
    .collect()
}

/// Name and rules of every mutant, those of the small driver too.
fn faults() -> BTreeMap<&'static str, &'static str> {
    let of_server = mutants::all().map(|mutant| (mutant.name, mutant.rule));
    let of_driver = STEPS.iter().map(|step| (step.name, step.rule));
    of_server.chain(of_driver).collect()
}

#[test]
fn every_rule_has_a_caught_fault() {
    let known: BTreeSet<&str> = faults().into_keys().collect();
    for (rule, mutants, tests) in rows() {
        assert!(
            !mutants.is_empty() || !tests.is_empty(),
            "{rule} has no fault"
        );
        for mutant in &mutants {
            assert!(known.contains(mutant.as_str()), "{rule} names {mutant}");
        }
        for test in &tests {
            assert!(
                LIBERTIES.contains(&format!("fn {test}()")),
                "{rule} names {test}"
            );
        }
    }
}

#[test]
fn every_fault_is_in_the_table() {
    let rows = rows();
    for (name, rule) in faults() {
        let of_rule = |(_, mutants, _): &&(String, BTreeSet<String>, BTreeSet<String>)| {
            mutants.contains(name)
        };
        let rules: Vec<&str> = rows
            .iter()
            .filter(of_rule)
            .map(|(rule, _, _)| rule.as_str())
            .collect();
        assert_eq!(rules.join(", "), rule, "{name}");
    }
}
