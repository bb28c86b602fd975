//! Asynchronous errors (SErrors): who is charged with one.
//!
//! An access to device registers can fail long after the instruction that made it. A task that has device
//! registers therefore does not leave the processor before its accesses are complete: the machine's entry code
//! waits for them, and gives an error of theirs to this module before anything is done for or instead of the
//! task. So an error that comes while such a task runs is its own. Any other, which can come from memory that
//! goes bad or from a firmware's doings, is nobody's: the supervisor is told, and nobody dies, unless the processor
//! says that what it interrupted cannot go on.

use abi::{Code, FaultKind, notification};

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome};
use crate::syndrome::{Severity, severity};
use crate::task_set::TaskIndex;
use crate::unclaimed::Unclaimed;

impl<A: Arch> Kernel<'_, A> {
    /// An asynchronous error was taken. `running` is the task whose accesses all came after those of the
    /// others were complete, `None` if all tasks wait. Returns who runs next.
    #[inline(never)]
    pub fn system_error(&mut self, running: Option<TaskIndex>, syndrome: u64) -> Option<TaskIndex> {
        let severity = severity(syndrome);
        match (severity, running) {
            (Severity::Corrected, _) => return running,
            (Severity::Uncontained, _) => {
                self.arch
                    .fatal("an error of the memory system is not contained");
            }
            (Severity::Stopped, None) => {
                self.arch
                    .fatal("the kernel cannot go on after an error of the memory system");
            }
            _ => {}
        }
        let stopped = severity == Severity::Stopped;
        match running {
            Some(index) if stopped || self.task(index).has_devices() => {
                self.die_of(index, FaultKind::BusError, 0, syndrome);
                self.carry_out(index, NextTask::Best)
            }
            _ => {
                self.unclaimed.count = self.unclaimed.count.saturating_add(1);
                self.unclaimed.syndrome = syndrome;
                self.tell_unclaimed();
                self.after_interrupt(running)
            }
        }
    }

    /// Tells the supervisor of errors that no task was charged with, if there were any.
    pub(crate) fn tell_unclaimed(&mut self) {
        if self.unclaimed.count != 0 {
            self.notify(TaskIndex::SUPERVISOR, u64::from(notification::FAULT));
        }
    }

    /// `SystemErrors`.
    pub(crate) fn system_errors(&mut self, caller: TaskIndex) -> Outcome {
        let Unclaimed { count, syndrome } = self.unclaimed;
        self.finish(caller, Code::OK);
        let x = &mut self.task_mut(caller).frame.x;
        (x[1], x[2]) = (count, syndrome);
        Ok(NextTask::Same)
    }
}
