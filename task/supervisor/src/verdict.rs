//! The verdict that the reports add up to.

use abi::TASKS_MAX;
use heapless::Vec;
use supervisor_api::Outcome;

/// The meaning of a task's reports for the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Counts {
    /// The task's reports count for nothing.
    Not,
    /// The verdict waits for them.
    Awaited,
    /// A fail ends the run.
    Fatal,
}

/// One task in the verdict.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Account {
    counts: Counts,
    passed: bool,
    failed: bool,
}

impl Account {
    /// Nobody waits for this task.
    const NONE: Self = Self {
        counts: Counts::Not,
        passed: false,
        failed: false,
    };

    fn is_awaited(&self) -> bool {
        self.counts == Counts::Awaited
    }
    fn has_reported(&self) -> bool {
        self.passed || self.failed
    }
}

/// The run's verdict, from the tasks that must report.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// The accounts of all tasks, by their numbers.
    accounts: [Account; TASKS_MAX],
}

impl Verdict {
    /// A verdict to which no task has to report yet.
    pub const fn new() -> Self {
        Self {
            accounts: [Account::NONE; TASKS_MAX],
        }
    }

    fn set(&mut self, task: usize, counts: Counts) {
        if let Some(account) = self.accounts.get_mut(task) {
            account.counts = counts;
        }
    }

    /// The verdict waits for this task.
    pub fn await_report(&mut self, task: usize) {
        self.set(task, Counts::Awaited);
    }

    /// A failure of this task is the end, whatever the others still do; its pass is not waited for.
    pub fn end_at_failure_of(&mut self, task: usize) {
        self.set(task, Counts::Fatal);
    }

    /// A report. True if it is new: the first of an awaited task, or a fail after a pass. A fail is never
    /// taken back.
    pub fn report(&mut self, task: usize, outcome: Outcome) -> bool {
        let Some(account) = self.accounts.get_mut(task) else {
            return false;
        };
        let counts = match outcome {
            Outcome::Pass => account.is_awaited() && !account.passed,
            Outcome::Fail => account.counts != Counts::Not,
        };
        let new = counts && !account.failed;
        match outcome {
            Outcome::Pass => account.passed |= new,
            Outcome::Fail => account.failed |= new,
        }
        new
    }

    /// The task will not come back: it failed unless it has reported, and so did all that depend on it,
    /// directly or not. Returns those for whom this is news.
    pub fn gone<D: Iterator<Item = usize>>(
        &mut self,
        task: usize,
        dependants: impl Fn(usize) -> D,
    ) -> Vec<usize, TASKS_MAX> {
        let mut lost = Vec::<usize, TASKS_MAX>::new();
        let add = |lost: &mut Vec<usize, TASKS_MAX>, task| {
            if task < TASKS_MAX && !lost.contains(&task) {
                // There is room for each task once.
                let _ = lost.push(task);
            }
        };
        add(&mut lost, task);
        let mut next = 0;
        while let Some(&task) = lost.get(next) {
            for dependant in dependants(task) {
                add(&mut lost, dependant);
            }
            next += 1;
        }
        let mut news = Vec::new();
        for task in 0..TASKS_MAX {
            if lost.contains(&task) && self.is_news(task) {
                // There is room for each task once.
                let _ = news.push(task);
            }
        }
        news
    }

    /// Notes that a task which is gone failed; false if it did its part before, or nobody waits for it.
    fn is_news(&mut self, task: usize) -> bool {
        let Some(account) = self.accounts.get_mut(task) else {
            return false;
        };
        let news = account.counts != Counts::Not && !account.has_reported();
        account.failed |= news;
        news
    }

    /// Whether the task's outcome is not known yet.
    pub fn waits_for(&self, task: usize) -> bool {
        let account = self.accounts.get(task);
        account.is_some_and(|account| account.is_awaited() && !account.has_reported())
    }

    /// The outcome once every awaited task has reported, or one has failed that ends the run. Nothing awaited
    /// means no other verdict, ever: such a system runs until it is stopped.
    pub fn outcome(&self) -> Option<Outcome> {
        let any = |is: fn(&Account) -> bool| self.accounts.iter().any(is);
        if any(|account| account.failed && account.counts == Counts::Fatal) {
            return Some(Outcome::Fail);
        }
        if !any(Account::is_awaited)
            || any(|account| account.is_awaited() && !account.has_reported())
        {
            return None;
        }
        Some(if any(|account| account.failed) {
            Outcome::Fail
        } else {
            Outcome::Pass
        })
    }

    /// How many passed, how many are awaited in all.
    pub fn counts(&self) -> (u32, u32) {
        let count = |is: fn(&&Account) -> bool| self.accounts.iter().filter(is).count() as u32;
        (
            count(|account| account.passed && !account.failed),
            count(|account| account.is_awaited()),
        )
    }

