//! Replying, alone and together with the next receive.

use abi::{Code, FaultKind, MESSAGE_MAX, REGISTER_BYTES, ReplyDescriptor, TaskId, WIDE_BYTES};
use plan::kernel::RegionAttributes;

use crate::claim::Claim;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::receive::ReceiveArguments;
use crate::task_set::TaskIndex;

/// Whether nothing is wrong with a reply's descriptor by itself.
pub(crate) const fn is_well_formed(descriptor: ReplyDescriptor) -> bool {
    let most = if descriptor.is_wide() {
        WIDE_BYTES
    } else {
        MESSAGE_MAX
    };
    descriptor.0 & ReplyDescriptor::RESERVED == 0
        && descriptor.len() <= most
        && descriptor.code() <= Code::SERVER_LAST
}

impl<A: Arch> Kernel<'_, A> {
    /// `Reply`: `x8` caller, `x9` descriptor, `x10` address of a long reply.
    pub(crate) fn reply(&mut self, server: TaskIndex) -> Outcome {
        let caller = self.answer(server)?;
        self.task_mut(server).work_for_itself();
        Ok(match caller {
            Some(caller) => self.preempt_for(caller, server),
            None => NextTask::Same,
        })
    }

    /// `ReplyReceive`: as `Reply`, then `x11` mask, `x12` filter, `x13` buffer, `x14` capacity.
    ///
    /// The receive's arguments are checked first: a server that dies of them has not replied, so its
    /// caller gets `DEAD` and not an answer that looks complete.
    pub(crate) fn reply_receive(&mut self, server: TaskIndex) -> Outcome {
        let x = &self.task(server).frame.x;
        let arguments = ReceiveArguments {
            mask: x[11],
            filter: TaskId(x[12]),
            address: x[13],
            capacity: x[14],
        };
        self.check_receive(server, arguments)?;
        self.answer_and_receive(server, arguments)
    }

    /// `ReplyAgain`: as `Reply`, then the receive as the last one, from anybody. That one was checked.
    pub(crate) fn reply_again(&mut self, server: TaskIndex) -> Outcome {
        let [mask, address, capacity] = self.task(server).last_receive();
        let arguments = ReceiveArguments {
            mask,
            filter: TaskId::ANY,
            address,
            capacity,
        };
        self.answer_and_receive(server, arguments)
    }

    #[inline(never)]
    fn answer_and_receive(&mut self, server: TaskIndex, arguments: ReceiveArguments) -> Outcome {
        let caller = self.answer(server)?;
        match self.wait_for_message(server, arguments) {
            // The server has its next message already.
            NextTask::Same => Ok(match caller {
                Some(caller) => self.preempt_for(caller, server),
                None => NextTask::Same,
            }),
            other => Ok(other),
        }
    }

    /// Gives the reply to its caller and makes that ready. `None` if nobody waits for it.
    fn answer(&mut self, server: TaskIndex) -> Result<Option<TaskIndex>, Violation> {
        let task = self.task_mut(server);
        let x = &task.frame.x;
        let payload = task.frame.payload();
        let address = x[10];
        let caller_id = TaskId(x[8]);
        let descriptor = ReplyDescriptor(x[9]);
        let len = descriptor.len();
        if !is_well_formed(descriptor) {
            return Err(violation(FaultKind::SyscallUsage, descriptor.0));
        }
        let mut source = 0;
        if len > REGISTER_BYTES && !descriptor.is_wide() {
            source = task
                .check(Claim::new(address, len as u64), RegionAttributes::READ)
                .ok_or(violation(FaultKind::BadSlice, address))?
                .physical;
        }
        let server_id = task.id();
        let caller = self.id_argument(caller_id)?;

        let waiting = self.task_mut(caller);
        if waiting.id() != caller_id || !waiting.awaits_reply_of(server_id) {
            return Ok(None);
        }
        if len as u64 > waiting.reply_room(len) {
            return Err(violation(FaultKind::ReplyTooLong, descriptor.0));
        }
        waiting.frame.set_payload(payload);
        waiting.frame.x[8] = u64::from(descriptor.code());
        waiting.frame.x[9] = len as u64;
        let destination = waiting.reply_physical();
        if descriptor.is_wide() || waiting.awaits_wide() {
            self.answer_wide(server, caller, descriptor, source);
        } else if len > REGISTER_BYTES {
            self.arch.copy(destination, source, len as u64);
        }
        self.make_ready(caller);
        Ok(Some(caller))
    }

    /// Words 8 to 15 of a reply where one side has them in registers: the server that replies from them, or the client that
    /// awaits them there. What was not in registers before is in memory, and the other way round.
    #[inline(never)]
    fn answer_wide(
        &mut self,
        server: TaskIndex,
        caller: TaskIndex,
        descriptor: ReplyDescriptor,
        source: u64,
    ) {
        let len = descriptor.len() as u64;
        let beyond = len.saturating_sub(REGISTER_BYTES as u64);
        if !self.task(caller).awaits_wide() {
            if beyond > 0 {
                let destination = self.task(caller).reply_physical();
                self.store_wide(server, destination, len);
            }
            return;
        }
        let mut rest = [0; 8];
        if descriptor.is_wide() {
            rest = self.task(server).frame.rest();
        } else if beyond > 0 {
            let first = self.arch.load(source, REGISTER_BYTES as u64);
            self.task_mut(caller).frame.set_payload(first);
            let source = source.wrapping_add(REGISTER_BYTES as u64);
            rest = self.arch.load(source, beyond);
        }
        self.task_mut(caller).frame.set_rest(rest);
    }
}
