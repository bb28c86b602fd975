//! Receiving: notifications first, then queued senders, else wait.

use abi::{Code, FaultKind, MESSAGE_MAX, TaskId, notification};
use plan::kernel::RegionAttributes;

use crate::claim::Claim;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::task::State;
use crate::task_set::TaskIndex;

/// Arguments of a receive.
#[derive(Clone, Copy)]
pub(crate) struct ReceiveArguments {
    /// Only the lower 32 bits are a mask; the rest of the register is not looked at.
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
        let task = self.task_mut(caller);
        if (arguments.address, arguments.capacity) == (task.receive_address, task.receive_capacity)
        {
            return Ok(());
        }
        if arguments.capacity > MESSAGE_MAX as u64 {
            return Err(violation(FaultKind::SyscallUsage, arguments.capacity));
        }
        let buffer = Claim::new(arguments.address, arguments.capacity);
        let checked = task
            .check(buffer, RegionAttributes::WRITE)
            .ok_or(violation(FaultKind::BadSlice, arguments.address))?;
        task.receive_address = arguments.address;
        task.receive_capacity = arguments.capacity;
        task.receive_physical = checked.physical;
        Ok(())
    }

    /// The receive itself, with checked arguments.
    pub(crate) fn wait_for_message(
        &mut self,
        caller: TaskIndex,
        arguments: ReceiveArguments,
    ) -> NextTask {
        let mask = arguments.mask & u64::from(u32::MAX);
        let closed = arguments.filter != TaskId::ANY;
        let task = self.task_mut(caller);
        let pending = task.notifications & mask;
        if pending != 0 {
            task.notifications &= !pending;
            // A deadline is the task's own too.
            let own = task.own_bits | u64::from(notification::TIMER);
            task.own_bits &= !pending;
            self.deliver_notification(caller, pending, Code::OK);
            if pending & !own != 0 {
                self.restart_account(caller);
            }
            return NextTask::Same;
        }
        if !closed {
            let senders = task.senders;
            if let Some(sender) = self.foremost(senders) {
                return self.take_message(sender, caller);
            }
            let task = self.task_mut(caller);
            task.state = State::Receiving;
            task.mask = mask;
            return NextTask::Best;
        }
        let sender = TaskIndex::of(arguments.filter);
        if self.not_up(arguments.filter, sender).is_some() {
            self.deliver_notification(caller, 0, Code::DEAD);
            self.restart_account(caller);
            return NextTask::Same;
        }
        if self.task(caller).senders.contains(sender) {
            return self.take_message(sender, caller);
        }
        self.closed.insert(caller);
        let task = self.task_mut(caller);
        task.state = State::ReceivingFrom;
        task.partner = arguments.filter;
        task.mask = mask;
        NextTask::Best
    }

    /// Delivers the message of a queued sender to its receiver, which goes on.
    fn take_message(&mut self, sender: TaskIndex, receiver: TaskIndex) -> NextTask {
        self.task_mut(receiver).senders.remove(sender);
        self.deliver(sender, receiver);
        self.restart_account(receiver);
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
