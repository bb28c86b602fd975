//! Notifications: posted by tasks as far as the plan grants, and by the kernel.

use abi::{Code, FaultKind, TaskId};

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, violation};
use crate::task_set::TaskIndex;

impl<A: Arch> Kernel<'_, A> {
    /// `Post`: `x8` target, `x9` bits. The right is checked before the target's state, so that a task
    /// learns nothing about tasks it may not post.
    pub(crate) fn post(&mut self, caller: TaskIndex) -> Outcome {
        let task = self.task(caller);
        let (target_id, bits) = (TaskId(task.frame.x[8]), task.frame.x[9]);
        let target = self.id_argument(target_id)?;
        let granted = task
            .posts()
            .iter()
            .filter(|post| post.to as usize == target.number())
            .fold(0, |bits, post| bits | u64::from(post.bits));
        if bits & !granted != 0 {
            return Err(violation(FaultKind::NoRight, bits));
        }
        self.task_mut(caller).keep_grant(target_id.0, granted);
        let code = self.not_up(target_id, target).unwrap_or(Code::OK);
        self.task_mut(caller).frame.set_result(u64::from(code.0));
        if code != Code::OK {
            return Ok(NextTask::Same);
        }
        if target == caller {
            self.task_mut(caller).notify_itself(bits);
            return Ok(NextTask::Same);
        }
        if self.notify_for_another(target, bits) {
            return Ok(self.preempt_for(target, caller));
        }
        Ok(NextTask::Same)
    }

    /// Sets bits that another task posts: they are not the target's own any more. Of the bits that a task can set
    /// itself only these can come from others too, so what the kernel tells does not pay for this.
    pub(crate) fn notify_for_another(&mut self, target: TaskIndex, bits: u64) -> bool {
        self.task_mut(target).disown(bits);
        self.notify(target, bits)
    }

    /// Sets bits of a task. A task that is down does not get them. Returns whether that made the
    /// task ready.
    pub(crate) fn notify(&mut self, target: TaskIndex, bits: u64) -> bool {
        let wanted = self.task_mut(target).notify(bits);
        if wanted == 0 {
            return false;
        }
        self.deliver_notification(target, wanted, Code::OK);
        self.make_ready(target);
        true
    }
}
