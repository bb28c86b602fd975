//! Budgets: who has processor time left runs before everybody who has none.
//!
//! Time is charged to the account of the task at the bottom of a chain of calls: a message carries its sender's
//! account to the server, which works on it until it receives the next message, a notification, or replies
//! without receiving. What a task does of itself, and the handling of its interrupts, is charged to its own.
//!
//! A task is *spent* when the account that it works on is exhausted; a server that works for somebody else is spent
//! only when its own is exhausted as well, so that a request once begun is finished at the server's priority. It then
//! pays from its own account, its calls carry that one, and the client owes the same time. Spent tasks run when nobody
//! else is ready, and nobody pays for that. The account of those who are trusted with time is never exhausted.
//!
//! The machine's fast path charges nobody between a call and its reply, since the account stays the same. A reply to a
//! task on another account, and all calls of a task that is marked here, it leaves to the core. A task that it wakes, or that
//! goes on when another waits, works on another account: there it charges as `Accounts::settle` does.

use abi::TIMERS_A_TURN;

use crate::accounts::AccountIndex;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::task_set::{TaskIndex, TaskSet};

impl<A: Arch> Kernel<'_, A> {
    /// Whether a task has no time left, neither from the account that it works on nor, as a server, from its own.
    pub(crate) fn is_spent(&self, index: TaskIndex) -> bool {
        let task = self.task(index);
        self.accounts.is_exhausted(task.account())
            && (task.account() == task.own_account()
                || self.accounts.is_exhausted(task.own_account()))
    }

    /// The account that a message of the task carries. Who finishes something on its own account calls on that one:
    /// else it could have others work without end for a client that has nothing left.
    #[inline(always)]
    pub(crate) fn account_of_calls(&self, index: TaskIndex) -> AccountIndex {
        let task = self.task(index);
        let (account, own) = (task.account(), task.own_account());
        if own != AccountIndex::FREE && self.accounts.is_exhausted(account) {
            own
        } else {
            account
        }
    }

    /// Puts a runnable task that does not run among those of its kind.
    #[inline(always)]
    pub(crate) fn enqueue(&mut self, index: TaskIndex) {
        if self.accounts.any_exhausted() {
            self.enqueue_judged(index);
        } else {
            self.ready.insert(index);
        }
    }

    #[inline(never)]
    fn enqueue_judged(&mut self, index: TaskIndex) {
        if self.is_spent(index) {
            self.spent.insert(index);
        } else {
            self.ready.insert(index);
        }
    }

    /// Takes a task out again.
    #[inline(always)]
    pub(crate) fn dequeue(&mut self, index: TaskIndex) {
        self.ready.remove(index);
        self.spent.remove(index);
    }

    /// Those from whom the next task is chosen.
    #[inline(always)]
    pub(crate) fn candidates(&self) -> TaskSet {
        if self.ready.is_empty() {
            self.spent
        } else {
            self.ready
        }
    }

    /// Those who are to run rather than the running task.
    #[inline(always)]
    pub(crate) fn before(&self, running: TaskIndex) -> TaskSet {
        let above = self.ready.and(self.task(running).above());
        if self.accounts.any_exhausted() {
            self.before_judged(running, above)
        } else {
            above
        }
    }

    #[inline(never)]
    fn before_judged(&self, running: TaskIndex, above: TaskSet) -> TaskSet {
        if !self.is_spent(running) {
            above
        } else if self.ready.is_empty() {
            self.spent.and(self.task(running).above())
        } else {
            self.ready
        }
    }

    /// The task that goes on with the processor pays from now on, if that is not so already.
    #[inline(always)]
    pub(crate) fn pay_for(&mut self, index: TaskIndex) {
        if self.task(index).account() != self.accounts.paying || self.marked.is_some() {
            self.change_payer(index);
        }
    }

    /// Settles what was used up to now, and decides who pays for the task that goes on.
    #[inline(never)]
    pub(crate) fn change_payer(&mut self, index: TaskIndex) {
        if let Some(marked) = self.marked.take() {
            self.task_mut(marked).set_spent(false);
        }
        self.accounts.settle(self.arch.now());
        let task = self.task(index);
        let (account, own) = (task.account(), task.own_account());
        let free = AccountIndex::FREE;
        let exhausted = self.accounts.is_exhausted(account);
        let (payer, debtor) = if !exhausted {
            (account, free)
        } else if self.ready.is_empty() || self.is_spent(index) {
            // Nobody else wants the time.
            (free, free)
        } else {
            (own, account)
        };
        if exhausted {
            self.task_mut(index).set_spent(true);
            self.marked = Some(index);
        }
        let end = self.accounts.pay_from(payer, debtor);
        self.advance_timer(end);
    }

    /// Whoever goes on after an interrupt pays from now on, and the timer is set to the end of that.
    #[inline(never)]
    pub(crate) fn pay_anew(&mut self, next: Option<TaskIndex>) {
        match next {
            Some(index) => self.change_payer(index),
            None => self.idle_account(),
        }
    }

    /// All tasks wait: nobody pays.
    pub(crate) fn idle_account(&mut self) {
        if let Some(marked) = self.marked.take() {
            self.task_mut(marked).set_spent(false);
        }
        self.accounts.settle(self.arch.now());
        self.accounts
            .pay_from(AccountIndex::FREE, AccountIndex::FREE);
    }

    /// The timer fired: accounts that ended their period get the next budget, and one that has nothing left is exhausted.
    /// As many as tasks are notified in one turn, at most. Whether there was anything to do.
    #[inline(never)]
    pub(crate) fn budgets_due(&mut self, running: Option<TaskIndex>) -> bool {
        let was_spent = running.is_some_and(|running| self.is_spent(running));
        let now = self.arch.now();
        self.accounts.settle(now);
        let ran_out = self.accounts.run_out();
        let due = now >= self.accounts.next_refill();
        let refilled = due && self.accounts.refill(now, TIMERS_A_TURN);
        if ran_out || refilled {
            self.sort(running.map(|running| (running, was_spent)));
        }
        ran_out || due
    }

    /// Sorts those who can run by who is spent now. Whoever changed sides comes behind its equals there. `running` is not in
    /// either set; it says whether the running task was spent before.
    fn sort(&mut self, running: Option<(TaskIndex, bool)>) {
        let spent_before = self.spent;
        let mut all = TaskSet(self.ready.0 | self.spent.0);
        if let Some((running, _)) = running {
            all.insert(running);
        }
        (self.ready, self.spent) = (TaskSet::EMPTY, TaskSet::EMPTY);
        for index in all {
            let before = match running {
                Some((running, was_spent)) if running == index => was_spent,
                _ => {
                    self.enqueue(index);
                    spent_before.contains(index)
                }
            };
            if before != self.is_spent(index) {
                let ticket = self.take_ticket();
                self.task_mut(index).come_last(ticket);
            }
        }
    }
}
