//! Holds: memory of a task may be reached by a device, so the task must not come back before the
//! authority has made the device quiet.

use abi::{Code, FaultKind, TaskId};
use plan::kernel::LifeEvent;

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::task_set::TaskIndex;

impl<A: Arch> Kernel<'_, A> {
    /// `Hold`: `x9` task id, `x10` device index.
    pub(crate) fn hold(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (id, device) = (TaskId(x[9]), device_argument(x[10])?);
        let task = self.id_argument(id)?;
        let number = u32::from(id.number());
        let code = match self.not_up(id, task) {
            Some(code) => code,
            None if self.holds.find(number, device).is_some() => Code::OK,
            None if self.holds.add(number, device) => {
                self.add_hold(task);
                Code::OK
            }
            None => Code::EXHAUSTED,
        };
        self.task_mut(caller).frame.set_result(u64::from(code.0));
        Ok(NextTask::Same)
    }

    /// `Lift`: `x9` task's number, `x10` device index.
    pub(crate) fn lift(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let device = device_argument(x[10])?;
        let number = x[9];
        let task = self.number_argument(number)?;
        let found = self.holds.find(number as u32, device);
        let code = match found {
            None => Code::REFUSED,
            Some(_) => Code::OK,
        };
        self.task_mut(caller).frame.set_result(u64::from(code.0));
        let Some(slot) = found else {
            return Ok(NextTask::Same);
        };
        self.holds.remove(slot);
        Ok(self.drop_hold(task, caller))
    }

    pub(crate) fn add_hold(&mut self, held: TaskIndex) {
        self.task_mut(held).add_hold();
    }

    /// One hold or pin less. After the last one of a dead task it can be started again.
    pub(crate) fn drop_hold(&mut self, held: TaskIndex, caller: TaskIndex) -> NextTask {
        let task = self.task_mut(held);
        task.drop_hold();
        if !task.is_held() && !task.is_up() {
            self.tell(held, LifeEvent::Fault);
            return self.preempt_for_ready(caller);
        }
        NextTask::Same
    }
}

/// A device index as an argument.
pub(crate) fn device_argument(value: u64) -> Result<u32, Violation> {
    u32::try_from(value).map_err(|_| violation(FaultKind::SyscallUsage, value))
}
