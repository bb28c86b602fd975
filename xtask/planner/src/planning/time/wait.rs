//! The longest time that a task waits for the processor, from when it becomes ready with budget left until it has run
//! its first instruction.
//!
//! While it waits, somebody else runs who is not less urgent and not spent, and an account pays for that. Each account
//! can pay at most `budget * (ceil(t / period) + 1)` in a time `t`: what it had saved, and a budget for each period that
//! ends. The accounts of those who are as urgent count, and of less urgent ones who can call one that is: their request
//! may be under way or wait in its queue. If they can call only servers that are trusted with time, it is answered in
//! the time of one message, which may also be the last of an account that runs out. The longest wait is the smallest
//! `t` that is as long as all these payments and messages together, with what the kernel takes.
//!
//! Nothing limits what is done on the account of a task that is trusted with time, nor a message to it whose length is
//! not known: such tasks are named.

use crate::read::Budget;

/// Parts of a whole that shares are counted in.
pub const WHOLE: u64 = 1_000_000;
/// Entries into the kernel by which a period's end is noticed late: the one under way, and turns of the timer before.
const LATE: u64 = 3;
/// Entries into the kernel that an account pays though it has nothing left: the one under way when it runs out, and
/// the one in which that is noticed.
const OVERRUN: u64 = 2;
/// Rounds after which a bound in one step is good enough.
const ROUNDS: usize = 1000;

/// A task, as far as waiting for the processor is concerned.
#[derive(Clone, Debug)]
pub struct Contender {
    /// 0 is the most urgent.
    pub priority: u32,
    /// `None` if it is trusted with time.
    pub budget: Option<Budget>,
    /// Indices of the tasks that it may call.
    pub calls: Vec<usize>,
    /// The longest that it works on one message, in nanoseconds, if that is known.
    pub message: Option<u64>,
}

/// What the kernel takes for itself.
#[derive(Clone, Copy, Debug)]
pub struct Overhead {
    /// Nanoseconds of its longest entry, in which nobody is preempted.
    pub entry: u64,
    /// Interrupts that it routes to tasks; each is delivered once, and then again only when its task has run.
    pub lines: u64,
}

/// How long a task waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// Nanoseconds; or the share, in millionths, of those who may come first, who have the whole processor together.
    pub bound: Result<u64, u64>,
    /// Tasks trusted with time whose own work, or work on one message, comes on top.
    pub beside: Vec<usize>,
}

/// Millionths of the processor's time, rounded up.
pub fn share(budget: Budget) -> u64 {
    budget
        .time
        .saturating_mul(WHOLE)
        .div_ceil(budget.period.max(1))
}

/// Waits of all tasks.
pub fn waits(tasks: &[Contender], overhead: Overhead) -> Vec<Wait> {
    let reach = reach(tasks);
    (0..tasks.len())
        .map(|task| longest(tasks, &reach, task, overhead))
        .collect()
}

/// The tasks that each task calls, directly or through others.
fn reach(tasks: &[Contender]) -> Vec<Vec<bool>> {
    let mut reach: Vec<Vec<bool>> = tasks
        .iter()
        .map(|task| {
            (0..tasks.len())
                .map(|other| task.calls.contains(&other))
                .collect()
        })
        .collect();
    for through in 0..tasks.len() {
        let further = reach.get(through).cloned().unwrap_or_default();
        for row in reach
            .iter_mut()
            .filter(|row| row.get(through) == Some(&true))
        {
            for (known, new) in row.iter_mut().zip(&further) {
                *known |= new;
            }
        }
    }
    reach
}

fn longest(tasks: &[Contender], reach: &[Vec<bool>], task: usize, overhead: Overhead) -> Wait {
    let priority = tasks.get(task).map_or(0, |task| task.priority);
    let mut beside = Vec::new();
    let mut accounts = Vec::new();
    let mut messages = 0;
    for (index, other) in tasks.iter().enumerate().filter(|(index, _)| *index != task) {
        let servers: Vec<&Contender> = (tasks.iter().enumerate())
            .filter(|(server, _)| *server != task && reaches(reach, index, *server))
            .map(|(_, server)| server)
            .filter(|server| server.priority <= priority)
            .collect();
        // A server that is trusted answers each message in its time; one that is limited may keep its client's.
        let may_pay =
            other.priority <= priority || servers.iter().any(|server| server.budget.is_some());
        match other.budget {
            Some(budget) if may_pay => accounts.push(budget),
            None if may_pay => {
                beside.push(index);
                continue;
            }
            _ => {}
        }
        let trusted = servers.iter().filter(|server| server.budget.is_none());
        messages += trusted.filter_map(|server| server.message).sum::<u64>();
    }
    let entries = 1 + OVERRUN * accounts.len() as u64 + overhead.lines;
    Wait {
        bound: fixed_point(
            overhead.entry * entries + messages,
            overhead.entry * LATE,
            &accounts,
        ),
        beside,
    }
}

fn reaches(reach: &[Vec<bool>], from: usize, to: usize) -> bool {
    reach.get(from).and_then(|row| row.get(to)) == Some(&true)
}

/// The smallest time that is as long as `once` and what the accounts pay in it, whose periods' ends are noticed so late.
fn fixed_point(once: u64, late: u64, accounts: &[Budget]) -> Result<u64, u64> {
    let taken: u64 = accounts.iter().copied().map(share).sum();
    if taken >= WHOLE {
        return Err(taken);
    }
    let pays = |account: &Budget, time: u64| {
        account.time * ((time + late).div_ceil(account.period.max(1)) + 1)
    };
    let mut time = once;
    for _ in 0..ROUNDS {
        let more = once
            + accounts
                .iter()
                .map(|account| pays(account, time))
                .sum::<u64>();
        if more == time {
            return Ok(time);
        }
        time = more;
    }
    Ok(in_one_step(once, late, accounts, taken))
}

/// A bound that is never below the fixed point: rounding up makes of each quotient at most one more.
fn in_one_step(once: u64, late: u64, accounts: &[Budget], taken: u64) -> u64 {
    let budgets: u64 = accounts.iter().map(|account| account.time).sum();
    let at_once = u128::from(once) + 2 * u128::from(budgets) + u128::from(late);
    let time = (at_once * u128::from(WHOLE)).div_ceil(u128::from((WHOLE - taken).max(1)));
    u64::try_from(time).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
