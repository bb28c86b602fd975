//! Starting tasks, and what others may ask about their lives.

use abi::{Code, TaskId, notification};
use plan::kernel::TaskEntry;

use crate::kernel::{Kernel, Outcome};
use crate::machine::Arch;
use crate::schedule::NextTask;
use crate::task_set::{TaskIndex, TaskSet};

impl<'p, A: Arch> Kernel<'p, A> {
    /// The plan's record of a task.
    pub(crate) fn entry(&self, index: TaskIndex) -> Option<&'p TaskEntry> {
        self.tables.as_ref()?.tasks.get(index.number())
    }

    /// Lowest mapped address of a task's stack.
    pub(crate) fn stack_base(&self, index: TaskIndex) -> u64 {
        self.entry(index).map_or(0, |entry| entry.stack_base)
    }

    /// Starts a task that is down, not held and not stopped for good, from its entry.
    pub(crate) fn start(&mut self, index: TaskIndex) {
        let frame = self.fresh_frame(index);
        let task = self.task_mut(index);
        task.frame = frame;
        task.notifications = 0;
        task.receive_address = 0;
        task.receive_capacity = 0;
        task.receive_physical = 0;
        self.make_ready(index);
        let dependants = self.entry(index).map_or(0, |entry| entry.dependants);
        for dependant in TaskSet(dependants) {
            self.notify(dependant, u64::from(notification::PEER_UP));
        }
    }

    /// Why a message to this id cannot arrive, if it cannot.
    #[inline(always)]
    pub(crate) fn not_up(&self, id: TaskId, index: TaskIndex) -> Option<Code> {
        let task = self.task(index);
        if task.id != id {
            Some(Code::DEAD)
        } else if task.is_up() {
            None
        } else if task.retired {
            Some(Code::HELD)
        } else {
            Some(Code::DOWN)
        }
    }

    /// `Refresh`: `x8` index. Ids are no secret and no right; whoever sends still needs the right.
    pub(crate) fn refresh(&mut self, caller: TaskIndex) -> Outcome {
        let index = self.number_argument(self.task(caller).frame.x[8])?;
        let id = self.task(index).id;
        let code = self.not_up(id, index).unwrap_or(Code::OK);
        let x = &mut self.task_mut(caller).frame.x;
        x[0] = id.0;
        x[1] = u64::from(code.0);
        Ok(NextTask::Same)
    }
}
