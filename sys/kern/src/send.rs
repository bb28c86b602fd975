//! Sending: a message goes to a waiting receiver at once, or its sender is queued.

use abi::{
    Code, FaultKind, LEASES_MAX, MESSAGE_MAX, REGISTER_BYTES, SendDescriptor, TaskId, WIDE_BYTES,
};

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, violation};
use crate::task_set::TaskIndex;

/// Whether nothing is wrong with a send's descriptor by itself.
pub(crate) const fn is_well_formed(descriptor: SendDescriptor) -> bool {
    let most = if descriptor.is_wide() {
        WIDE_BYTES
    } else {
        MESSAGE_MAX
    };
    descriptor.0 & SendDescriptor::RESERVED == 0
        && descriptor.len() <= most
        && descriptor.reply_capacity() <= most
        && descriptor.leases() <= LEASES_MAX
}

impl<A: Arch> Kernel<'_, A> {
    /// `Send`: `x8` target, `x9` descriptor, further registers as in [`abi::Syscall::Send`].
    ///
    /// All that the caller claims is checked before anything happens, so that later steps (delivery,
    /// the reply, a borrow) cannot fail because of it.
    pub(crate) fn send(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let target_id = TaskId(x[8]);
        let descriptor = SendDescriptor(x[9]);
        if !is_well_formed(descriptor) {
            return Err(violation(FaultKind::SyscallUsage, descriptor.0));
        }
        let target = self.id_argument(target_id)?;
        if !self.task(caller).send_to().contains(target) {
            return Err(violation(FaultKind::NoRight, target_id.0));
        }
        self.task_mut(caller).check_send(descriptor)?;
        if let Some(code) = self.not_up(target_id, target) {
            self.finish_call(caller, code);
            return Ok(NextTask::Same);
        }

        let sender_id = self.task(caller).id();
        if self.task(target).receives_from(sender_id) {
            self.deliver(caller, target);
            // It has a higher priority than the caller, and so than all that are ready. Of its own priority there may be
            // spent ones.
            self.task_mut(target).take_over();
            if self.accounts.any_exhausted() {
                let ticket = self.take_ticket();
                self.task_mut(target).come_last(ticket);
            }
            Ok(NextTask::Direct(target))
        } else {
            let ticket = self.take_ticket();
            self.task_mut(caller).queue_at(target_id, ticket);
            self.task_mut(target).add_sender(caller);
            Ok(NextTask::Best)
        }
    }

    /// Hands the message of `sender` to `receiver`, whose receive it matches, and leaves the sender
    /// waiting for the reply. The receiver's state is the caller's business.
    pub(crate) fn deliver(&mut self, sender: TaskIndex, receiver: TaskIndex) {
        let server = self.task(receiver).id();
        let account = self.account_of_calls(sender);
        let from = self.task_mut(sender);
        from.await_reply(server);
        let message = from.message();

        let to = self.task_mut(receiver);
        to.work_on(account);
        to.frame.set_payload(message.payload);
        let x = &mut to.frame.x;
        x[8] = message.sender.0;
        x[9] = message.descriptor.0;
        x[10] = 0;
        (x[12], x[13]) = (message.leases[0], message.leases[1]);
        let (destination, capacity) = to.buffer();
        let len = (message.descriptor.len() as u64).min(capacity);
        if message.descriptor.is_wide() {
            self.deliver_wide(sender, receiver, destination, len);
        } else if message.descriptor.len() > REGISTER_BYTES && len > 0 {
            self.arch.copy(destination, message.physical, len);
        }
    }

    /// The second half of a wide message; to a receiver that does not take it in registers all comes as any other message of its
    /// length.
    #[inline(never)]
    fn deliver_wide(&mut self, sender: TaskIndex, receiver: TaskIndex, destination: u64, len: u64) {
        let rest = self.task(sender).frame.rest();
        let to = self.task_mut(receiver);
        if to.takes_wide() {
            to.frame.set_rest(rest);
            return;
        }
        let descriptor = SendDescriptor(to.frame.x[9]).narrow();
        to.frame.x[9] = descriptor.0;
        if descriptor.len() > REGISTER_BYTES {
            self.store_wide(sender, destination, len);
        }
    }

    /// Stores the first `len` bytes of the payload that a task has in registers.
    #[inline(never)]
    pub(crate) fn store_wide(&mut self, from: TaskIndex, to: u64, len: u64) {
        const HALF: u64 = REGISTER_BYTES as u64;
        let (first, rest) = self.tasks[from.number()].frame.halves();
        self.arch.store(to, first, len.min(HALF));
        let to = to.wrapping_add(HALF);
        self.arch.store(to, rest, len.saturating_sub(HALF));
    }

    /// Ends a call of `sender` with a code of the kernel's and no reply.
    pub(crate) fn finish_call(&mut self, sender: TaskIndex, code: Code) {
        let x = &mut self.task_mut(sender).frame.x;
        x[8] = u64::from(code.0);
        x[9] = 0;
    }
}
