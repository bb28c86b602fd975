//! Tests of the report: by lines as the servers write them, and by lines that others write.

use super::*;
use crate::run::{Level, Line};

const PLAN: &str = r#"{
  "version": VERSION, "name": "one", "platform": "board",
  "tasks": [
    {"name": "pci", "owns": ["host"], "dma-authority": false},
    {"name": "iommu", "owns": ["smmu"], "dma-authority": true},
    {"name": "rogue", "owns": [], "dma-authority": false}
  ],
  "smmus": [{"name": "smmu", "stream-bits": 16, "address-bits": 44, "coherent": true}],
  "functions": [
    {"name": "disk", "address": "01:00.0", "id": "1af4:1042", "optional": false,
     "bars": [{"bar": 4, "address": "0x8000000000", "bytes": 16384}]},
    {"name": "card", "address": "02:00.0", "id": "1234:0001", "optional": true, "bars": []}
  ],
  "board": {
    "ram": {"base": "0x40000000", "bytes": 4096},
    "interrupt-controller": {"distributor": "0x1000000", "redistributor": "0x1080000"},
    "registers": [{"name": "host", "kind": "pci-host", "base": "0x0"}, {"name": "smmu", "kind": "smmu-v3", "base": "0x0"},
                  {"name": "uart", "kind": "registers", "base": "0x9000000"}]
  }
}"#;

fn planned() -> Planned {
    let version = builder::show::JSON_VERSION.to_string();
    Planned::parse(&PLAN.replace("VERSION", &version)).unwrap()
}

fn rows(lines: &[(&str, &str)]) -> Vec<(String, State)> {
    let planned = planned();
    let mut heard = planned.heard();
    for (task, text) in lines {
        heard.see(&Line {
            task: Some((*task).to_owned()),
            level: Level::Plain,
            text: (*text).to_owned(),
            status: None,
        });
    }
    let rows = planned.rows(&heard).0.into_iter();
    rows.map(|row| (row.what, row.state)).collect()
}

fn state(lines: &[(&str, &str)], what: &str) -> State {
    let rows = rows(lines);
    let row = rows.iter().find(|(of, _)| of.starts_with(what));
    row.unwrap_or_else(|| panic!("no {what} in {rows:?}")).1
}

const REGISTERS: &str =
    "smmu: IDR0 0xd40101a, IDR1 0x2730010, IDR3 0x1404, IDR5 0x74, IIDR 0x0, AIDR 0x1";
const DISK: &str = "01:00.0 disk 1af4:1042, BAR4 0x8000000000+0x4000";

#[test]
fn what_nobody_told_is_not_shown() {
    let rows = rows(&[]);
    assert!(
        rows.iter().all(|(_, state)| *state == State::NotShown),
        "{rows:?}"
    );
    assert!(!rows.iter().any(|(what, _)| what.starts_with("card")));
    assert!(rows.iter().any(|(what, _)| what == "registers of uart"));
}

#[test]
fn what_the_servers_told_is_compared() {
    let lines = [("iommu", REGISTERS), ("pci", DISK)];
    for what in [
        "smmu IDR1.SIDSIZE",
        "smmu IDR5.OAS",
        "smmu IDR0.COHACC",
        "disk place",
        "disk id",
        "disk BAR4",
    ] {
        assert_eq!(state(&lines, what), State::Equal, "{what}");
    }
    assert_eq!(state(&lines, "smmu IIDR"), State::NotPlanned);
    assert_eq!(state(&lines, "memory"), State::NotShown);
    let on = "smmu: SMMUv3.1, stage 1, 16-bit StreamIDs, 44-bit output; on, every stream aborts";
    assert_eq!(state(&[("iommu", on)], "smmu state"), State::NotPlanned);
}

#[test]
fn every_difference_is_told() {
    for (line, what) in [
        (
            ("iommu", REGISTERS.replace("0x2730010", "0x273000f")),
            "smmu IDR1.SIDSIZE",
        ),
        (
            ("iommu", REGISTERS.replace("0x74", "0x73")),
            "smmu IDR5.OAS",
        ),
        (
            ("iommu", REGISTERS.replace("0xd40101a", "0xd40100a")),
            "smmu IDR0.COHACC",
        ),
        (("pci", DISK.replace("1042", "1041")), "disk id"),
        (("pci", DISK.replace("01:00.0", "02:00.0")), "disk place"),
        (("pci", DISK.replace("0x4000", "0x8000")), "disk BAR4"),
        (
            (
                "pci",
                "01:00.0 disk: identity: planned 1af4:1042, found 1af4:1041 (see there)".to_owned(),
            ),
            "01:00.0 disk identity",
        ),
        (
            ("pci", "01:00.0 disk: missing, planned 1af4:1042".to_owned()),
            "01:00.0 disk missing",
        ),
    ] {
        let lines = [(line.0, line.1.as_str())];
        assert_eq!(state(&lines, what), State::Different, "{what}");
    }
    let undeclared = [("pci", "03:00.0 not in the plan 8086:1234: stays blocked")];
    assert_eq!(state(&undeclared, "03:00.0"), State::NotPlanned);
}

#[test]
fn nobody_else_is_believed() {
    for (task, text) in [
        ("rogue", REGISTERS),
        ("rogue", DISK),
        ("pci", REGISTERS),
        ("iommu", DISK),
    ] {
        let rows = rows(&[(task, text)]);
        assert!(
            rows.iter().all(|(_, state)| *state == State::NotShown),
            "{task}: {rows:?}"
        );
    }
}

#[test]
fn another_boot_is_another_report() {
    let planned = planned();
    let mut heard = planned.heard();
    let line = |text: &str| Line {
        task: Some("pci".to_owned()),
        level: Level::Plain,
        text: text.to_owned(),
        status: None,
    };
    heard.see(&line(DISK));
    heard.again();
    assert_eq!(planned.rows(&heard).count(State::Equal), 0);
    heard.see(&line(DISK));
    assert_eq!(planned.rows(&heard).count(State::Equal), 3);
    let text = planned.rows(&heard).to_string();
    assert!(
        text.contains("disk id") && text.contains("not shown"),
        "{text}"
    );
}
