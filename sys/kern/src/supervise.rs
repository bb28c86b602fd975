//! The supervisor's calls, and the console.

use abi::privileged::TaskState;
use abi::{Code, Fault, FaultKind, MESSAGE_MAX};
use plan::kernel::RegionAttributes;

use crate::claim::Claim;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, Violation, violation};
use crate::task::State;
use crate::task_set::TaskIndex;

/// Most bytes that one call writes to the console, each some accesses to a slow device: as many as a UART's buffer
/// has room for.
const CONSOLE_MAX: u64 = 32;

impl<A: Arch> Kernel<'_, A> {
    /// `Status`: `x9` index.
    pub(crate) fn status(&mut self, caller: TaskIndex) -> Outcome {
        let index = self.number_argument(self.task(caller).frame.x[9])?;
        let task = self.task(index);
        let state = match task.state() {
            State::Runnable => TaskState::Ready,
            State::Down if task.is_held() => TaskState::DeadHeld,
            State::Down if task.is_retired() => TaskState::Retired,
            State::Down => TaskState::Dead,
            _ => TaskState::Blocked,
        };
        let (id, words) = (task.id(), task.fault().words());
        let x = &mut self.task_mut(caller).frame.x;
        x[0] = u64::from(Code::OK.0);
        x[1] = id.0;
        x[2] = state as u64;
        for (register, word) in x.iter_mut().skip(3).zip(words) {
            *register = word;
        }
        Ok(NextTask::Same)
    }

    /// `Restart`: `x9` index.
    pub(crate) fn restart(&mut self, caller: TaskIndex) -> Outcome {
        let index = self.number_argument(self.task(caller).frame.x[9])?;
        let task = self.task(index);
        let refused = task.is_up() || task.is_held() || task.is_retired();
        let code = if refused { Code::REFUSED } else { Code::OK };
        self.finish(caller, code);
        if refused {
            return Ok(NextTask::Same);
        }
        self.start(index);
        Ok(self.preempt_for_ready(caller))
    }

    /// `Stop`: `x9` index, `x10` 1 for good.
    pub(crate) fn stop(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (argument, for_good) = (x[9], x[10]);
        let index = self.number_argument(argument)?;
        if for_good > 1 {
            return Err(violation(FaultKind::SyscallUsage, for_good));
        }
        if index == caller || index == TaskIndex::SUPERVISOR {
            self.finish(caller, Code::REFUSED);
            return Ok(NextTask::Same);
        }
        self.finish(caller, Code::OK);
        if for_good == 1 {
            self.retire(index);
        }
        let task = self.task_mut(index);
        if task.is_up() {
            if task.state() != State::Runnable {
                // It gave them away with the call that it waits in; what is here may be of any entry before.
                task.frame.x = [0; 31];
            }
            let fault = Fault {
                kind: FaultKind::Stopped,
                syscall: 0xffff,
                address: 0,
                pc: task.frame.pc,
                sp: task.frame.sp,
                detail: 0,
            };
            self.withdraw(index);
            self.die(index, &fault);
        }
        Ok(self.preempt_for_ready(caller))
    }

    /// `ReadMemory`: `x9` index of a dead task, `x10` address there, `x11` local address, `x12` bytes.
    ///
    /// The address there usually comes from the dead task itself (where its panic text is), so a
    /// wrong one is a refusal and must not cost the supervisor its life.
    pub(crate) fn read_memory(&mut self, caller: TaskIndex) -> Outcome {
        let task = self.task(caller);
        let x = &task.frame.x;
        let (index, address, local, len) = (self.number_argument(x[9])?, x[10], x[11], x[12]);
        let local = self.own_slice(caller, local, len, RegionAttributes::WRITE)?;
        let source = if self.task(index).is_up() {
            None
        } else {
            self.task_mut(index)
                .check(Claim::new(address, len), RegionAttributes::READ)
        };
        match source {
            Some(source) => {
                self.arch.copy(local, source.physical, len);
                self.finish(caller, Code::OK);
            }
            None => self.finish(caller, Code::REFUSED),
        }
        Ok(NextTask::Same)
    }

    /// `Console`: `x9` address, `x10` bytes.
    pub(crate) fn write_console(&mut self, caller: TaskIndex) -> Outcome {
        let x = &self.task(caller).frame.x;
        let (address, len) = (x[9], x[10]);
        let physical = self.own_slice(caller, address, len, RegionAttributes::READ)?;
        let written = self.arch.console(physical, len.min(CONSOLE_MAX));
        self.finish(caller, Code::OK);
        self.task_mut(caller).frame.x[1] = written;
        Ok(NextTask::Same)
    }

    /// `Exit`: `x9` verdict.
    pub(crate) fn end_run(&mut self, caller: TaskIndex) -> Outcome {
        let verdict = self.task(caller).frame.x[9];
        self.arch.exit(verdict);
        self.finish(caller, Code::REFUSED);
        Ok(NextTask::Same)
    }

    fn own_slice(
        &mut self,
        caller: TaskIndex,
        address: u64,
        len: u64,
        access: RegionAttributes,
    ) -> Result<u64, Violation> {
        if len > MESSAGE_MAX as u64 {
            return Err(violation(FaultKind::SyscallUsage, len));
        }
        self.task_mut(caller)
            .check(Claim::new(address, len), access)
            .map(|checked| checked.physical)
            .ok_or(violation(FaultKind::BadSlice, address))
    }

    /// Stores the code of a call that carries no payload.
    pub(crate) fn finish(&mut self, caller: TaskIndex, code: Code) {
        self.task_mut(caller).frame.set_result(u64::from(code.0));
    }

    /// `Best` if anybody ready comes before the running task.
    pub(crate) fn preempt_for_ready(&self, running: TaskIndex) -> NextTask {
        if self.before(running).is_empty() {
            NextTask::Same
        } else {
            NextTask::Best
        }
    }
}
