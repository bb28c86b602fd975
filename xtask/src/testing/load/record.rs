//! The record of what was run under load: how often each unit passed, with which source and emulator, and what failed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use planner::failure::{self, Failure};
use serde::Deserialize;

/// Everything that was run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Sorted by unit, commit and emulator.
    #[serde(default)]
    passed: Vec<Passed>,
    #[serde(default)]
    broken: Vec<Broken>,
}

/// Runs without a failure since the last failure of a unit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(deny_unknown_fields)]
struct Passed {
    unit: String,
    commit: String,
    qemu: String,
    runs: u32,
}

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Broken {
    pub unit: String,
    pub commit: String,
    pub qemu: String,
    /// The cases that failed, each with its reason.
    pub cases: Vec<String>,
    /// Why it failed and what was mended; who runs it writes it. Without it the unit is not run again.
    #[serde(default)]
    pub reason: String,
}

impl Record {
    /// The number of a unit's runs since its last failure.
    pub fn runs(&self, unit: &str) -> u32 {
        let of = self.passed.iter().filter(|passed| passed.unit == unit);
        of.map(|passed| passed.runs).sum()
    }

    /// The failure of a unit that nobody has judged.
    pub fn unexplained(&self, unit: &str) -> Option<&Broken> {
        let mut broken = self.broken.iter();
        broken.find(|broken| broken.unit == unit && broken.reason.is_empty())
    }

    /// Counts a run without a failure.
    pub fn passed(&mut self, unit: &str, commit: &str, qemu: &str) {
        let is_same = |passed: &&mut Passed| {
            passed.unit == unit && passed.commit == commit && passed.qemu == qemu
        };
        if let Some(passed) = self.passed.iter_mut().find(is_same) {
            passed.runs += 1;
            return;
        }
        self.passed.push(Passed {
            unit: unit.to_owned(),
            commit: commit.to_owned(),
            qemu: qemu.to_owned(),
            runs: 1,
        });
        self.passed.sort();
    }

    /// Adds a failure; the unit's count begins again.
    pub fn failed(&mut self, broken: Broken) {
        self.passed.retain(|passed| passed.unit != broken.unit);
        self.broken.push(broken);
    }

    fn text(&self) -> String {
        let mut text = String::from(
            "# Written by `cargo xtask test load`, except for the reasons: how often each image and system passed beside busy loops.\n",
        );
        for Passed {
            unit,
            commit,
            qemu,
            runs,
        } in &self.passed
        {
            let _ = write!(
                text,
                "\n[[passed]]\nunit = \"{unit}\"\ncommit = \"{commit}\"\nqemu = \"{qemu}\"\nruns = {runs}\n"
            );
        }
        for broken in &self.broken {
            let cases = broken.cases.iter().map(String::as_str);
            let cases = cases.collect::<toml_edit::Array>();
            let (unit, commit, qemu) = (&broken.unit, &broken.commit, &broken.qemu);
            let reason = toml_edit::Value::from(broken.reason.as_str());
            let _ = write!(
                text,
                "\n[[broken]]\nunit = \"{unit}\"\ncommit = \"{commit}\"\nqemu = \"{qemu}\"\ncases = {cases}\nreason = {reason}\n"
            );
        }
        text
    }
}

/// Reads the record; without a file nothing was run.
///
/// # Errors
/// If it is none.
pub fn read(file: &Path) -> failure::Outcome<Record> {
    match std::fs::read_to_string(file) {
        Ok(text) => toml_edit::de::from_str(&text)
            .map_err(Failure::when(format!("cannot read {}", file.display()))),
        Err(_) => Ok(Record::default()),
    }
}

/// Writes the record as it is kept.
///
/// # Errors
/// If it cannot be written.
pub fn write(file: &Path, record: &Record) -> failure::Outcome<()> {
    let cannot = format!("cannot write {}", file.display());
    std::fs::write(file, record.text()).map_err(Failure::when(cannot))
}

/// The commit of the source, with a `+` if it was changed since; empty if there is no repository.
pub fn commit(root: &Path) -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(root)
            .output();
        output.map_or(String::new(), |output| {
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        })
    };
    let commit = git(&["rev-parse", "--short=8", "HEAD"]);
    // The record itself is always a change.
    let changed = git(&["status", "--porcelain", "--", ".", ":!tests/data/load.toml"]);
    match changed.is_empty() {
        true => commit,
        false => format!("{commit}+"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(reason: &str) -> Broken {
        Broken {
            unit: "a".to_owned(),
            commit: "12".to_owned(),
            qemu: "7.2".to_owned(),
            cases: vec!["a::b: \"late\"".to_owned()],
            reason: reason.to_owned(),
        }
    }

    #[test]
    fn a_failure_begins_the_count_again() {
        let mut record = Record::default();
        record.passed("a", "12", "7.2");
        record.passed("a", "13", "7.2");
        record.passed("b", "13", "7.2");
        record.passed("a", "13", "7.2");
        assert_eq!((record.runs("a"), record.runs("b")), (3, 1));
        record.failed(broken(""));
        assert_eq!((record.runs("a"), record.runs("b")), (0, 1));
        assert_eq!(record.unexplained("a"), Some(&broken("")));
        assert_eq!(record.unexplained("b"), None);
        record.broken[0].reason = "It waits longer.".to_owned();
        assert_eq!(record.unexplained("a"), None);
    }

    #[test]
    fn what_is_written_can_be_read() {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let file = folder.path().join("load.toml");
        assert_eq!(read(&file).ok(), Some(Record::default()));
        let mut record = Record::default();
        record.failed(broken("It \"waits\" longer."));
        record.passed("b::c", "12", "7.2");
        record.passed("a", "12", "7.2");
        write(&file, &record).expect("it can be written");
        assert_eq!(read(&file).ok(), Some(record));
        std::fs::write(&file, "[[passed]]\n").expect("it can be written");
        assert!(read(&file).is_err());
    }
}
