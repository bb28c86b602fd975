//! The benchmark: instructions counted in an image of its own, beside the figures to beat.

mod rows;

use std::time::Duration;

use crate::command::sizes::parts;
use crate::qemu::Qemu;
use crate::run::{self, End, Options};
use crate::steps;
use planner::failure::{Failure, Outcome};
use planner::project::Project;

pub use rows::{ROWS, Row};

/// A row and what was counted: instructions, or bytes for the last.
pub struct Figure {
    pub row: &'static Row,
    pub value: u64,
}

/// Deterministic time: one instruction a nanosecond, so that every row without a disk repeats exactly.
pub const COUNTING: [&str; 2] = ["-icount", "shift=0"];
/// The image ends by itself in seconds.
const LIMIT: Duration = Duration::from_secs(300);

/// The images, below the root: what operations cost, and the longest times with interrupts masked.
const BENCH_APP: &str = "tests/bench/rows/app.toml";
pub const LONGEST_APP: &str = "tests/bench/longest/app.toml";

/// Builds and runs both images; `show` hears every line of their logs.
pub fn run(
    project: &Project,
    qemu: &Qemu,
    mut show: impl FnMut(&run::Line),
) -> Outcome<Vec<Figure>> {
    let mut counted = count(project, qemu, BENCH_APP, &mut show)?;
    counted.extend(count(project, qemu, LONGEST_APP, &mut show)?);
    let figures: Vec<Figure> = ROWS
        .iter()
        .filter_map(|row| {
            let (_, value) = counted.iter().find(|(name, _)| name == row.name)?;
            Some(Figure { row, value: *value })
        })
        .collect();
    let missing: Vec<&str> = ROWS
        .iter()
        .filter(|row| !figures.iter().any(|figure| figure.row.name == row.name))
        .map(|row| row.name)
        .collect();
    if !missing.is_empty() {
        return Err(Failure::new(format!(
            "no figure for: {}",
            missing.join(" ")
        )));
    }
    Ok(figures)
}

/// The counts of one image, and the size of its kernel.
fn count(
    project: &Project,
    qemu: &Qemu,
    app: &str,
    show: &mut impl FnMut(&run::Line),
) -> Outcome<Vec<(String, u64)>> {
    let built = steps::build_to_run(project, Some(&project.root.join(app)))?;
    let disks = run::disks(project, &built.plan, None)?;
    let options = Options {
        qemu: qemu.clone(),
        timeout: LIMIT,
        extra: COUNTING.map(str::to_owned).to_vec(),
        changes: Vec::new(),
    };
    let mut counted: Vec<(String, u64)> = Vec::new();
    let end = run::run(&built, &disks.files, &options, |line| {
        counted.extend(reported(line));
        show(line);
    })?;
    let [text, ..] = parts(&built.programs.kernel);
    counted.push((rows::KERNEL_TEXT.to_owned(), text));
    if end != End::Exit(0) {
        let found: Vec<String> = counted
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        return Err(Failure::new(format!(
            "{app} ended with {end:?}; it counted: {}",
            found.join(", ")
        )));
    }
    Ok(counted)
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

/// The figures of programs as JSON.
pub fn json(figures: &[Figure]) -> serde_json::Value {
    let rows: Vec<_> = figures
        .iter()
        .map(|Figure { row, value }| {
            let unit = if row.name == rows::KERNEL_TEXT {
                "bytes"
            } else {
                "instructions"
            };
            serde_json::json!({ "name": row.name, unit: value })
        })
        .collect();
    serde_json::json!({ "rows": rows })
}
