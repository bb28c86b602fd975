//! The partitions that Linux formed from real configuration spaces, and those that `strict` mode has to
//! form from the same, worked out by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use import::AcsState;
use solver::solution::{Mode, Solution};
use solver::{Machine, Options, solve};

type Partition = BTreeSet<BTreeSet<String>>;

const ALL: [&str; 4] = ["t1/dt", "t1/acpi", "t2/dt", "t2/acpi"];

fn file(case: &str, name: &str) -> String {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "../../tests/data/oracles",
        case,
        name,
    ]
    .iter()
    .collect();
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn machine(case: &str, acs: AcsState) -> Machine {
    let functions = import::parse(&file(case, "lspci-Dnxxxx.txt")).expect("a whole dump");
    import::machine(&functions, acs)
}

fn solved(machine: &Machine, mode: Mode) -> Solution {
    solve(
        machine,
        &Options {
            mode,
            ..Options::default()
        },
    )
}

fn requester(solution: &Solution, node: usize) -> String {
    solution.devices[node]
        .requester
        .expect("a PCI function")
        .to_string()
}

fn partition(solution: &Solution) -> Partition {
    let members = |devices: &[solver::model::NodeId]| {
        devices
            .iter()
            .map(|n| requester(solution, n.index()))
            .collect()
    };
    solution
        .groups
        .iter()
        .map(|group| members(&group.devices))
        .collect()
}

struct Oracle {
    partition: Partition,
    /// Aliases of each function, as bus and devfn.
    aliases: BTreeMap<String, BTreeSet<u16>>,
}

/// Linux's answer. A refused function belongs with those it shares an alias with.
fn oracle(case: &str) -> Oracle {
    let text = file(case, "groups.txt");
    let mut group_of: BTreeMap<String, String> = BTreeMap::new();
    let mut aliases: BTreeMap<String, BTreeSet<u16>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.len() > 4 && words[1] == "group" && words[3] == "rid" {
            group_of.insert(words[0].into(), words[2].into());
            let start = words.iter().position(|w| *w == "aliases").expect("aliases");
            let end = words.iter().position(|w| *w == "streams").expect("streams");
            let ids = words[start + 1..end]
                .iter()
                .map(|w| u16::from_str_radix(w, 16).expect("hex"));
            aliases.insert(words[0].into(), ids.collect());
        }
    }
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (function, group) in &group_of {
        let group = if group == "-1" {
            let with = group_of.iter().find(|(other, group)| {
                *group != "-1" && !aliases[*other].is_disjoint(&aliases[function])
            });
            with.expect("somebody with the same alias").1
        } else {
            group
        };
        groups
            .entry(group.clone())
            .or_default()
            .insert(function.clone());
    }
    Oracle {
        partition: groups.into_values().collect(),
        aliases,
    }
}

#[test]
fn linux_mode_forms_the_groups_that_linux_formed() {
    for case in ALL {
        let machine = machine(case, AcsState::AsIs);
        let solution = solved(&machine, Mode::Linux);
        assert_eq!(partition(&solution), oracle(case).partition, "{case}");
    }
}

#[test]
fn aliases_and_stream_ids_are_those_that_linux_saw() {
    for case in ALL {
        let machine = machine(case, AcsState::AsIs);
        let solution = solved(&machine, Mode::Linux);
        let oracle = oracle(case);
        for node in 0..machine.nodes.len() {
            let device = &solution.devices[node];
            let expected = &oracle.aliases[&requester(&solution, node)];
            let aliases: BTreeSet<u16> = device.aliases.iter().map(|r| r.id).collect();
            assert_eq!(&aliases, expected, "{case} {}", machine.nodes[node].name);
            let streams: BTreeSet<u16> = device.streams.iter().map(|s| s.id as u16).collect();
            assert_eq!(&streams, expected, "{case} {}", machine.nodes[node].name);
        }
    }
}

#[test]
fn a_tree_booted_without_acs_becomes_the_other_once_acs_is_enabled() {
    for (without, with) in [("t1/dt", "t1/acpi"), ("t2/dt", "t2/acpi")] {
        let machine = machine(without, AcsState::Enabled);
        assert_eq!(
            partition(&solved(&machine, Mode::Linux)),
            oracle(with).partition,
            "{without}"
        );
    }
}

#[test]
fn strict_mode_forms_the_groups_worked_out_by_hand() {
    for case in ALL {
        let machine = machine(case, AcsState::AsIs);
        let expected: Partition = file(case, "strict.txt")
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
            .map(|line| line.split_whitespace().map(String::from).collect())
            .collect();
        assert_eq!(
            partition(&solved(&machine, Mode::Strict)),
            expected,
            "{case}"
        );
    }
}

#[test]
fn strict_is_a_coarsening_of_linux() {
    for case in ALL {
        for acs in [AcsState::AsIs, AcsState::Enabled] {
            let machine = machine(case, acs);
            let strict = partition(&solved(&machine, Mode::Strict));
            for fine in partition(&solved(&machine, Mode::Linux)) {
                assert!(
                    strict.iter().any(|coarse| fine.is_subset(coarse)),
                    "{case}: {fine:?}"
                );
            }
        }
    }
}

#[test]
fn an_imported_machine_is_accepted_as_it_is() {
    for case in ALL {
        let machine = machine(case, AcsState::AsIs);
        for mode in [Mode::Strict, Mode::Linux] {
            let solution = solved(&machine, mode);
            assert!(solution.accepted(), "{case}: {:?}", solution.diagnostics);
            assert!(solution.domains.is_empty(), "nobody owns anything");
            let warnings = solution.diagnostics.len();
            assert_eq!(
                warnings, 1,
                "{case}: one warning for all: {:?}",
                solution.diagnostics
            );
        }
    }
}

/// Function 0 of the slot was taken away in Linux; what is left has no header bit and is one of several.
#[test]
fn a_function_above_0_is_one_of_several() {
    let machine = machine("t3/acpi", AcsState::AsIs);
    let solution = solved(&machine, Mode::Linux);
    assert_eq!(partition(&solution), oracle("t3/acpi").partition);
}
