//! What the reports add up to.

use crate::report::Outcome;

/// The run's verdict, from the tasks that must report. A set of tasks is one word, bit by index.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    awaited: u64,
    fatal: u64,
    passed: u64,
    failed: u64,
}

/// A set of tasks, lowest index first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tasks(u64);

impl Iterator for Tasks {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let first = (self.0 != 0).then(|| self.0.trailing_zeros() as usize)?;
        self.0 &= !bit(first);
        Some(first)
    }
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
            fatal: 0,
            passed: 0,
            failed: 0,
        }
    }

    /// The verdict waits for this task.
    pub fn await_report(&mut self, task: usize) {
        self.awaited |= bit(task);
    }

    /// A failure of this task is the end, whatever the others still do; its pass is not waited for.
    pub fn end_at_failure_of(&mut self, task: usize) {
        self.fatal |= bit(task);
    }

    /// A report. True if it is new: the first of an awaited task, or a fail after a pass. A fail is never
    /// taken back.
    pub fn report(&mut self, task: usize, outcome: Outcome) -> bool {
        let counts = match outcome {
            Outcome::Pass => self.awaited,
            Outcome::Fail => self.awaited | self.fatal,
        };
        let bit = bit(task) & counts & !self.failed;
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

    /// The task will not come back: it failed unless it has reported, and so did all that depend on it,
    /// directly or not; `dependants` are the sets by index. Returns those for whom this is news.
    pub fn gone(&mut self, task: usize, dependants: impl Fn(usize) -> u64) -> Tasks {
        let mut lost = bit(task);
        // Each round adds a task or is the last one.
        loop {
            let more = Tasks(lost).fold(lost, |all, task| all | dependants(task));
            if more == lost {
                break;
            }
            lost = more;
        }
        let new = lost & (self.awaited | self.fatal) & !self.passed & !self.failed;
        self.failed |= new;
        Tasks(new)
    }

    /// Whether the task's outcome is not known yet.
    pub fn waits_for(&self, task: usize) -> bool {
        bit(task) & self.awaited & !self.passed & !self.failed != 0
    }

    /// The outcome once every awaited task has reported, or one has failed that ends the run. Nothing awaited
    /// means no other verdict, ever: such a system runs until it is stopped.
    pub fn outcome(&self) -> Option<Outcome> {
        if self.failed & self.fatal != 0 {
            return Some(Outcome::Fail);
        }
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
            assert_eq!(verdict.gone(task, alone).next(), None);
        }
        assert!(verdict.report(3, Pass));
        assert_eq!(verdict.outcome(), Some(Pass));
    }

    fn alone(_: usize) -> u64 {
        0
    }

    #[test]
    fn gone_without_a_report_is_a_fail() {
        let mut verdict = awaiting(&[3, 4]);
        verdict.report(4, Pass);
        assert_eq!(
            verdict.gone(4, alone).next(),
            None,
            "it did its part before"
        );
        assert!(verdict.waits_for(3));
        assert!(verdict.gone(3, alone).eq([3]));
        assert_eq!(verdict.gone(3, alone).next(), None, "no news");
        assert_eq!(verdict.outcome(), Some(Fail));
    }

    #[test]
    fn who_depends_on_what_is_gone_fails() {
        // 5 and 6 depend on 4, which depends on 2; 7 depends on nobody, 8 and 9 on each other.
        let dependants = |task: usize| match task {
            2 => bit(4),
            4 => bit(5) | bit(6),
            8 => bit(9),
            9 => bit(8),
            _ => 0,
        };
        let mut verdict = awaiting(&[5, 6, 7, 9]);
        verdict.report(6, Pass);
        assert!(verdict.gone(2, dependants).eq([5]));
        assert!(verdict.gone(8, dependants).eq([9]));
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
        assert!(verdict.gone(1, alone).eq([1]));
        assert_eq!(verdict.outcome(), Some(Fail));
    }

    #[test]
    fn nothing_awaited_is_no_verdict() {
        assert_eq!(Verdict::new().outcome(), None);
    }
}
