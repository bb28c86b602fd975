//! The benchmark: instructions counted in an image of its own, beside the figures to beat.

mod counted;
mod figures;
mod profile;
mod rows;

use std::time::Duration;

use crate::command::sizes::parts;
use crate::qemu::{DiskFiles, Qemu};
use crate::run::{self, End, Options};
use crate::steps::{self, Built};
use planner::failure::{Failure, Outcome};
use planner::project::Project;
use planner::read::Disk;

pub use figures::{FIGURES, Kept, cases, changes, json};
pub use profile::{CASE as PROFILE, case as profile_case, profile};
use rows::{BENCH_APP, FRAMES_APP, LONGEST_APP, NVME_APP, PERSISTENT_APP};
pub use rows::{ROWS, Row};

/// A row and what was counted: instructions, or bytes for the last.
pub struct Figure {
    pub row: &'static Row,
    pub value: u64,
}

/// Deterministic time: one instruction a nanosecond, so that every row without a disk repeats exactly.
const COUNTING: [&str; 2] = ["-icount", "shift=0"];
/// The same of an image without a disk: while all tasks wait, nobody else works for it. So its clock need not follow that of a
/// host, which on a busy one leaps over several deadlines at once.
const COUNTING_ALONE: [&str; 2] = ["-icount", "shift=0,sleep=off"];
/// What each disk waits with every answer, in nanoseconds. Then a driver has handed over all that its clients asked for
/// and is idle when the first answer comes, and answers to what was handed over together come together. From a file they come at once:
/// how many an interrupt then brings depends on how busy the host is, and a read at full depth takes up to two thirds more.
const DISK_DELAY: u32 = 2_000_000;
/// The image ends by itself in seconds.
const LIMIT: Duration = Duration::from_secs(300);
/// Runs of an image with rows that vary.
const RUNS: usize = 5;

/// Builds and runs the images; `show` hears every line of their logs.
pub fn run(
    project: &Project,
    qemu: &Qemu,
    mut show: impl FnMut(&run::Line),
) -> Outcome<Vec<Figure>> {
    let mut figures = Vec::new();
    for app in [BENCH_APP, PERSISTENT_APP, NVME_APP, FRAMES_APP, LONGEST_APP] {
        figures.extend(count(project, qemu, app, &mut show)?);
    }
    Ok(figures)
}

/// The figures of one image's rows. If some vary from run to run it is run several times, and the median is taken.
fn count(
    project: &Project,
    qemu: &Qemu,
    app: &str,
    show: &mut impl FnMut(&run::Line),
) -> Outcome<Vec<Figure>> {
    let rows = || ROWS.iter().filter(|row| row.app == app);
    let runs = if rows().any(Row::varies) { RUNS } else { 1 };
    let built = build(project, app)?;
    let mut counted = Vec::new();
    for _ in 0..runs {
        counted.extend(execute(qemu, &built, &[], show)?);
    }
    let [text, ..] = parts(&built.programs.kernel);
    counted.push((rows::KERNEL_TEXT.to_owned(), text));
    let figure = |row: &'static Row| {
        let of_row = counted.iter().filter(|(name, _)| name == row.name);
        let value = median(of_row.map(|(_, value)| *value).collect());
        let value = value.ok_or_else(|| Failure::new(format!("no figure for: {}", row.name)))?;
        Ok(Figure { row, value })
    };
    rows().map(figure).collect()
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len() / 2).copied()
}

fn build(project: &Project, app: &str) -> Outcome<Built> {
    steps::build_to_run(project, Some(&project.root.join(app)))
}

/// Runs an image, with further arguments for QEMU: its counts, in the order in which they were reported.
fn execute(
    qemu: &Qemu,
    built: &Built,
    extra: &[String],
    show: &mut impl FnMut(&run::Line),
) -> Outcome<Vec<(String, u64)>> {
    let disks = &built.plan.app.disks;
    let counting = if disks.is_empty() {
        COUNTING_ALONE
    } else {
        COUNTING
    };
    let counting = counting.map(str::to_owned).into_iter();
    let disks = disks.iter().flat_map(delayed_disk);
    let options = Options {
        qemu: qemu.clone(),
        timeout: LIMIT,
        extra: counting.chain(disks).chain(extra.iter().cloned()).collect(),
        variations: Vec::new(),
        record: None,
    };
    let mut counted: Vec<(String, u64)> = Vec::new();
    let end = run::run(built, &DiskFiles::new(), &options, |line| {
        counted.extend(reported(line));
        show(line);
    })?;
    if end != End::Exit(0) {
        let found: Vec<String> = counted
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        return Err(Failure::new(format!(
            "{} ended with {end:?}; it counted: {}",
            built.plan.app.name,
            found.join(", ")
        )));
    }
    Ok(counted)
}

/// QEMU's arguments for a disk of zeros that answers late.
fn delayed_disk(disk: &Disk) -> [String; 2] {
    let drive = format!(
        "driver=null-co,read-zeroes=on,size={},latency-ns={DISK_DELAY},if=none,id={}",
        disk.len, disk.name
    );
    ["-drive".to_owned(), drive]
}

/// `row NAME N` of a task that counts; nobody else's word is taken.
fn reported(line: &run::Line) -> Option<(String, u64)> {
    const COUNTERS: [&str; 5] = ["client", "caller", "payer", "supervisor", "authority"];
    if !line
        .task
        .as_deref()
        .is_some_and(|task| COUNTERS.contains(&task))
    {
        return None;
    }
    let (name, value) = line.text.strip_prefix("row ")?.split_once(' ')?;
    Some((name.to_owned(), value.parse().ok()?))
}

/// The table for a person.
pub fn table(figures: &[Figure]) -> String {
    let mut text = format!(
        "{:<20} {:>11} {:>9} {:>9} {:>9}   {}\n",
        "instructions", "Linux 6.12", "seL4 16", "goal", "ours", "what the row spans"
    );
    for Figure { row, value } in figures {
        let verdict = if row.goal.is_none_or(|goal| *value <= goal) {
            ' '
        } else {
            '>'
        };
        let goal = row.goal.map_or(String::new(), |goal| goal.to_string());
        text += &format!(
            "{:<20} {:>11} {:>9} {:>9} {verdict}{value:>8}   {}\n",
            row.name, row.linux, row.sel4, goal, row.spans
        );
    }
    text + "> the goal is not met. Both sides' user code is included; Linux's list rows are inside its kernel.\n"
}

/// What QEMU does not show, as a test counts it on the model of the SMMU.
pub fn waits() -> String {
    let mut text = format!(
        "\n{:<20} {:>12} {:>9} {:>12} {:>9}\n",
        "on the SMMU's model", "sync-waits", "commands", "without RIL", "commands"
    );
    for row in plan::waits::WAITS {
        let (range, page) = (row.by_range, row.by_page);
        text += &format!(
            "{:<20} {:>12} {:>9} {:>12} {:>9}\n",
            row.name, range.sync_waits, range.commands, page.sync_waits, page.commands
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_those_of_rows() {
        let text = waits();
        for row in plan::waits::WAITS {
            assert!(ROWS.iter().any(|known| known.name == row.name));
            let mut lines = text.lines().filter(|line| line.starts_with(row.name));
            let words: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
            let expected = [
                row.by_range.sync_waits,
                row.by_range.commands,
                row.by_page.sync_waits,
                row.by_page.commands,
            ];
            assert_eq!(words[1..], expected.map(|figure| figure.to_string()));
        }
    }
}
