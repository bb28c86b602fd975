//! The part of the plan that the supervisor reads: what it does at the death of each task, whose reports count,
//! and who ends when the machine is switched off.

use std::collections::BTreeSet;

use crate::Verified;
use crate::blob::{Blob, Record, Runs, kind};
use crate::expected::{Plan, Task};
use crate::image::Image;
use crate::spaces::Spaces;

const SUPERVISOR: &str = "the supervisor";

/// Offsets in the record of a task.
mod at {
    pub const AFTER: usize = 24;
    pub const LIMIT: usize = 32;
    pub const REPORTS: usize = 36;
    pub const PERIOD: usize = 40;
    /// First of a list's records and how many.
    pub const DEPENDANTS: usize = 48;
    pub const TOGETHER: usize = 56;
    pub const SHUT_DOWN: usize = 64;
    pub const INSPECTS: usize = 68;
}

/// What reports count for: nothing, the verdict waits for them, a failure ends the run.
const IGNORED: u32 = 0;
const AWAITED: u32 = 1;
const FATAL: u32 = 2;
/// The place in the order of a shutdown of a task that is needed to the end.
const STAYS_UP: u32 = 0;

/// Compares every record with `plan.json`, and `plan.json` with itself where it says who restarts together.
///
/// # Errors
/// If the supervisor's plan cannot be read.
pub fn check(
    image: &Image<'_>,
    plan: &Plan,
    spaces: &Spaces,
    verified: &mut Verified,
) -> Result<(), String> {
    let place = spaces.plans.first().copied().flatten();
    verified.addresses.supervisor_plan = place.unwrap_or_default();
    let blob = Blob::new(image.plan(place), SUPERVISOR)?;
    let (records, numbers) = (blob.table(kind::RESTART), blob.table(kind::TASK_NUMBER));
    let told: Vec<String> = records.iter().map(|record| record.name()).collect();
    let planned: Vec<String> = plan.tasks.iter().map(|task| task.name.clone()).collect();
    verified.compare(SUPERVISOR, "it looks after the tasks", &told, &planned);
    let order = shut_down(plan);
    let mut lists = Runs::default();
    for (index, (record, task)) in records.iter().zip(&plan.tasks).enumerate() {
        let whose = format!("task {}", task.name);
        restart(record, task, &whose, verified);
        let told = record.u32(at::REPORTS);
        verified.compare(&whose, "its reports count as", &told, &reports(task));
        for (what, at, planned) in [
            (
                "the supervisor tells its dependants",
                at::DEPENDANTS,
                dependants(plan, task),
            ),
            (
                "the supervisor restarts with it",
                at::TOGETHER,
                together(plan, task),
            ),
        ] {
            let told = lists.next(numbers, record, at);
            let told = told.map(|rows| rows.iter().map(|row| row.u32(0)).collect::<Vec<_>>());
            verified.compare_rows(&whose, what, told.as_deref(), &planned);
        }
        let place = order.iter().position(|other| *other == index);
        let place = place.map_or(Some(STAYS_UP), |place| u32::try_from(place + 1).ok());
        let told = Some(record.u32(at::SHUT_DOWN));
        let what = "its place in the order of a shutdown is";
        verified.compare(&whose, what, &told, &place);
        let told = record.u32(at::INSPECTS);
        let what = "whether the supervisor tells it the state of tasks:";
        verified.compare(&whose, what, &told, &u32::from(task.inspects));
        unit(plan, task, &whose, verified);
    }
    verified.compare(
        SUPERVISOR,
        "tasks in its lists:",
        &numbers.len(),
        &lists.end(),
    );
    Ok(())
}

fn restart(record: &Record<'_>, task: &Task, whose: &str, verified: &mut Verified) {
    let told = (
        record.u64(at::AFTER),
        record.u32(at::LIMIT),
        record.u64(at::PERIOD),
    );
    let restart = &task.restart;
    let planned = (restart.after_ns, restart.limit, restart.period_ns);
    let what = "it is restarted after, how often, in";
    verified.compare(whose, what, &told, &planned);
}

/// The servers without which no device works: who programs the functions, and who opens the SMMU for them.
fn serves_devices(task: &Task) -> bool {
    let mut ranges = task.memory.iter();
    task.dma_authority || ranges.any(|range| range.what == "pci-configuration")
}

fn reports(task: &Task) -> u32 {
    if task.verdict {
        AWAITED
    } else if serves_devices(task) {
        FATAL
    } else {
        IGNORED
    }
}

fn dependants(plan: &Plan, task: &Task) -> Vec<u32> {
    let tasks = plan.tasks.iter().zip(0..);
    let depending = tasks.filter(|(other, _)| other.depends_on.contains(&task.name));
    depending.map(|(_, number)| number).collect()
}

/// A name that nothing has is a number that no record is.
fn together(plan: &Plan, task: &Task) -> Vec<u32> {
    let numbers = task.together.iter();
    let numbers: BTreeSet<u32> = numbers
        .map(|name| plan.task(name).unwrap_or(u32::MAX))
        .collect();
    numbers.into_iter().collect()
}

/// Tasks that end before the machine is switched off, the least urgent first, equals in the order of the plan.
fn shut_down(plan: &Plan) -> Vec<usize> {
    let tasks = plan.tasks.iter().enumerate().skip(1);
    let ending = tasks.filter(|(_, task)| !serves_devices(task) && !task.reads_logs);
    let mut order: Vec<_> = ending
        .map(|(index, task)| (std::cmp::Reverse(task.priority), index))
        .collect();
    order.sort_unstable();
    order.into_iter().map(|(_, index)| index).collect()
}

/// Checks that whoever restarts with a task restarts with all that do: else one death would leave a part of them
/// running.
fn unit(plan: &Plan, task: &Task, whose: &str, verified: &mut Verified) {
    let with_itself = |task: &Task| -> BTreeSet<String> {
        let own = std::iter::once(&task.name);
        own.chain(&task.together).cloned().collect()
    };
    let own = with_itself(task);
    for other in plan.tasks.iter().filter(|other| own.contains(&other.name)) {
        let what = format!(
            "it restarts with {}, which restarts in a unit of",
            other.name
        );
        verified.compare(whose, &what, &with_itself(other), &own);
    }
}
