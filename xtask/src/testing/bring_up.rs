//! The bring-up report of a run: all that the servers told is as planned, and a plan that is wrong on purpose, or a
//! log that lacks a part, is found out.

use std::path::Path;

use crate::bring_up::{Rows, State};
use crate::command::bring_up::report;
use planner::failure::{Failure, Outcome};

/// What is put into the plan, the row that must then differ.
const FAULTS: [(&str, &str, &str); 3] = [
    ("\"id\": \"1af4:1042\"", "\"id\": \"1af4:1041\"", "disk0 id"),
    (
        "\"stream-bits\": 16",
        "\"stream-bits\": 20",
        "smmu IDR1.SIDSIZE",
    ),
    (
        "\"address\": \"01:00.0\"",
        "\"address\": \"05:00.0\"",
        "disk0 place",
    ),
];

/// Judges the report of a log; the folder has the system that ran.
pub fn judge(log: &Path, folder: &Path) -> Outcome<()> {
    let made = |log: &Path, folder: &Path| report(log, folder, "the emulator of this test");
    let (text, whole) = made(log, folder)?;
    let equal = whole.count(State::Equal);
    let told = text.contains("Shown on this machine: the emulator") && text.contains("sha256");
    check(
        whole.count(State::Different) == 0 && equal > 10 && told,
        "a run as planned",
        &whole,
    )?;
    let scratch = tempfile::tempdir().map_err(Failure::when("cannot make a temporary folder"))?;
    let cannot = || Failure::when("cannot copy the system");
    for entry in std::fs::read_dir(folder).map_err(cannot())?.flatten() {
        std::fs::copy(entry.path(), scratch.path().join(entry.file_name())).map_err(cannot())?;
    }
    let plan = std::fs::read_to_string(folder.join("plan.json")).map_err(cannot())?;
    for (is, other, what) in FAULTS {
        let wrong = plan.replace(is, other);
        std::fs::write(scratch.path().join("plan.json"), wrong).map_err(cannot())?;
        let (_, rows) = made(log, scratch.path())?;
        let mut different = rows.0.iter().filter(|row| row.state == State::Different);
        let found = different.any(|row| row.what.starts_with(what));
        check(found, what, &rows)?;
    }
    // The head of the log is lost, and with it what the servers said at boot.
    let bytes = std::fs::read(log).map_err(cannot())?;
    let tail = scratch.path().join("tail");
    let cut = bytes.get(bytes.len() / 2..).unwrap_or_default();
    std::fs::write(&tail, cut).map_err(cannot())?;
    let (_, rows) = made(&tail, folder)?;
    let less = rows.count(State::NotShown) > whole.count(State::NotShown);
    check(
        less && rows.count(State::Different) == 0,
        "the tail of a log",
        &rows,
    )
}

fn check(right: bool, what: &str, rows: &Rows) -> Outcome<()> {
    let wrong = || Failure::new(format!("the bring-up report of {what} is wrong:\n{rows}"));
    right.then_some(()).ok_or_else(wrong)
}
