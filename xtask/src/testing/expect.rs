//! `expect.toml`: what a run of the systems beside it must come to. `tests/README.md` explains the keys.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use planner::failure::{Failure, Outcome};
use planner::read::units;
use planner::read::{App, Parameter};
use serde::Deserialize;

use crate::qemu::Variation;

/// Name of the file.
pub const EXPECT: &str = "expect.toml";

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    run: Vec<Expected>,
}

/// A run of each system that it names, and how it ends.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Expected {
    /// The end of the test's name; without it the name is that of the folder.
    pub name: Option<String>,
    /// Files, from this one's folder on.
    #[serde(default = "usual_system")]
    pub systems: Vec<PathBuf>,
    /// How the run ends.
    #[serde(default)]
    pub verdict: Verdict,
    /// Words that must be said: in the log, or in the refusal.
    #[serde(default)]
    pub tells: Vec<String>,
    /// A file of `sys/platform` in place of the one that the system names.
    pub platform: Option<String>,
    /// Further arguments for QEMU.
    #[serde(default)]
    pub qemu: Vec<String>,
    /// The machines that the system is run on.
    #[serde(default)]
    pub machines: Machines,
    /// The system runs long, and only by name.
    #[serde(default)]
    pub long: bool,
    /// Seconds after which it has failed, if not the usual.
    pub limit: Option<u64>,
    /// Building it once more must compile nothing.
    #[serde(default)]
    pub built_once: bool,
    /// The bytes of its console are decoded once more, whole, cut, doubled and damaged.
    #[serde(default)]
    pub serial_line: bool,
    /// Bytes of a disk to run it with that has no whole sectors.
    pub disk: Option<usize>,
    /// The fault that is put into the image.
    pub spoil: Option<Spoil>,
    /// Parameters of tasks that have other values than in the file.
    #[serde(default)]
    pub parameters: BTreeMap<String, BTreeMap<String, Value>>,
    /// Tasks that have another crate than in the file: a folder, from this one on.
    #[serde(default)]
    pub crates: BTreeMap<String, PathBuf>,
    /// Disks are so many times larger than in the file.
    pub disk_factor: Option<u64>,
    /// The difference of the machine from the plan, if there is one.
    pub difference: Option<Difference>,
}

/// How a run ends.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The guest's verdict is pass.
    #[default]
    Pass,
    /// The guest has a verdict, and it is not pass.
    Fail,
    /// The tool does not start the guest.
    Refused,
    /// An image is made, and not run: no machine here is the board.
    Built,
    /// The tool presses the power key, and the machine is off in order.
    SwitchedOff,
}

/// Machines of a matrix.
#[derive(Clone, Copy, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Machines {
    /// Machines whose SMMU is the emulator's usual one.
    #[default]
    Usual,
    /// All machines whose SMMU has stage 1.
    EverySmmu,
    /// Machines whose SMMU has no stage 1.
    WithoutStage1,
}

/// Images that are made wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Spoil {
    /// Pointer authentication traps to EL2.
    TrapAuthentication,
    /// A read of `CTR_EL0` traps to EL2, which makes a virtual error or interrupt of it.
    RaiseErrors,
    /// The processor has `E2H` set, as if it could not be cleared.
    KeepE2h,
}

/// A machine that is not the planned one. The judge of `tests/systems/differences` is told what it must not be given.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Difference {
    /// Changes of QEMU's command line, in this order.
    #[serde(default)]
    pub machine: Vec<Step>,
    /// Devices that must be blocked where the policy is to block; all without the key.
    pub blocked: Option<Vec<String>>,
    /// Alternatives of a socket that are not there.
    #[serde(default)]
    pub absent: Vec<String>,
    /// Whether it is a difference: where the policy is to refuse, nothing may then be given.
    #[serde(default = "usually")]
    pub differs: bool,
    /// The first version of QEMU that can be made so, such as `9.0`, and what an older one lacks.
    pub since: Option<(String, String)>,
}

/// One change of the command line; functions are named as in the plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Step {
    Remove { remove: String },
    Add { add: String },
    Model { model: String, r#as: String },
    Set { set: String, to: String },
}

/// A number, or a time with its unit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Value {
    Number(u64),
    Time(String),
}

fn usual_system() -> Vec<PathBuf> {
    vec![PathBuf::from("app.toml")]
}

const fn usually() -> bool {
    true
}

