//! Processor time: which account each task has, and how much is in it.

use crate::read::{App, BUDGET_LEAST, Budget, Task};

/// The period of those who declare no budget, in nanoseconds.
const SHARED_PERIOD: u64 = 10_000_000;
/// Parts of a whole that shares are counted in.
const WHOLE: u64 = 1_000_000;

/// Accounts of processor time.
#[derive(Clone, Debug)]
pub struct Time {
    /// What each account has, in the order of their numbers.
    pub accounts: Vec<Budget>,
    /// The account of each task, in the order of the tasks; `None` for one that is trusted with time.
    pub account_of: Vec<Option<usize>>,
}

impl Time {
    /// The budget of a task, if its time is limited.
    pub fn budget(&self, task: usize) -> Option<Budget> {
        let account = (*self.account_of.get(task)?)?;
        self.accounts.get(account).copied()
    }
}

/// Millionths of the processor's time, rounded up.
fn part(budget: Budget) -> u64 {
    budget
        .time
        .saturating_mul(WHOLE)
        .div_ceil(budget.period.max(1))
}

/// Gives each task that is not trusted an account: what it declares, or an even share of what the others leave.
pub fn plan(app: &App) -> Time {
    let limited = |task: &&Task| task.trusted_time.is_none();
    let declared: u64 = app
        .tasks
        .iter()
        .filter(limited)
        .filter_map(|task| task.budget.as_ref())
        .map(|budget| part(budget.value))
        .sum();
    let silent = app
        .tasks
        .iter()
        .filter(limited)
        .filter(|task| task.budget.is_none())
        .count() as u64;
    let left = WHOLE.saturating_sub(declared);
    let share = Budget {
        time: (left / silent.max(1) * SHARED_PERIOD / WHOLE).max(BUDGET_LEAST),
        period: SHARED_PERIOD,
    };
    let mut accounts = Vec::new();
    let account_of = app
        .tasks
        .iter()
        .map(|task| {
            limited(&task).then(|| {
                accounts.push(task.budget.as_ref().map_or(share, |budget| budget.value));
                accounts.len() - 1
            })
        })
        .collect();
    Time {
        accounts,
        account_of,
    }
}
