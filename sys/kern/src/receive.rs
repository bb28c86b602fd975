//! Receiving: notifications first, then queued senders, else wait.

use abi::{Code, TaskId};

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation};
use crate::task_set::TaskIndex;

/// Arguments of a receive.
#[derive(Clone, Copy)]
pub(crate) struct ReceiveArguments {
    /// Only the lower 32 bits are a mask of notifications; no others are ever pending.
    pub mask: u64,
    pub filter: TaskId,
    pub address: u64,
    pub capacity: u64,
}

impl<A: Arch> Kernel<'_, A> {
    /// `Receive`: `x8` mask, `x9` filter, `x10` buffer, `x11` capacity.
    pub(crate) fn receive(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let arguments = ReceiveArguments {
            mask: x[8],
            filter: TaskId(x[9]),
            address: x[10],
            capacity: x[11],
        };
        self.check_receive(caller, arguments)?;
        Ok(self.wait_for_message(caller, arguments))
    }

    /// Checks everything that can be wrong in a receive, so that `ReplyReceive` can check before it
    /// replies.
    pub(crate) fn check_receive(
        &mut self,
        caller: TaskIndex,
        arguments: ReceiveArguments,
    ) -> Result<(), Violation> {
        if arguments.filter != TaskId::ANY {
            self.id_argument(arguments.filter)?;
        }
        self.task_mut(caller)
            .check_buffer(arguments.address, arguments.capacity)
    }

    /// The receive itself, with checked arguments.
    pub(crate) fn wait_for_message(
        &mut self,
        caller: TaskIndex,
        arguments: ReceiveArguments,
    ) -> NextTask {
        let mask = arguments.mask;
        let closed = arguments.filter != TaskId::ANY;
        let task = self.task_mut(caller);
        // A message that it takes brings the next account.
        task.work_for_itself();
        task.keep_mask(mask);
        let (taken, owed) = task.take_bits(mask);
        if taken != 0 {
            self.deliver_notification(caller, taken, Code::OK);
            if owed {
                self.restart_run(caller);
            }
            return NextTask::Same;
        }
        if !closed {
            let senders = self.task(caller).senders();
            if let Some(sender) = self.foremost(senders) {
                return self.take_message(sender, caller);
            }
            self.task_mut(caller).receive(mask);
            return NextTask::Best;
        }
        let sender = TaskIndex::of(arguments.filter);
        if self.not_up(arguments.filter, sender).is_some() {
            self.deliver_notification(caller, 0, Code::DEAD);
            self.restart_run(caller);
            return NextTask::Same;
        }
        if self.task(caller).senders().contains(sender) {
            return self.take_message(sender, caller);
        }
        self.closed.insert(caller);
        self.task_mut(caller).receive_from(arguments.filter, mask);
        NextTask::Best
    }

    /// Delivers the message of a queued sender to its receiver, which goes on.
    fn take_message(&mut self, sender: TaskIndex, receiver: TaskIndex) -> NextTask {
        self.task_mut(receiver).remove_sender(sender);
        self.deliver(sender, receiver);
        self.restart_run(receiver);
        NextTask::Same
    }

    /// Ends a receive with bits, or with the death of the only sender waited for.
    pub(crate) fn deliver_notification(&mut self, receiver: TaskIndex, bits: u64, code: Code) {
        let x = &mut self.task_mut(receiver).frame.x;
        x[8] = TaskId::KERNEL.0;
        x[9] = bits;
        x[10] = u64::from(code.0);
        x[12] = 0;
        x[13] = 0;
    }
}