impl From<&Step> for Variation {
    fn from(step: &Step) -> Self {
        match step.clone() {
            Step::Remove { remove } => Self::Remove(remove),
            Step::Add { add } => Self::Add(add),
            Step::Model { model, r#as } => Self::Model(model, r#as),
            Step::Set { set, to } => Self::With(set, to),
        }
    }
}

/// Reads the file of a folder.
pub fn read(folder: &Path) -> Outcome<Vec<Expected>> {
    let file = folder.join(EXPECT);
    let text = std::fs::read_to_string(&file)
        .map_err(Failure::when(format!("cannot read {}", file.display())))?;
    let read: File = toml_edit::de::from_str(&text).map_err(Failure::when(format!(
        "{} is not understood",
        file.display()
    )))?;
    if read.run.is_empty() {
        let why = format!("{} has no run: nothing would be tested", file.display());
        return Err(Failure::new(why));
    }
    Ok(read.run)
}

/// The mistake of a system that none of the files says anything of.
pub fn unnamed(app: &Path) -> Failure {
    Failure::new(format!(
        "{} is named by no run of the {EXPECT} beside it: say there what it must come to",
        app.display()
    ))
}

impl Expected {
    /// Whether it says no more than which image of cases is run on which machine.
    pub fn is_suite(&self) -> bool {
        self.systems.len() == 1
            && self.verdict == Verdict::Pass
            && self.tells.is_empty()
            && self.machines == Machines::Usual
            && self.is_unchanged()
            && self.disk.is_none()
            && self.difference.is_none()
            && !(self.long || self.built_once || self.serial_line)
    }

    /// Whether the image is the one of the file.
    fn is_unchanged(&self) -> bool {
        self.parameters.is_empty()
            && self.crates.is_empty()
            && self.disk_factor.is_none()
            && self.spoil.is_none()
    }

    /// Makes the system that is run of the one that its file says.
    pub fn change(&self, folder: &Path, app: &mut App) -> Outcome<()> {
        if self.is_unchanged() {
            return Ok(());
        }
        // Another image, in a folder of its own.
        app.name.push('-');
        app.name
            .push_str(
                self.name
                    .as_deref()
                    .unwrap_or(if self.long { "long" } else { "changed" }),
            );
        for (task, parameters) in &self.parameters {
            for (name, value) in parameters {
                set(app, task, name, value.parameter(name)?)?;
            }
        }
        for (task, place) in &self.crates {
            let tasks = &mut app.tasks;
            let task = tasks.iter_mut().find(|of| of.name.value == *task);
            let task =
                task.ok_or_else(|| Failure::new("`crates` names a task that is not there"))?;
            task.folder = folder.join(place);
        }
        for disk in &mut app.disks {
            disk.len *= self.disk_factor.unwrap_or(1);
        }
        Ok(())
    }
}

impl Value {
    fn parameter(&self, name: &str) -> Outcome<Parameter> {
        match self {
            Self::Number(number) => Ok(Parameter::Number(*number)),
            Self::Time(text) => units::duration(text)
                .map(Parameter::Nanoseconds)
                .ok_or_else(|| Failure::new(format!("`{name}` is no time: `{text}`"))),
        }
    }
}

/// Gives a parameter that the file has another value.
fn set(app: &mut App, task: &str, name: &str, value: Parameter) -> Outcome<()> {
    let tasks = app.tasks.iter_mut();
    let mut parameters = tasks
        .filter(|of| of.name.value == task)
        .flat_map(|of| &mut of.parameters);
    let (_, parameter) = parameters
        .find(|(of, _)| of.value == name)
        .ok_or_else(|| Failure::new(format!("`{task}` has no parameter `{name}` to change")))?;
    parameter.value = value;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Outcome<Vec<Expected>> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(EXPECT), text).unwrap();
        read(folder.path())
    }

    #[test]
    fn what_is_left_out_is_usual() {
        let runs = read_text("[[run]]\n").ok().unwrap();
        assert_eq!(runs.len(), 1);
        assert_eq!(runs[0].verdict, Verdict::Pass);
        assert_eq!(runs[0].systems, [PathBuf::from("app.toml")]);
    }

    #[test]
    fn what_is_not_understood_is_said_with_its_line() {
        for (text, word) in [
            ("[[run]]\nverdikt = \"pass\"\n", "verdikt"),
            ("[[run]]\nverdict = \"perhaps\"\n", "perhaps"),
            ("", "run"),
            ("run = []\n", "no run"),
        ] {
            let Err(Failure::Message(why)) = read_text(text) else {
                panic!("{text} was understood");
            };
            assert!(why.contains(EXPECT) && why.contains(word), "{why}");
        }
        let missing = tempfile::tempdir().unwrap();
        assert!(read(missing.path()).is_err());
    }
}
