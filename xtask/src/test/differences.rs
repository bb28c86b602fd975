//! Machines that differ from the plan, each booted under both policies: `tests/systems/differences`.

use crate::qemu::Change;
use planner::failure::{Failure, Outcome};
use planner::planning::{FunctionKind, Plan};

/// The files, which differ in their policy, and whether a difference refuses everything.
pub const POLICIES: [(&str, bool); 2] = [("block", false), ("refuse", true)];

/// The task that tries every device.
const JUDGE: &str = "judge";
/// The device that tells the judge what to expect, and the property of it that the judge can read.
const EXPECTED: (&str, &str) = ("expected", "cmd_per_lun");

/// One machine.
pub struct Difference {
    pub name: &'static str,
    changes: &'static [Change],
    /// Further QEMU arguments.
    pub extra: &'static [&'static str],
    /// Devices that must not be given to anybody if the policy is to block: what differs, and what is in a group with
    /// it. None: all devices.
    blocked: Option<&'static [&'static str]>,
    /// Alternatives of the hotplug slot that are not there, as the plan allows.
    absent: &'static [&'static str],
    /// Whether it is a difference: then nothing may be given if the policy is to refuse.
    differs: bool,
    /// What must be in the log.
    pub told: &'static [&'static str],
    /// The first QEMU that can be given it, and what an older one lacks.
    pub since: Option<((u32, u32), &'static str)>,
}

const fn row(
    name: &'static str,
    changes: &'static [Change],
    blocked: &'static [&'static str],
    told: &'static [&'static str],
) -> Difference {
    Difference {
        name,
        changes,
        extra: &[],
        blocked: Some(blocked),
        absent: &["second"],
        differs: true,
        told,
        since: None,
    }
}

use Change::{Add, Model, Remove, With, WithNumber};

