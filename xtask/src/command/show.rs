//! Lines of the log for a person.

use indicatif::{ProgressBar, ProgressStyle};

use crate::run::{Level, Line};
use planner::planning::Plan;

/// Width of the column of task names.
pub fn width(plan: &Plan) -> usize {
    width_of(plan.app.tasks.iter().map(|task| task.name.value.as_str()))
}

/// Width of the column of these names.
pub fn width_of<'n>(names: impl Iterator<Item = &'n str>) -> usize {
    names.chain(["kernel"]).map(str::len).max().unwrap_or(0)
}

/// `task  message`.
pub fn line(line: &Line, width: usize, colour: bool) -> String {
    let kernel = match line.level {
        Level::Torn => "(torn)",
        _ => "kernel",
    };
    let task = line.task.as_deref().unwrap_or(kernel);
    let text = &line.text;
    let (on, off) = match line.level {
        _ if !colour => ("", ""),
        Level::Plain => ("", ""),
        Level::Warning | Level::Torn => ("\x1b[33m", "\x1b[0m"),
        Level::Error => ("\x1b[31m", "\x1b[0m"),
    };
    format!("{task:<width$}  {on}{text}{off}")
}

/// A line that says how long something takes, for a terminal.
pub fn spinner() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {elapsed} {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}
