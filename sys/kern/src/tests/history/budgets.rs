//! What the reference says of processor time: docs/reference/ipc.md, IPC-BUDGET, in the fewest words. A task's own account
//! has the task's number.

use std::vec;
use std::vec::Vec;

use super::model::{Doing, Model};
use crate::tests::world::COUNT;

/// An account.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: i64,
    budget: i64,
    period: u64,
    since: u64,
    exhausted: bool,
}

impl Budget {
    pub fn new(budget: u64, period: u64, now: u64) -> Self {
        Self {
            left: budget as i64,
            budget: budget as i64,
            period,
            since: now,
            exhausted: false,
        }
    }

    /// The budgets of all periods that are over, of which one is kept.
    fn refill(&mut self, now: u64) {
        let periods = (now - self.since) / self.period;
        if periods == 0 {
            return;
        }
        self.left = (self.left + periods as i64 * self.budget).min(self.budget);
        self.since = if self.exhausted {
            self.since + periods * self.period
        } else {
            now
        };
    }
}

impl Model {
    pub fn is_exhausted(&self, account: usize) -> bool {
        self.budgets[account].is_some_and(|budget| budget.exhausted)
    }

    /// Without time: neither from whom it works for, nor its own.
    pub fn is_spent(&self, task: usize) -> bool {
        self.is_exhausted(self.works_for[task]) && self.is_exhausted(task)
    }

    /// Who pays for the time in which the running task runs.
    fn payers(&self) -> Vec<usize> {
        let Some(running) = self.running else {
            return vec![];
        };
        let account = self.works_for[running];
        if !self.is_exhausted(account) {
            return vec![account];
        }
        let wanted = (0..COUNT).any(|other| {
            other != running && self.tasks[other].doing == Doing::Ready && !self.is_spent(other)
        });
        if wanted && !self.is_spent(running) {
            vec![running, account]
        } else {
            vec![]
        }
    }

    /// Time passed since the last call: whoever paid for it may be exhausted, and others have a budget again. True if anybody
    /// changed sides.
    pub fn pay(&mut self, now: u64) -> bool {
        let passed = now - self.paid_until;
        self.paid_until = now;
        let payers = self.payers();
        let spent: Vec<bool> = (0..COUNT).map(|task| self.is_spent(task)).collect();
        for payer in &payers {
            if let Some(account) = &mut self.budgets[*payer] {
                account.left -= passed as i64;
            }
        }
        if let Some(account) = payers
            .first()
            .and_then(|payer| self.budgets[*payer].as_mut())
            && account.left <= 0
        {
            account.refill(now);
            account.exhausted = account.left <= 0;
        }
        for account in self.budgets.iter_mut().flatten() {
            if account.exhausted {
                account.refill(now);
                account.exhausted = account.left <= 0;
            }
        }
        // Whoever changed sides comes behind its equals there.
        let mut changed = false;
        for (task, was_spent) in spent.into_iter().enumerate() {
            if self.tasks[task].doing == Doing::Ready && was_spent != self.is_spent(task) {
                self.comes_last(task);
                changed = true;
            }
        }
        changed
    }
}