/// All of them.
pub const DIFFERENCES: [Difference; 24] = [
    Difference {
        differs: false,
        ..row("none", &[], &[], &["20 of 21 planned functions ready"])
    },
    row(
        "identity",
        &[Model("alone", "pci-testdev")],
        &["alone"],
        &["01:00.0 alone: other vendor or device id: planned 1234:11e8, found 1b36:0005"],
    ),
    row(
        "device-missing",
        &[Remove("alone")],
        &["alone"],
        &["01:00.0 alone: missing, planned 1234:11e8"],
    ),
    row(
        "device-of-an-alias-set-missing",
        &[Remove("right")],
        &["left", "right"],
        &[
            "03:02.0 right: missing, planned 1234:11e8",
            "left: stream 0x308, owner judge, blocked",
        ],
    ),
    row(
        "undeclared-on-the-root-bus",
        &[Add("edu,bus=pcie.0,addr=9.0")],
        &[],
        &["00:09.0 undeclared function 1234:11e8: stays blocked"],
    ),
    row(
        "undeclared-behind-a-bridge",
        &[Add("edu,bus=bridge,addr=7.0")],
        &["left", "right"],
        &["03:07.0 undeclared function 1234:11e8: stays blocked"],
    ),
    row(
        "undeclared-function-of-a-slot",
        &[Add("edu,bus=pcie.0,addr=5.2")],
        &["twin0", "twin1"],
        &["00:05.2 undeclared function 1234:11e8: stays blocked"],
    ),
    row(
        "undeclared-on-an-expander",
        &[Add("pcie-root-port,bus=pxb,addr=3.0,chassis=99")],
        &[],
        &["20:03.0 undeclared function 1b36:000c: stays blocked"],
    ),
    row(
        "undeclared-bridge",
        &[
            Add("pcie-pci-bridge,id=more,bus=pcie.0,addr=9.0"),
            Add("edu,bus=more,addr=1.0"),
        ],
        &[],
        &["00:09.0 undeclared function 1b36:000e: stays blocked"],
    ),
    row(
        "undeclared-port-of-a-switch",
        &[Add("xio3130-downstream,bus=up,addr=1.0,chassis=99")],
        &["switched"],
        &["05:01.0 undeclared function 104c:8233: stays blocked"],
    ),
    row(
        "bridge-missing",
        &[Remove("left"), Remove("right"), Remove("bridge")],
        &["left", "right"],
        &["02:00.0 bridge: missing, planned 1b36:000e"],
    ),
    row(
        "port-missing",
        &[
            Remove("switched"),
            Remove("down"),
            Remove("up"),
            Remove("rp3"),
        ],
        &["switched"],
        &["00:03.0 rp3: missing, planned 1b36:000c"],
    ),
    row(
        "bridge-of-another-kind",
        &[Model("bridge", "pci-bridge,shpc=off,msi=off,chassis_nr=99")],
        &["left", "right"],
        &["02:00.0 bridge: other vendor or device id: planned 1b36:000e, found 1b36:0001"],
    ),
    row(
        "device-in-place-of-a-switch",
        &[Remove("switched"), Remove("down"), Model("up", "edu")],
        &["switched"],
        &["04:00.0 up: other vendor or device id: planned 104c:8232, found 1234:11e8"],
    ),
    row(
        "bus-number",
        &[With("pxb", "bus_nr=40")],
        &["far"],
        &[
            "20:01.0 rp-far: missing, planned 1b36:000c",
            "28:01.0 undeclared function 1b36:000c: stays blocked",
        ],
    ),
    row(
        "access-control",
        &[With("rp1", "disable-acs=on")],
        &["alone"],
        &["00:01.0 rp1: ACS cannot be set as planned"],
    ),
    row(
        "bar-size",
        &[With("sized", "membar=2M")],
        &["sized"],
        &["00:06.0 sized: other BAR size (BAR2): planned 0x100000, found 0x200000"],
    ),
    row(
        "bar-missing",
        &[With("sized", "membar=0")],
        &["sized"],
        &["00:06.0 sized: other BAR size (BAR2): planned 0x100000, found 0x0"],
    ),
    row(
        "multifunction",
        &[With("alone", "multifunction=on")],
        &["alone"],
        &["01:00.0 alone: other number of functions: planned 0x0, found 0x1"],
    ),
    row(
        "single-function",
        &[Remove("twin1"), With("twin0", "multifunction=off")],
        &["twin0", "twin1"],
        &[
            "00:05.0 twin0: other number of functions: planned 0x1, found 0x0",
            "00:05.1 twin1: missing, planned 1234:11e8",
        ],
    ),
    Difference {
        absent: &["first"],
        differs: false,
        ..row(
            "the-other-alternative",
            &[Model("first", "nvme,serial=second")],
            &[],
            &[
                "07:00.0 second 1b36:0010",
                "first: stream 0x700, owner judge, not there",
            ],
        )
    },
    Difference {
        absent: &["first", "second"],
        differs: false,
        ..row(
            "no-alternative",
            &[Remove("first")],
            &[],
            &["first: stream 0x700, owner judge, not there"],
        )
    },
    row(
        "stranger-in-a-hotplug-slot",
        &[Model("first", "pci-testdev")],
        &["first", "second"],
        &[
            "07:00.0 first: other vendor or device id: planned 1234:11e8, found 1b36:0005",
            "07:00.0 second: other vendor or device id: planned 1b36:0010, found 1b36:0005",
        ],
    ),
    Difference {
        // Newer machine types overrule the property.
        extra: &["-machine", "virt-9.0", "-global", "arm-smmuv3.stage=2"],
        blocked: None,
        since: Some(((9, 0), "no SMMU without stage 1")),
        ..row("no-stage-1", &[], &[], &["smmu: not used: no stage 1"])
    },
];

