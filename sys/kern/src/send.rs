//! Sending: a message goes to a waiting receiver at once, or its sender is queued.

use abi::{
    Code, FaultKind, LEASES_MAX, Lease, MESSAGE_MAX, REGISTER_BYTES, SendDescriptor, TaskId,
};
use plan::kernel::RegionAttributes;

use crate::claim::Claim;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::task::{HeldLease, State, Task};
use crate::task_set::TaskIndex;

/// Whether nothing is wrong with a send's descriptor by itself.
pub(crate) const fn is_well_formed(descriptor: SendDescriptor) -> bool {
    descriptor.0 & SendDescriptor::RESERVED == 0
        && descriptor.len() <= MESSAGE_MAX
        && descriptor.reply_capacity() <= MESSAGE_MAX
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
        if !self.task(caller).send_to.contains(target) {
            return Err(violation(FaultKind::NoRight, target_id.0));
        }
        self.check_slices(caller, descriptor)?;
        if let Some(code) = self.not_up(target_id, target) {
            self.finish_call(caller, code);
            return Ok(NextTask::Same);
        }

        let sender = self.task_mut(caller);
        sender.partner = target_id;
        let sender_id = sender.id;
        let receiver = self.task(target);
        let waits = match receiver.state {
            State::Receiving => true,
            State::ReceivingFrom => receiver.partner == sender_id,
            _ => false,
        };
        if waits {
            self.deliver(caller, target);
            // It has a higher priority than the caller, and so than all that are ready.
            self.task_mut(target).state = State::Runnable;
            self.task_mut(target).used = 0;
            Ok(NextTask::Direct(target))
        } else {
            let ticket = self.take_ticket();
            let sender = self.task_mut(caller);
            sender.state = State::Sending;
            sender.ticket = ticket;
            self.task_mut(target).senders.insert(caller);
            Ok(NextTask::Best)
        }
    }

    /// Checks message, reply buffer and leases, and keeps where they are.
    fn check_slices(
        &mut self,
        caller: TaskIndex,
        descriptor: SendDescriptor,
    ) -> Result<(), Violation> {
        let task = self.task_mut(caller);
        let bad = |address| violation(FaultKind::BadSlice, address);
        let capacity = descriptor.reply_capacity();
        task.descriptor = descriptor.0;
        task.reply_capacity = capacity as u64;
        task.reply_limit = capacity.min(REGISTER_BYTES) as u64;
        task.lease_count = descriptor.leases() as u64;
        // What another call left must never be taken for this one's.
        (task.message_physical, task.reply_physical) = (0, 0);
        if descriptor.len() > REGISTER_BYTES {
            let address = task.frame.x[10];
            let message = Claim::new(address, descriptor.len() as u64);
            let checked = task.check(message, RegionAttributes::READ);
            task.message_physical = checked.ok_or(bad(address))?.physical;
        }
        if capacity > REGISTER_BYTES {
            let address = task.frame.x[11];
            let reply = Claim::new(address, capacity as u64);
            let checked = task.check(reply, RegionAttributes::WRITE);
            task.reply_physical = checked.ok_or(bad(address))?.physical;
        }
        if descriptor.leases() > 0 {
            let (address, lease) = (task.frame.x[12], Lease(task.frame.x[13]));
            task.leases[0] = check_lease(task, address, lease)?;
        }
        if descriptor.leases() > 1 {
            let (address, lease) = (task.frame.x[14], Lease(task.frame.x[15]));
            task.leases[1] = check_lease(task, address, lease)?;
        }
        Ok(())
    }

    /// Hands the message of `sender` to `receiver`, whose receive it matches, and leaves the sender
    /// waiting for the reply. The receiver's state is the caller's business.
    pub(crate) fn deliver(&mut self, sender: TaskIndex, receiver: TaskIndex) {
        let server = self.task(receiver).id;
        let from = self.task_mut(sender);
        from.state = State::AwaitingReply;
        from.partner = server;
        let payload = from.frame.payload();
        let descriptor = SendDescriptor(from.descriptor);
        let count = from.lease_count;
        let first = if count > 0 {
            from.leases[0].descriptor
        } else {
            0
        };
        let second = if count > 1 {
            from.leases[1].descriptor
        } else {
            0
        };
        let (id, source) = (from.id, from.message_physical);

        let to = self.task_mut(receiver);
        to.frame.set_payload(payload);
        let x = &mut to.frame.x;
        x[8] = id.0;
        x[9] = descriptor.0;
        x[10] = 0;
        x[12] = first;
        x[13] = second;
        let len = (descriptor.len() as u64).min(to.receive_capacity);
        if descriptor.len() > REGISTER_BYTES && len > 0 {
            let destination = to.receive_physical;
            self.arch.copy(destination, source, len);
        }
    }

    /// Ends a call of `sender` with a code of the kernel's and no reply.
    pub(crate) fn finish_call(&mut self, sender: TaskIndex, code: Code) {
        let x = &mut self.task_mut(sender).frame.x;
        x[8] = u64::from(code.0);
        x[9] = 0;
    }
}

fn check_lease(task: &mut Task<'_>, address: u64, lease: Lease) -> Result<HeldLease, Violation> {
    if lease.0 & Lease::RESERVED != 0 {
        return Err(violation(FaultKind::SyscallUsage, lease.0));
    }
    // The bits of a lease's attributes and of a region's are the same two.
    let access = RegionAttributes::from_bits_truncate(lease.attributes().bits());
    let checked = task
        .check(Claim::new(address, lease.len()), access)
        .ok_or(violation(FaultKind::BadSlice, address))?;
    Ok(HeldLease {
        address,
        physical: checked.physical,
        descriptor: lease.0,
        region: u64::from(checked.attributes.bits()),
    })
}

const _: () = assert!(
    abi::LeaseAttributes::READ.bits() == RegionAttributes::READ.bits()
        && abi::LeaseAttributes::WRITE.bits() == RegionAttributes::WRITE.bits()
);