    /// A task's part: none if nobody waits for its report and it has not failed; else its outcome, once it is known.
    pub fn of(&self, task: usize) -> Option<Option<Outcome>> {
        let account = self.accounts.get(task)?;
        let outcome = match (account.failed, account.passed) {
            (true, _) => Some(Outcome::Fail),
            (false, true) => Some(Outcome::Pass),
            (false, false) => None,
        };
        (account.is_awaited() || account.failed).then_some(outcome)
    }

    /// Whether any task failed whose report counts.
    pub fn has_any_failed(&self) -> bool {
        self.accounts.iter().any(|account| account.failed)
    }

    /// Whether this task failed.
    pub fn has_failed(&self, task: usize) -> bool {
        let account = self.accounts.get(task);
        account.is_some_and(|account| account.failed)
    }
}

impl Default for Verdict {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use core::iter::{Empty, empty};

    use super::*;
    use Outcome::{Fail, Pass};

    fn awaiting(tasks: &[usize]) -> Verdict {
        let mut verdict = Verdict::new();
        for &task in tasks {
            verdict.await_report(task);
        }
        verdict
    }

    #[test]
    fn all_must_pass() {
        let mut verdict = awaiting(&[3, 5]);
        assert_eq!(verdict.outcome(), None);
        assert!(verdict.report(3, Pass));
        assert_eq!(verdict.outcome(), None);
        assert!(verdict.report(5, Pass));
        assert_eq!(verdict.outcome(), Some(Pass));
        assert_eq!(verdict.counts(), (2, 2));
    }

    #[test]
    fn one_fail_is_enough_but_the_others_are_heard() {
        let mut verdict = awaiting(&[3, 5]);
        assert!(verdict.report(3, Fail));
        assert_eq!(verdict.outcome(), None);
        assert!(verdict.report(5, Pass));
        assert_eq!(verdict.outcome(), Some(Fail));
        assert!(verdict.has_failed(3) && !verdict.has_failed(5));
    }

    #[test]
    fn a_task_reports_once_and_cannot_take_a_fail_back() {
        let mut verdict = awaiting(&[3]);
        assert!(verdict.report(3, Pass));
        assert!(!verdict.report(3, Pass));
        assert!(verdict.report(3, Fail));
        assert!(!verdict.report(3, Pass));
        assert_eq!(verdict.outcome(), Some(Fail));
        assert_eq!(verdict.counts(), (0, 1));
    }

    #[test]
    fn a_task_that_nobody_awaits_changes_nothing() {
        let mut verdict = awaiting(&[3]);
        for task in [0, 4, 63, 64, usize::MAX] {
            assert!(!verdict.report(task, Fail));
            assert!(verdict.gone(task, alone).is_empty());
        }
        assert!(verdict.report(3, Pass));
        assert_eq!(verdict.outcome(), Some(Pass));
    }

    fn alone(_: usize) -> Empty<usize> {
        empty()
    }

    #[test]
    fn gone_without_a_report_is_a_fail() {
        let mut verdict = awaiting(&[3, 4]);
        verdict.report(4, Pass);
        assert!(verdict.gone(4, alone).is_empty(), "it did its part before");
        assert!(verdict.waits_for(3));
        assert_eq!(verdict.gone(3, alone), [3]);
        assert!(verdict.gone(3, alone).is_empty(), "no news");
        assert_eq!(verdict.outcome(), Some(Fail));
    }

    #[test]
    fn who_depends_on_what_is_gone_fails() {
        // 5 and 6 depend on 4, which depends on 2; 7 depends on nobody, 8 and 9 on each other.
        let dependants = |task: usize| {
            let tasks: &[usize] = match task {
                2 => &[4],
                4 => &[5, 6],
                8 => &[9],
                9 => &[8],
                _ => &[],
            };
            tasks.iter().copied()
        };
        let mut verdict = awaiting(&[5, 6, 7, 9]);
        verdict.report(6, Pass);
        assert_eq!(verdict.gone(2, dependants), [5]);
        assert_eq!(verdict.gone(8, dependants), [9]);
        assert!(verdict.waits_for(7));
        assert_eq!(verdict.outcome(), None);
    }

    #[test]
    fn a_failure_that_ends_the_run_ends_it_at_once() {
        let mut verdict = awaiting(&[3]);
        verdict.end_at_failure_of(1);
        assert!(!verdict.report(1, Pass), "nobody waits for it");
        assert_eq!(verdict.outcome(), None);
        assert!(verdict.report(1, Fail));
        assert_eq!(verdict.outcome(), Some(Fail));
        assert!(verdict.waits_for(3));
        let mut verdict = awaiting(&[3]);
        verdict.end_at_failure_of(1);
        assert_eq!(verdict.gone(1, alone), [1]);
        assert_eq!(verdict.outcome(), Some(Fail));
    }

    #[test]
    fn nothing_awaited_is_no_verdict() {
        assert_eq!(Verdict::new().outcome(), None);
    }
}