impl Difference {
    /// What makes the machine of it, what the judge is to expect included.
    pub fn changes(&self, plan: &Plan, refuses: bool) -> Outcome<Vec<Change>> {
        let judge = plan.app.task(JUDGE).map(|(index, _)| index);
        let functions = plan.fabric.functions.iter();
        let devices = functions.filter(|function| {
            let driven = plan.app.driver(&function.name) == judge;
            driven && matches!(function.kind, FunctionKind::Device(_))
        });
        let devices = devices.map(|function| function.name.as_str());
        let devices: Vec<&str> = devices.collect();
        let mut bits = 0;
        let mut expect = |name: &str| -> Outcome<()> {
            let bit = devices.iter().position(|device| *device == name);
            let bit = bit.and_then(|bit| 1u32.checked_shl(bit as u32));
            bits |= bit.ok_or_else(|| {
                Failure::new(format!("{}: the judge has no device `{name}`", self.name))
            })?;
            Ok(())
        };
        let blocked = match self.blocked {
            Some(blocked) if !(refuses && self.differs) => blocked,
            _ => &devices,
        };
        for name in blocked.iter().chain(self.absent) {
            expect(name)?;
        }
        let (name, property) = EXPECTED;
        let told = WithNumber(name, property, bits.into());
        let changes = self.changes.iter().copied();
        Ok(changes.chain([told]).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::qemu;
    use planner::read::{self, Paths};
    use planner::report::Report;

    fn root() -> PathBuf {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        own.join("..").canonicalize().unwrap()
    }

    fn file(policy: &str) -> PathBuf {
        root().join(format!("tests/systems/differences/{policy}.toml"))
    }

    #[test]
    fn the_files_differ_in_their_policy_only() {
        let text = |policy: &str| {
            let text = std::fs::read_to_string(file(policy)).unwrap();
            let own = |line: &&str| !line.starts_with('#');
            let lines: Vec<String> = text.lines().filter(own).map(str::to_owned).collect();
            lines.join("\n").replace(policy, "POLICY")
        };
        let [(block, _), (refuse, _)] = POLICIES;
        assert_eq!(text(block), text(refuse));
    }

    #[test]
    fn what_is_named_exists() {
        let report = Report::default();
        let paths = Paths { root: root() };
        let app = read::load(&report, &paths, &file("block"));
        let plan = app.and_then(|app| Plan::new(&report, app));
        let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
        let planned = qemu::command(&plan, Path::new("image"), &qemu::Drives::new());
        for difference in &DIFFERENCES {
            let changes = difference.changes(&plan, false).ok().unwrap();
            let mut arguments = planned.clone();
            for change in &changes {
                let applied = change.apply(&mut arguments);
                assert!(applied.is_ok(), "{}: {change:?}", difference.name);
            }
            // The last one tells the judge; the one for the plan itself changes nothing else.
            let same = changes.len() == 1 && difference.extra.is_empty();
            assert_eq!(same, difference.name == "none", "{}", difference.name);
            assert!(!difference.told.is_empty(), "{}", difference.name);
        }
    }

    #[test]
    fn bits_are_in_the_order_of_the_plan() {
        let report = Report::default();
        let paths = Paths { root: root() };
        let app = read::load(&report, &paths, &file("refuse"));
        let plan = app.and_then(|app| Plan::new(&report, app)).ok().unwrap();
        let told = |name: &str, refuses| {
            let row = DIFFERENCES.iter().find(|row| row.name == name).unwrap();
            match row.changes(&plan, refuses).ok().unwrap().last() {
                Some(WithNumber("expected", _, bits)) => *bits,
                other => panic!("{other:?}"),
            }
        };
        // alone, left, right, switched, first, second, twin0, twin1, sized, expected, far.
        assert_eq!(told("none", false), 1 << 5);
        assert_eq!(told("none", true), 1 << 5, "nothing differs");
        assert_eq!(told("identity", false), 1 << 5 | 1);
        assert_eq!(told("identity", true), (1 << 11) - 1);
        assert_eq!(told("bus-number", false), 1 << 5 | 1 << 10);
        assert_eq!(told("the-other-alternative", true), 1 << 4);
    }
}
