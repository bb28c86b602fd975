//! Whose processor time is another: budgets, and who is trusted with time.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

use crate::show::time::text;
use planner::read::Budget as Planned;

/// What is compared of a task.
#[derive(Deserialize)]
pub struct Task {
    name: String,
    // Without the key it is no plan of this version, so it has no default.
    #[serde(deserialize_with = "budget")]
    budget: Option<Budget>,
}

/// Nanoseconds, and the nanoseconds in which.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    time_ns: u64,
    period_ns: u64,
}

/// Budgets by task; `None` for one that is trusted with time.
pub type Times = BTreeMap<String, Option<Budget>>;

fn budget<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Budget>, D::Error> {
    Option::deserialize(from)
}

/// The budgets of a plan's tasks.
pub fn of(tasks: Vec<Task>) -> Times {
    let tasks = tasks.into_iter();
    tasks.map(|task| (task.name, task.budget)).collect()
}

/// A line for each task that both plans have and whose time is another; with `+` if it may use more.
pub fn lines(before: &Times, after: &Times) -> Vec<String> {
    let both = after.iter().filter_map(|(task, is)| {
        let was = before.get(task)?;
        (was != is).then(|| line(task, *was, *is))
    });
    both.collect()
}

fn line(task: &str, was: Option<Budget>, is: Option<Budget>) -> String {
    let more = match (was, is) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(was), Some(is)) => is.exceeds(was),
    };
    let sign = if more { '+' } else { '-' };
    let has = |time: Option<Budget>| time.map_or("no limit".to_owned(), Budget::text);
    format!(
        "{sign} {task}: {} of processor time, before {}",
        has(is),
        has(was)
    )
}

impl Budget {
    /// Whether it is a larger share than another; of equal shares the one with more at once.
    fn exceeds(self, other: Self) -> bool {
        let share = |one: Self, other: Self| u128::from(one.time_ns) * u128::from(other.period_ns);
        match share(self, other).cmp(&share(other, self)) {
            Ordering::Equal => self.time_ns > other.time_ns,
            order => order == Ordering::Greater,
        }
    }

    fn text(self) -> String {
        text(Planned {
            time: self.time_ns,
            period: self.period_ns,
        })
    }
}

/// Whether a part of the plans is what [`lines`] tells; which account it is, and where its budget comes from, is compared as
/// the rest of the plan is.
pub fn is_told(path: &str) -> bool {
    let of_task = path
        .strip_prefix("tasks[")
        .and_then(|rest| rest.split_once("]."));
    of_task.is_some_and(|(_, key)| matches!(key, "budget.time-ns" | "budget.period-ns"))
}
