//! Dump in, `app.toml` out, partition compared with what Linux formed.

mod trees;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use import::AcsState;

use crate::planning::Plan;
use crate::project::Project;
use crate::read;
use crate::report::Report;
use solver::solution::Mode;

const ORACLES: [&str; 4] = ["t1/dt", "t1/acpi", "t2/dt", "t2/acpi"];

type Partition = BTreeSet<BTreeSet<String>>;

fn project() -> Project {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Project::at(root.canonicalize().unwrap())
}

fn file(case: &str, name: &str) -> String {
    let path: PathBuf = [
        project().root.as_path(),
        Path::new("tests/data/oracles"),
        Path::new(case),
        Path::new(name),
    ]
    .iter()
    .collect();
    std::fs::read_to_string(&path).unwrap()
}

/// Plans a dump; the plan, and how many warnings there were.
fn planned(case: &str, mode: Mode) -> (Plan, usize) {
    let dump = file(case, "lspci-Dnxxxx.txt");
    let text = super::describe(Some(&dump), None, AcsState::AsIs)
        .ok()
        .unwrap()
        .text;
    let report = Report::default();
    let name = Path::new("imported.toml");
    let app = read::from_text(&report, &project(), name, text);
    let plan = app.and_then(|mut app| {
        app.iommu.mode = mode;
        Plan::new(&report, app)
    });
    let plan = plan.unwrap_or_else(|_| panic!("{case}:\n{}", report.text()));
    let warnings = report.text().matches("warning[").count();
    (plan, warnings)
}

fn partition(plan: &Plan) -> Partition {
    let rid = |node: &solver::model::NodeId| {
        let requester = plan.solution.device(*node).requester;
        requester.unwrap().to_string()
    };
    let groups = plan.solution.groups.iter();
    groups
        .map(|group| group.devices.iter().map(rid).collect())
        .collect()
}

/// Linux's groups; a refused function belongs with those it shares an alias with.
fn oracle(case: &str) -> Partition {
    let text = file(case, "groups.txt");
    let mut group_of: BTreeMap<&str, &str> = BTreeMap::new();
    let mut aliases: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let [device, "group", group, "rid", ..] = words.as_slice() {
            group_of.insert(device, group);
            let from = words.iter().position(|word| *word == "aliases").unwrap();
            let to = words.iter().position(|word| *word == "streams").unwrap();
            aliases.insert(device, words[from + 1..to].iter().copied().collect());
        }
    }
    let mut groups: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for (device, group) in &group_of {
        let group = match *group {
            "-1" => group_of
                .iter()
                .find(|(other, group)| {
                    **group != "-1" && !aliases[*other].is_disjoint(&aliases[device])
                })
                .map(|(_, group)| *group)
                .unwrap(),
            group => group,
        };
        groups
            .entry(group)
            .or_default()
            .insert((*device).to_owned());
    }
    groups.into_values().collect()
}

#[test]
fn oracles_agree_through_import() {
    for case in ORACLES {
        let (plan, _) = planned(case, Mode::Linux);
        assert_eq!(partition(&plan), oracle(case), "{case}");
    }
}

#[test]
fn strict_answers_by_hand_agree_through_import() {
    for case in ORACLES {
        let text = file(case, "strict.txt");
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let expected: Partition = lines
            .map(|line| line.split_whitespace().map(str::to_owned).collect())
            .collect();
        let (plan, _) = planned(case, Mode::Strict);
        assert_eq!(partition(&plan), expected, "{case}");
    }
}

#[test]
fn accepted_as_it_is_with_one_warning() {
    for case in ORACLES {
        for mode in [Mode::Strict, Mode::Linux] {
            let (plan, warnings) = planned(case, mode);
            assert_eq!(warnings, 1, "{case}");
            assert!(plan.solution.domains.is_empty(), "nobody drives anything");
        }
    }
}

