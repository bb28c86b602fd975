//! Processor time: the budget of each task, and how long it waits at most.

use std::fmt::Write;

use planner::planning::{Plan, Wait, percent, share_of};
use planner::read::units::show_time;
use planner::read::{Budget, ProcessorTime, Task};

/// Writes the table.
pub fn write(plan: &Plan, out: &mut String) -> std::fmt::Result {
    if plan.app.tasks.is_empty() {
        return Ok(());
    }
    writeln!(out, "\ntime")?;
    let header = [
        "task",
        "priority",
        "budget",
        "share",
        "account",
        "worst wait",
    ];
    let rows = plan.app.tasks.iter().enumerate();
    let rows: Vec<[String; 6]> = rows.map(|(index, task)| row(plan, index, task)).collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| width(column).max(title.len()))
        .collect();
    for row in std::iter::once(&header.map(str::to_owned)).chain(&rows) {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("  {cell:<width$}"))
            .collect();
        writeln!(out, "{}", line.trim_end())?;
    }
    notes(plan, out)
}

/// What the figures rest on.
fn notes(plan: &Plan, out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "  all accounts have {} of the processor",
        percent(plan.time.taken())
    )?;
    writeln!(
        out,
        "  worst wait: from when a task with budget left becomes ready until it has run its first instruction. It takes one\n  \
         instruction of the kernel and of the IOMMU server for one nanosecond. Those named after `and` are trusted with time:\n  \
         while they work of themselves, or on a message, the task waits longer"
    )
}

fn row(plan: &Plan, index: usize, task: &Task) -> [String; 6] {
    let budget = plan.time.budget(index);
    [
        task.name.value.clone(),
        task.priority.value.to_string(),
        budget.map_or("no limit".to_owned(), text),
        budget.map_or(String::new(), |budget| percent(share_of(budget))),
        account(task).to_owned(),
        plan.time
            .waits
            .get(index)
            .map_or(String::new(), |wait| longest(plan, wait)),
    ]
}

/// Where a task's account comes from.
pub fn account(task: &Task) -> &'static str {
    match task.time {
        ProcessorTime::Trusted => "trusted",
        ProcessorTime::Own(_) => "own",
        ProcessorTime::Share => "share",
    }
}

/// A budget as it is written.
pub fn text(budget: Budget) -> String {
    format!(
        "{} per {}",
        show_time(budget.time),
        show_time(budget.period)
    )
}

/// Names of the tasks whose own work comes on top of a wait.
pub fn beside<'a>(plan: &'a Plan, wait: &Wait) -> Vec<&'a str> {
    let tasks = wait.beside.iter();
    let tasks = tasks.filter_map(|index| plan.app.tasks.get(*index));
    tasks.map(|task| task.name.value.as_str()).collect()
}

fn longest(plan: &Plan, wait: &Wait) -> String {
    let beside = beside(plan, wait);
    match (wait.bound, beside.is_empty()) {
        (Err(taken), _) => format!(
            "no bound: those who may come first have {} of the processor",
            percent(taken)
        ),
        (Ok(bound), true) => rounded(bound),
        (Ok(bound), false) => format!("{} and {}", rounded(bound), beside.join(", ")),
    }
}

/// Milliseconds with two digits behind the point, rounded up.
fn rounded(nanoseconds: u64) -> String {
    let hundredths = nanoseconds.div_ceil(10_000);
    format!("{}.{:02} ms", hundredths / 100, hundredths % 100)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::show::tests::planned_of;

    const HEAD: &str = "name = \"case\"\nplatform = \"qemu-virt\"\n\
        [tasks.supervisor]\ncrate = \"task/supervisor\"\npriority = 0\nrights = [\"supervise\"]\n";

    fn table(tasks: &[(&str, &str)]) -> Vec<String> {
        let mut text = HEAD.to_owned();
        for (name, keys) in tasks {
            text += &format!("[tasks.{name}]\ncrate = \"task/log\"\n{keys}\n");
        }
        let mut out = String::new();
        write(&planned_of(text), &mut out).unwrap();
        out.lines().skip(2).map(str::to_owned).collect()
    }

    #[test]
    fn every_kind_of_account_is_shown() {
        let lines = table(&[
            ("a", "priority = 1\nbudget = \"2 ms per 10 ms\""),
            ("b", "priority = 2\ntrusted-time = true"),
            ("c", "priority = 2\ncalls = [\"supervisor\"]"),
            ("d", "priority = 3\ncalls = [\"b\"]"),
        ]);
        // Of `c`: an entry of the kernel and two of the account of `a`, and its budget twice. Of `b` and `d`: two
        // accounts, three times each.
        assert_eq!(
            lines[..6],
            [
                "  task        priority  budget          share   account  worst wait",
                "  supervisor  0         no limit                trusted  0.01 ms",
                "  a           1         2 ms per 10 ms  20.0 %  own      0.01 ms and supervisor",
                "  b           2         no limit                trusted  18.02 ms and supervisor",
                "  c           2         4 ms per 10 ms  40.0 %  share    4.01 ms and supervisor, b",
                "  d           3         4 ms per 10 ms  40.0 %  share    18.02 ms and supervisor, b",
            ]
        );
        assert_eq!(lines[6], "  all accounts have 100.0 % of the processor");
    }

    #[test]
    fn where_there_is_no_bound_it_says_why() {
        let lines = table(&[
            ("a", "priority = 1\nbudget = \"6 ms per 10 ms\""),
            ("b", "priority = 2\nbudget = \"5 ms per 10 ms\""),
            ("c", "priority = 3"),
        ]);
        let last = "  c           3         50 us per 10 ms  0.5 %   share    no bound: those who may come first have 110.0 % of the processor";
        assert_eq!(lines[4], last);
        assert_eq!(lines[5], "  all accounts have 110.5 % of the processor");
    }
}
