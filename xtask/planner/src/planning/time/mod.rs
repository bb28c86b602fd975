//! Processor time: which account each task has, how much is in it, and how long each task waits at most.

mod wait;

pub use wait::Wait;

use plan::cost::Longest;

use self::wait::{Contender, Overhead, WHOLE, share};
use super::domain_plan::Domains;
use super::route::InterruptRoute;
use crate::read::{App, BUDGET_LEAST, Budget, ProcessorTime, Task};
use crate::report::{Mistake, Report, Span};

/// The period of those who declare no budget, in nanoseconds.
const SHARED_PERIOD: u64 = 10_000_000;
/// A microsecond in nanoseconds.
const MICROSECOND: u64 = 1000;
/// Users that a message names.
const NAMED: usize = 3;

/// Accounts of processor time.
#[derive(Clone, Debug)]
pub struct Time {
    /// What each account has, in the order of their numbers.
    pub accounts: Vec<Budget>,
    /// The account of each task, in the order of the tasks; `None` for one that is trusted with time.
    pub account_of: Vec<Option<usize>>,
    /// How long each task waits for the processor at most, in the order of the tasks.
    pub waits: Vec<Wait>,
}

/// What the IOMMU server is busy with for longest.
#[derive(Clone, Copy, Debug)]
pub struct LongestMessage {
    /// Number of the domain.
    pub domain: usize,
    /// Entries of its window.
    pub entries: u64,
    /// How many instructions that takes.
    pub instructions: u64,
    /// What the message asks for.
    pub what: Longest,
    /// Pages of a lazy domain that are flushed with it; none in a strict one.
    pub flushed: u64,
}

impl Time {
    /// The budget of a task, if its time is limited.
    pub fn budget(&self, task: usize) -> Option<Budget> {
        let account = (*self.account_of.get(task)?)?;
        self.accounts.get(account).copied()
    }

    /// Millionths of the processor that all accounts have together, rounded up.
    pub fn taken(&self) -> u64 {
        self.accounts.iter().copied().map(share).sum()
    }
}

/// The share of the processor that a budget is, in millionths, rounded up.
pub fn share_of(budget: Budget) -> u64 {
    share(budget)
}

/// The longest that one message keeps the IOMMU server busy; `None` without a domain.
pub fn longest_message(domains: &Domains) -> Option<LongestMessage> {
    /// Bytes that an entry of each part of a window maps.
    const PAGE: u64 = 4096;
    const BLOCK: u64 = 2 << 20;
    let domains = domains.domains.iter().enumerate();
    let all = domains.map(|(domain, planned)| {
        let entries = planned.page_bytes / PAGE + planned.block_bytes / BLOCK;
        let (instructions, what) = plan::cost::longest(entries);
        let flushed = planned.lazy.as_ref();
        let flushed = flushed.map_or(0, |lazy| u64::from(lazy.bounds.pages));
        LongestMessage {
            domain,
            entries,
            instructions: instructions + flushed * plan::cost::FLUSHED_PAGE,
            what,
            flushed,
        }
    });
    // Of several, the first.
    all.max_by_key(|longest| (longest.instructions, std::cmp::Reverse(longest.domain)))
}

/// Gives each task that is not trusted an account: what it declares, or an even share of what the others leave. Warns
/// if that is more than there is.
pub fn plan(report: &Report, app: &App, interrupts: &[InterruptRoute], domains: &Domains) -> Time {
    let share = even_share(app);
    let mut accounts = Vec::new();
    let account_of: Vec<Option<usize>> = app
        .tasks
        .iter()
        .map(|task| {
            let budget = match &task.time {
                ProcessorTime::Trusted => return None,
                ProcessorTime::Own(budget) => budget.value,
                ProcessorTime::Share => share,
            };
            accounts.push(budget);
            Some(accounts.len() - 1)
        })
        .collect();
    let mut time = Time {
        accounts,
        account_of,
        waits: Vec::new(),
    };
    warn(report, app, &time);
    let authority = app.authority();
    // One instruction a nanosecond.
    let message = longest_message(domains).map(|longest| longest.instructions);
    let contenders: Vec<Contender> = app
        .tasks
        .iter()
        .enumerate()
        .map(|(index, task)| Contender {
            priority: task.priority.value,
            budget: time.budget(index),
            calls: calls(app, task),
            message: message.filter(|_| authority == Some(index)),
        })
        .collect();
    let overhead = Overhead {
        entry: abi::LONGEST_MASKED.into(),
        lines: interrupts.len() as u64,
    };
    time.waits = wait::waits(&contenders, overhead);
    time
}

fn calls(app: &App, task: &Task) -> Vec<usize> {
    let calls = task.calls.iter();
    calls
        .filter_map(|name| app.task(&name.value))
        .map(|(index, _)| index)
        .collect()
}

/// What those have who say nothing.
fn even_share(app: &App) -> Budget {
    let declared: u64 = (app.tasks.iter())
        .filter_map(|task| match &task.time {
            ProcessorTime::Own(budget) => Some(share(budget.value)),
            _ => None,
        })
        .sum();
    let silent = app.tasks.iter();
    let silent = silent.filter(|task| matches!(task.time, ProcessorTime::Share));
    let left = WHOLE.saturating_sub(declared);
    let each = left / (silent.count() as u64).max(1);
    // Whole microseconds, as a person would write it.
    let time = each * (SHARED_PERIOD / MICROSECOND) / WHOLE * MICROSECOND;
    Budget {
        time: time.max(BUDGET_LEAST),
        period: SHARED_PERIOD,
    }
}

/// Says so if there is not as much time as the accounts have together.
fn warn(report: &Report, app: &App, time: &Time) {
    let taken = time.taken();
    if taken <= WHOLE {
        return;
    }
    let budgets = app.tasks.iter().enumerate().filter_map(|(index, task)| {
        let place: &Span = match &task.time {
            ProcessorTime::Own(budget) => &budget.span,
            _ => &task.name.span,
        };
        Some((task, share(time.budget(index)?), place))
    });
    let mut users: Vec<(&Task, u64, &Span)> = budgets.collect();
    // Stable: of equals in the order of the plan.
    users.sort_by_key(|user| std::cmp::Reverse(user.1));
    let largest: Vec<String> = users
        .iter()
        .take(NAMED)
        .map(|(task, share, _)| format!("`{}` {}", task.name.value, percent(*share)))
        .collect();
    let mut draft = report.warning(
        Mistake::Overbooked,
        format!(
            "budgets of {} of the processor cannot all be kept",
            percent(taken)
        ),
    );
    if let Some((task, share, place)) = users.first() {
        let text = format!("`{}` has {} of it", task.name.value, percent(*share));
        draft = draft.at(place, text);
    }
    drop(draft.note(format!("the largest: {}", largest.join(", "))));
}

/// Millionths for a person, in tenths of a percent, rounded up.
pub fn percent(millionths: u64) -> String {
    let tenths = millionths.div_ceil(WHOLE / 1000);
    format!("{}.{} %", tenths / 10, tenths % 10)
}
