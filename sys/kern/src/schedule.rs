//! Which task runs: strict priorities, first come first served among equals, no time slices. Tasks without
//! processor time left come behind all others (`budget`).
//!
//! `ready` and `spent` hold the runnable tasks other than the running one. A direct switch (a call to a waiting
//! server, a reply to its caller) therefore does not touch them.

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::NextTask;
use crate::task::State;
use crate::task_set::{TaskIndex, TaskSet};

impl<A: Arch> Kernel<'_, A> {
    /// Makes a task runnable that was not. Its run accounting starts afresh.
    #[inline(always)]
    pub(crate) fn make_ready(&mut self, index: TaskIndex) {
        let ticket = self.take_ticket();
        self.task_mut(index).make_runnable(ticket);
        self.enqueue(index);
    }

    /// Whether `index`, which just became ready, comes before the running task, which can go on and had
    /// nobody ready before it.
    #[inline(always)]
    pub(crate) fn preempt_for(&self, index: TaskIndex, running: TaskIndex) -> NextTask {
        if self.accounts.any_exhausted() {
            // The running task may just have become spent, and then others come before it too.
            NextTask::Same
        } else if self.task(running).above().contains(index) {
            NextTask::Preempt(index)
        } else {
            NextTask::Same
        }
    }

    /// A number larger than all before; 64 bits do not wrap.
    pub(crate) fn take_ticket(&mut self) -> u64 {
        self.tickets = self.tickets.wrapping_add(1);
        self.tickets
    }

    /// The task of a set that has the highest priority, and among equals the one that came first.
    #[inline(always)]
    pub(crate) fn foremost(&self, set: TaskSet) -> Option<TaskIndex> {
        let first = set.first()?;
        let class = set.and(self.task(first).equals());
        if class == first.set() {
            return Some(first);
        }
        self.oldest(class)
    }

    #[inline(never)]
    fn oldest(&self, class: TaskSet) -> Option<TaskIndex> {
        class.min_by_key(|index| self.task(*index).ticket())
    }

    /// Carries out what a call decided: returns the task to run, or `None` if all wait.
    #[inline(always)]
    pub(crate) fn carry_out(&mut self, running: TaskIndex, next: NextTask) -> Option<TaskIndex> {
        match next {
            NextTask::Same if self.accounts.any_exhausted() => self.after_interrupt(Some(running)),
            NextTask::Same => {
                self.pay_for(running);
                Some(running)
            }
            NextTask::Direct(chosen) => {
                self.resume_run(chosen);
                self.pay_for(chosen);
                Some(chosen)
            }
            NextTask::Preempt(chosen) => {
                // Its ticket is older than those of the equals that became ready meanwhile, so it
                // goes on before them.
                self.enqueue(running);
                self.dequeue(chosen);
                self.suspend_run(running);
                self.resume_run(chosen);
                self.pay_for(chosen);
                Some(chosen)
            }
            NextTask::Best => self.switch(running),
        }
    }

    /// The task to run when the running one has died of a fault. Mostly the supervisor waits for that, who has no equal, and
    /// always time left.
    #[inline(always)]
    pub(crate) fn after_fault(&mut self, dead: TaskIndex) -> Option<TaskIndex> {
        const SUPERVISOR: TaskIndex = TaskIndex::SUPERVISOR;
        if !self.ready.contains(SUPERVISOR) {
            return self.switch(dead);
        }
        self.ready.remove(SUPERVISOR);
        self.resume_run(SUPERVISOR);
        self.pay_for(SUPERVISOR);
        Some(SUPERVISOR)
    }

    #[inline(never)]
    fn switch(&mut self, running: TaskIndex) -> Option<TaskIndex> {
        let preempted = self.task(running).state() == State::Runnable;
        if preempted {
            self.enqueue(running);
        }
        let Some(chosen) = self.foremost(self.candidates()) else {
            self.idle_account();
            return None;
        };
        self.dequeue(chosen);
        if chosen != running {
            if preempted {
                self.suspend_run(running);
            }
            self.resume_run(chosen);
        }
        self.pay_for(chosen);
        Some(chosen)
    }

    /// The task to run when none was running.
    pub(crate) fn choose(&mut self) -> Option<TaskIndex> {
        let chosen = self.foremost(self.candidates())?;
        self.dequeue(chosen);
        self.resume_run(chosen);
        self.pay_for(chosen);
        Some(chosen)
    }
}
