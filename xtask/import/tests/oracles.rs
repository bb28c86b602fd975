//! The partitions that Linux formed from real configuration spaces, and those that `strict` mode has to
//! form from the same, worked out by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use import::AcsState;
use solver::solution::{Mode, Solution};
use solver::{Machine, Options, solve};

type Partition = BTreeSet<BTreeSet<String>>;

const ALL: [&str; 4] = ["t1/dt", "t1/acpi", "t2/dt", "t2/acpi"];
/// Machines that chance put together.
const RANDOM: [&str; 6] = [
    "random/1", "random/2", "random/3", "random/4", "random/5", "random/6",
];

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
    let mut wanted: BTreeMap<String, String> = BTreeMap::new();
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
        // What the grouping rule gives to a function that the driver of the SMMU refused, or that is behind none.
        if let [function, "wants", group] = words.as_slice() {
            wanted.insert((*function).into(), (*group).into());
        }
    }
    let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (function, group) in &group_of {
        let group = if let Some(group) = wanted.get(function) {
            group
        } else if group == "-1" {
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
    for case in ALL.into_iter().chain(RANDOM) {
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
    for case in ALL.into_iter().chain(RANDOM) {
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

/// What is at places of a configuration space.
type Contents = [(usize, Vec<u8>)];

/// A dump of functions, each with its address, its ids and its configuration space.
fn dump(functions: &[(&str, &str, &Contents)]) -> String {
    use std::fmt::Write;
    let mut text = String::new();
    for (address, ids, contents) in functions {
        let mut config = vec![0u8; 4096];
        let (vendor, device) = ids.split_once(':').unwrap();
        for (at, id) in [(0, vendor), (2, device)] {
            let id = u16::from_str_radix(id, 16).unwrap();
            config[at..at + 2].copy_from_slice(&id.to_le_bytes());
        }
        for (at, bytes) in *contents {
            config[*at..*at + bytes.len()].copy_from_slice(bytes);
        }
        writeln!(text, "{address} Something [0000]: [{ids}]").unwrap();
        for (number, line) in config.chunks(16).enumerate() {
            let line: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{:02x}: {}", number * 16, line.join(" ")).unwrap();
        }
        text.push('\n');
    }
    text
}

/// A PCI Express capability of a type, the last of its list.
const fn express(kind: u8) -> [u8; 4] {
    [0x10, 0, 0x02 | kind << 4, 0]
}

/// Ports of x86 chipsets: three that Linux isolates by its tables, and what is below a port that it does not.
#[test]
fn chipsets_of_x86_have_the_groups_that_linux_gives_them() {
    let port = |bus: u8, acs: &[u8]| -> Vec<(usize, Vec<u8>)> {
        vec![
            (0x06, vec![0x10, 0]),
            (0x0a, vec![0x04, 0x06]),
            (0x0e, vec![0x81]),
            (0x18, vec![0, bus, bus]),
            (0x34, vec![0x40]),
            (0x40, express(4).to_vec()),
            (0x100, acs.to_vec()),
        ]
    };
    let endpoint: Vec<(usize, Vec<u8>)> = vec![
        (0x06, vec![0x10, 0]),
        (0x0a, vec![0x00, 0x02]),
        (0x34, vec![0x40]),
        (0x40, express(0).to_vec()),
    ];
    // Extended capability 0x000d: control is 0 where the specification has it, and complete where this chipset has it.
    let spt = [0x0d, 0, 1, 0, 0x1f, 0, 0, 0, 0x1d, 0, 0, 0];
    let ordinary = [0x0d, 0, 1, 0, 0x1f, 0, 0x1d, 0];
    let off = [0x0d, 0, 1, 0, 0x1f, 0, 0, 0];
    for (ids, acs, apart) in [
        ("8086:9d10", &spt[..], true),
        ("8086:9d1b", &spt[..], true),
        ("8086:a2ee", &spt[..], true),
        // One further on control is where it belongs.
        ("8086:9d1c", &spt[..], false),
        ("8086:9d1c", &ordinary[..], true),
        ("8086:9d1b", &ordinary[..], false),
        ("8086:8c10", &[][..], true),
        ("8086:8c1f", &[][..], true),
        ("8086:8c91", &[][..], false),
        ("8086:1d11", &[][..], false),
        ("8086:3b51", &[][..], true),
        ("0014:7a69", &[][..], true),
        ("1022:1453", &off[..], false),
    ] {
        let text = dump(&[
            ("0000:00:1c.0", ids, &port(1, acs)),
            ("0000:00:1c.1", ids, &port(2, acs)),
            ("0000:01:00.0", "8086:1533", &endpoint),
            ("0000:02:00.0", "8086:1533", &endpoint),
        ]);
        let functions = import::parse(&text).unwrap_or_else(|errors| panic!("{ids}: {errors:?}"));
        let machine = import::machine(&functions, AcsState::AsIs);
        let linux = partition(&solved(&machine, Mode::Linux));
        let alone = |name: &str| linux.contains(&BTreeSet::from([name.to_owned()]));
        assert_eq!(alone("0000:01:00.0"), apart, "{ids} {acs:x?}: {linux:?}");
        // The PCI task does not set what Linux sets through the chipset, nor a register that is elsewhere.
        let strict = partition(&solved(&machine, Mode::Strict));
        let is_wide = acs == &spt[..] || acs.is_empty();
        if is_wide {
            assert!(
                !strict.contains(&BTreeSet::from(["0000:01:00.0".to_owned()])),
                "{ids}"
            );
        }
    }
}
