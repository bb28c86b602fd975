//! Calls of test images: faults at a chosen system call, and registers of the dead.

use abi::{Code, FaultKind};

use crate::kernel::{Kernel, Outcome, Violation, violation};
use crate::machine::Arch;
use crate::schedule::NextTask;
use crate::task_set::TaskIndex;

impl<A: Arch> Kernel<'_, A> {
    /// `ArmFault`: `x9` index, `x10` which system call from now, 0 to disarm. Refused for a task that
    /// is down; its next life starts disarmed.
    pub(crate) fn arm_fault(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (index, calls) = (self.index_argument(x[9])?, x[10]);
        let task = self.task_mut(index);
        let code = if task.is_up() {
            task.arm(calls);
            Code::OK
        } else {
            Code::REFUSED
        };
        self.finish(caller, code);
        Ok(NextTask::Same)
    }

    /// Counts a system call of a task with an armed fault.
    #[inline(always)]
    pub(crate) fn count_down(&mut self, caller: TaskIndex) -> Result<(), Violation> {
        let task = self.task_mut(caller);
        match task.armed {
            0 => Ok(()),
            1 => Err(violation(FaultKind::Injected, 0)),
            _ => {
                task.armed -= 1;
                Ok(())
            }
        }
    }

    /// `Registers`: `x9` index of a dead task, `x10` first register.
    pub(crate) fn read_registers(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (index, first) = (self.index_argument(x[9])?, x[10]);
        let task = self.task(index);
        if task.is_up() {
            self.finish(caller, Code::REFUSED);
            return Ok(NextTask::Same);
        }
        let frame = task.frame;
        let skip = usize::try_from(first).unwrap_or(usize::MAX);
        let all = frame
            .x
            .into_iter()
            .chain([frame.sp, frame.pc, frame.pstate]);
        let beyond = core::iter::repeat(0);
        let x = &mut self.task_mut(caller).frame.x;
        x[0] = u64::from(Code::OK.0);
        for (register, word) in x
            .iter_mut()
            .skip(1)
            .take(7)
            .zip(all.skip(skip).chain(beyond))
        {
            *register = word;
        }
        Ok(NextTask::Same)
    }
}
