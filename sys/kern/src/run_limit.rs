//! `max-run`: how long a task may run without blocking.
//!
//! Processor time is counted for limited tasks only, and read only when one is dispatched or
//! preempted. The hardware timer is never set later than the running task's limit; it may be set
//! earlier (for a task that blocked meanwhile), then the interrupt finds nothing to do. A limited
//! server that is called again and again so costs no timer write a call.
//!
//! A receive ends a run even if it returns at once, if what it returns came from somebody else: otherwise clients
//! that keep a server's queue full could have the server killed. What a task can bring about itself ends none, or
//! it could run for ever by waking itself.

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::task_set::TaskIndex;

impl<A: Arch> Kernel<'_, A> {
    /// The task goes on the processor.
    #[inline(always)]
    pub(crate) fn resume_run(&mut self, index: TaskIndex) {
        if self.task(index).run_limit() != 0 {
            self.start_run(index);
        }
    }

    #[inline(never)]
    fn start_run(&mut self, index: TaskIndex) {
        let left = self.task(index).run_left();
        self.running_since = self.arch.now();
        self.advance_timer(self.running_since.saturating_add(left));
    }

    /// The task goes off the processor though it could run on.
    #[inline(always)]
    pub(crate) fn suspend_run(&mut self, index: TaskIndex) {
        if self.task(index).run_limit() != 0 {
            self.interrupt_run(index);
        }
    }

    #[inline(never)]
    fn interrupt_run(&mut self, index: TaskIndex) {
        let ran = self.ran();
        self.task_mut(index).add_run(ran);
    }

    /// The running task passed a point at which it could have blocked.
    pub(crate) fn restart_run(&mut self, index: TaskIndex) {
        if self.task(index).run_limit() != 0 {
            self.task_mut(index).restart_run();
            self.resume_run(index);
        }
    }

    /// Whether the running task exceeded its limit.
    pub(crate) fn overran(&self, index: TaskIndex) -> bool {
        let task = self.task(index);
        task.run_limit() != 0 && task.has_overrun(self.ran())
    }

    fn ran(&self) -> u64 {
        self.arch.now().saturating_sub(self.running_since)
    }
}
