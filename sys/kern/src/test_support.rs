//! Calls of test images: faults at a chosen system call, and registers of the dead.

use abi::Code;

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation};
use crate::task_set::TaskIndex;

/// Behind the registers of a task: the ticks that its own account has left.
const TICKS_LEFT: u64 = 34;
/// Up to when all time was taken from accounts; the same of every task.
const CHARGED_UNTIL: u64 = 35;

impl<A: Arch> Kernel<'_, A> {
    /// `ArmFault`: `x9` index, `x10` which system call from now, 0 to disarm. Refused for a task that
    /// is down; its next life starts disarmed.
    pub(crate) fn arm_fault(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (index, calls) = (self.number_argument(x[9])?, x[10]);
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
        self.task_mut(caller).count_call()
    }

    /// `Registers`: `x9` index of a dead task, `x10` first register.
    pub(crate) fn read_registers(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (index, first) = (self.number_argument(x[9])?, x[10]);
        let task = self.task(index);
        if task.is_up() {
            self.finish(caller, Code::REFUSED);
            return Ok(NextTask::Same);
        }
        self.finish(caller, Code::OK);
        for offset in 0..7 {
            let task = self.task(index);
            let word = match first.saturating_add(offset) {
                TICKS_LEFT => self.accounts.left_of(task.own_account()) as u64,
                CHARGED_UNTIL => self.accounts.paid_until,
                number => task.frame.word(number),
            };
            let x = &mut self.task_mut(caller).frame.x;
            if let Some(register) = x.get_mut(offset as usize + 1) {
                *register = word;
            }
        }
        Ok(NextTask::Same)
    }
}
