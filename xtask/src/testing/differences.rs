//! Machines that differ from the plan, each booted under both policies: `tests/systems/differences`.

use super::expect::Difference;
use crate::qemu::Variation;
use planner::failure::{Failure, Outcome};
use planner::planning::{FunctionKind, Plan};
use planner::read::MismatchPolicy;

/// The task that tries every device.
const JUDGE: &str = "judge";
/// The device that tells the judge what to expect, and the property of it that the judge can read.
const EXPECTED: (&str, &str) = ("expected", "cmd_per_lun");

/// The variations that make the machine of a difference from that of the plan. They include what the judge has to
/// expect: one bit for each device that must be refused, in the order of the plan.
pub fn variations(difference: &Difference, plan: &Plan) -> Outcome<Vec<Variation>> {
    let refuses = plan.app.iommu.on_mismatch == MismatchPolicy::Refuse;
    let judge = plan.app.task(JUDGE).map(|(index, _)| index);
    let functions = plan.fabric.functions.iter();
    let devices: Vec<&String> = functions
        .filter(|function| {
            let driven = plan.app.driver(&function.name) == judge;
            driven && matches!(function.kind, FunctionKind::Device(_))
        })
        .map(|function| &function.name)
        .collect();
    let blocked: Vec<&String> = match &difference.blocked {
        Some(blocked) if !(refuses && difference.differs) => blocked.iter().collect(),
        _ => devices.clone(),
    };
    let mut bits = 0;
    for name in blocked.into_iter().chain(&difference.absent) {
        let bit = devices.iter().position(|device| *device == name);
        let bit = bit.and_then(|bit| 1u32.checked_shl(bit as u32));
        bits |= bit.ok_or_else(|| Failure::new(format!("the judge has no device `{name}`")))?;
    }
    let (name, property) = EXPECTED;
    let told = Variation::WithNumber(name.to_owned(), property.to_owned(), bits.into());
    Ok(difference
        .machine
        .iter()
        .map(Variation::from)
        .chain([told])
        .collect())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::qemu;
    use crate::testing::expect::{self, Expected};
    use planner::project::Project;
    use planner::read;
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
        assert_eq!(text("block"), text("refuse"));
    }

    fn plan(policy: &str) -> Plan {
        let report = Report::default();
        let project = Project::at(root());
        let app = read::load(&report, &project, &file(policy));
        let plan = app.and_then(|app| Plan::new(&report, app));
        plan.unwrap_or_else(|_| panic!("{}", report.text()))
    }

    fn runs() -> Vec<Expected> {
        let runs = expect::read(&root().join("tests/systems/differences"));
        runs.unwrap_or_else(|_| panic!("it can be read"))
    }

    #[test]
    fn what_is_named_exists() {
        let plan = plan("block");
        let planned = qemu::command(&plan, Path::new("image"), &qemu::DiskFiles::new());
        for run in runs() {
            let name = run.name.unwrap();
            let variations = variations(run.difference.as_ref().unwrap(), &plan)
                .ok()
                .unwrap();
            let mut arguments = planned.clone();
            for variation in &variations {
                let applied = variation.apply(&mut arguments);
                assert!(applied.is_ok(), "{name}: {variation:?}");
            }
            // The last one tells the judge; the one for the plan itself changes nothing else.
            let same = variations.len() == 1 && run.qemu.is_empty();
            assert_eq!(same, name == "none", "{name}");
            assert!(!run.tells.is_empty(), "{name}");
            assert_eq!(
                run.systems,
                ["block.toml", "refuse.toml"].map(PathBuf::from)
            );
        }
    }

    #[test]
    fn bits_are_in_the_order_of_the_plan() {
        let (block, refuse, runs) = (plan("block"), plan("refuse"), runs());
        let told = |name: &str, refuses| {
            let plan = if refuses { &refuse } else { &block };
            let run = runs.iter().find(|run| run.name.as_deref() == Some(name));
            let difference = run.and_then(|run| run.difference.as_ref()).unwrap();
            match variations(difference, plan).ok().unwrap().last() {
                Some(Variation::WithNumber(_, _, bits)) => *bits,
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