/// What import does not refuse, plan takes, up to bus numbers that no machine can have.
#[test]
fn a_changed_dump_is_refused_or_accepted() {
    let mut random = oorandom::Rand32::new(0x15c1);
    let (mut refused, mut accepted) = (0, 0);
    for round in 0..150 {
        let case = ORACLES[round % ORACLES.len()];
        let mut lines: Vec<String> = file(case, "lspci-Dnxxxx.txt")
            .lines()
            .map(str::to_owned)
            .collect();
        let headers: Vec<usize> = (0..lines.len())
            .filter(|line| lines[*line].len() > 50 && !lines[*line].starts_with("00: "))
            .filter(|line| lines[*line].as_bytes()[2] == b':' && lines[*line].as_bytes()[0] < b'8')
            .collect();
        for _ in 0..=random.rand_range(0..4) {
            let line = headers[random.rand_range(0..headers.len() as u32) as usize];
            let at = 4 + 3 * random.rand_range(0..16) as usize;
            let value = format!("{:02x}", random.rand_u32() as u8);
            lines[line].replace_range(at..at + 2, &value);
        }
        let Ok(description) = super::describe(Some(&lines.join("\n")), None, AcsState::Enabled)
        else {
            refused += 1;
            continue;
        };
        let text = description.text;
        let report = Report::default();
        let app = read::from_text(&report, &project(), Path::new("imported.toml"), text);
        if app.and_then(|app| Plan::new(&report, app)).is_ok() {
            accepted += 1;
        } else {
            let found = report.text();
            for error in found.split("\n\n").filter(|text| text.starts_with("error")) {
                assert!(
                    error.starts_with("error[P0304]"),
                    "{case}, round {round}:\n{error}"
                );
            }
        }
    }
    assert!(refused > 5 && accepted > 40, "{refused} {accepted}");
}

#[test]
fn damaged_dumps_say_what_is_missing() {
    let whole = file("t1/dt", "lspci-Dnxxxx.txt");
    let half: String = whole
        .lines()
        .take(40)
        .map(|line| format!("{line}\n"))
        .collect();
    for text in ["", "hello", half.as_str()] {
        assert!(super::describe(Some(text), None, AcsState::AsIs).is_err());
    }
}

/// QEMU 7.2's `virt,gic-version=3,iommu=smmuv3`, compiled again by `dtc` without the padding.
const VIRT: &[u8] = include_bytes!("../virt.dtb");

#[test]
fn an_import_with_a_blob_is_accepted_too() {
    let dump = file("t1/dt", "lspci-Dnxxxx.txt");
    let text = super::describe(Some(&dump), Some(VIRT), AcsState::AsIs)
        .ok()
        .unwrap()
        .text;
    let report = Report::default();
    let app = read::from_text(&report, &project(), Path::new("imported.toml"), text);
    assert!(
        app.and_then(|app| Plan::new(&report, app)).is_ok(),
        "{}",
        report.text()
    );
}

/// `two-segments.dts`, compiled.
const TWO_SEGMENTS: &[u8] = include_bytes!("../two-segments.dtb");

/// A host that the tree does not lead to an SMMU is not shown behind one.
#[test]
fn a_host_without_a_map_is_behind_no_smmu() {
    let functions = import::parse(&file("t1/dt", "lspci-Dnxxxx.txt")).unwrap();
    let machine = import::machine(&functions, AcsState::AsIs);
    let mut tree = import::device_tree::read(VIRT).unwrap();
    tree.hosts[0].streams.clear();
    let text = super::describe::text(Some(&functions), &machine, Some(&tree)).text;
    let report = Report::default();
    let app = read::from_text(&report, &project(), Path::new("imported.toml"), text);
    let plan = app.and_then(|app| Plan::new(&report, app));
    let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
    let mut devices = plan.solution.devices.iter();
    assert!(devices.all(|device| device.streams.is_empty()));
}

/// What the mask hides from the SMMU is one to it.
#[test]
fn an_imported_mask_makes_aliases() {
    let dump = file("t1/acpi", "lspci-Dnxxxx.txt");
    let text = super::describe(Some(&dump), Some(TWO_SEGMENTS), AcsState::AsIs)
        .ok()
        .unwrap()
        .text;
    assert!(text.contains("iommu-map-mask = 0xfff8"), "{text}");
    let report = Report::default();
    let app = read::from_text(&report, &project(), Path::new("imported.toml"), text);
    let plan = app.and_then(|app| Plan::new(&report, app));
    let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
    let node = |name: &str| {
        let index = plan.machine.nodes.iter().position(|node| node.name == name);
        solver::model::NodeId::new(index.unwrap())
    };
    let (one, other) = (node("net-00-03-0"), node("net-00-03-1"));
    let set = |node| plan.solution.device(node).alias_set;
    assert_eq!(set(one), set(other));
    let edge = plan
        .solution
        .edges
        .iter()
        .find(|e| (e.from, e.to) == (one, other));
    assert_eq!(
        edge.unwrap().because,
        "the iommu-map makes 0000:00:03.0 and 0000:00:03.1 one StreamID, 0x18"
    );
}
