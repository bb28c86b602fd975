//! What the reports add up to.

use crate::report::Outcome;

/// The run's verdict, from the tasks that must report. A set of tasks is one word, bit by index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    awaited: u64,
    passed: u64,
    failed: u64,
}

/// The bit of a task; none beyond what a system can have.
fn bit(task: usize) -> u64 {
    u32::try_from(task)
        .ok()
        .and_then(|task| 1u64.checked_shl(task))
        .unwrap_or(0)
}

impl Verdict {
    /// Nobody must report yet.
    pub const fn new() -> Self {
        Self {
            awaited: 0,
            passed: 0,
            failed: 0,
        }
    }

    /// The verdict waits for this task.
    pub fn await_report(&mut self, task: usize) {
        self.awaited |= bit(task);
    }

    /// A report. True if it is new: the first of an awaited task, or a fail after a pass. A fail is never
    /// taken back.
    pub fn report(&mut self, task: usize, outcome: Outcome) -> bool {
        let bit = bit(task) & self.awaited & !self.failed;
        match outcome {
            Outcome::Pass => {
                let new = bit & !self.passed;
                self.passed |= new;
                new != 0
            }
            Outcome::Fail => {
                self.failed |= bit;
                bit != 0
            }
        }
    }

    /// The task will not come back: if it has not reported, it failed. True if that is news.
    pub fn gone(&mut self, task: usize) -> bool {
        let new = bit(task) & self.awaited & !self.passed & !self.failed;
        self.failed |= new;
        new != 0
    }

    /// Whether the task's outcome is not known yet.
    pub fn waits_for(&self, task: usize) -> bool {
        bit(task) & self.awaited & !self.passed & !self.failed != 0
    }

    /// The outcome once every awaited task has reported. Nothing awaited means no verdict, ever:
    /// such a system runs until it is stopped.
    pub fn outcome(&self) -> Option<Outcome> {
        let reported = self.passed | self.failed;
        if self.awaited == 0 || self.awaited & !reported != 0 {
            return None;
        }
        Some(if self.failed == 0 {
            Outcome::Pass
        } else {
            Outcome::Fail
        })
    }

    /// How many passed, how many are awaited in all.
    pub fn counts(&self) -> (u32, u32) {
        (
            (self.passed & !self.failed).count_ones(),
            self.awaited.count_ones(),
        )
    }

    /// Whether this task failed.
    pub fn has_failed(&self, task: usize) -> bool {
        bit(task) & self.failed != 0
    }
}

impl Default for Verdict {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
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
            assert!(!verdict.gone(task));
        }
        assert!(verdict.report(3, Pass));
        assert_eq!(verdict.outcome(), Some(Pass));
    }

    #[test]
    fn gone_without_a_report_is_a_fail() {
        let mut verdict = awaiting(&[3, 4]);
        verdict.report(4, Pass);
        assert!(!verdict.gone(4), "it did its part before");
        assert!(verdict.waits_for(3));
        assert!(verdict.gone(3));
        assert_eq!(verdict.outcome(), Some(Fail));
    }

    #[test]
    fn nothing_awaited_is_no_verdict() {
        assert_eq!(Verdict::new().outcome(), None);
    }
}
