//! Death: everything that waits for the dead learns it at once.

use abi::{Code, Fault, FaultKind, TaskId};
use plan::kernel::LifeEvent;

use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome};
use crate::task::Frame;
use crate::task_set::{TaskIndex, TaskSet};

impl<A: Arch> Kernel<'_, A> {
    /// Ends the current life of a task, which runs or was taken out of where it waited ([`Self::withdraw`]). The generation advances now, not at the restart, so that no
    /// id of this life is good for anything from here on. Registers stay for the examiner.
    ///
    /// The supervisor cannot be helped by anybody: its death ends the run.
    pub(crate) fn die(&mut self, index: TaskIndex, fault: &Fault) {
        let over = self.end_life(index, fault);
        if index == TaskIndex::SUPERVISOR {
            self.arch.fatal("the supervisor died");
        }
        self.release_peers(index, over);
        self.report_death(index, fault.kind);
    }

    fn end_life(&mut self, index: TaskIndex, fault: &Fault) -> TaskId {
        let task = self.task_mut(index);
        let over = task.go_down(fault);
        let interrupts = task.has_interrupts();
        self.timers.remove(index);
        if interrupts {
            self.silence(index);
        }
        over
    }

    /// A task that does not run will not go on: nobody finds it among those who are ready, or who wait for a server.
    pub(crate) fn withdraw(&mut self, index: TaskIndex) {
        self.dequeue(index);
        if let Some(server) = self.task(index).queued_at() {
            self.task_mut(TaskIndex::of(server)).remove_sender(index);
        }
    }

    /// Everybody who waits for the life that is over gets `DEAD`.
    fn release_peers(&mut self, index: TaskIndex, over: TaskId) {
        // Nobody else can have it as a partner.
        let peers = TaskSet(self.task(index).callers().0 | self.closed.0);
        for peer in peers {
            let task = self.task(peer);
            if task.calls(over) {
                self.finish_call(peer, Code::DEAD);
            } else if task.receives_only_from(over) {
                self.deliver_notification(peer, 0, Code::DEAD);
            } else {
                continue;
            }
            self.make_ready(peer);
        }
    }

    /// A held task's death is the authority's business first: a device may still reach its memory.
    /// What the supervisor stopped itself, and may restart at once, is no news to it.
    fn report_death(&mut self, index: TaskIndex, kind: FaultKind) {
        self.tell(index, LifeEvent::Down);
        if self.task(index).is_held() {
            self.tell(index, LifeEvent::HeldDeath);
        } else if kind != FaultKind::Stopped {
            self.tell(index, LifeEvent::Fault);
        }
    }

    /// `Panic`: `x8` and `x9` say where the text is; nobody reads it before the supervisor asks.
    pub(crate) fn panic(&mut self, caller: TaskIndex) -> Outcome {
        let frame = &self.task(caller).frame;
        let fault = Fault {
            kind: FaultKind::Panic,
            syscall: abi::Syscall::Panic as u16,
            address: frame.x[8],
            pc: frame.pc,
            sp: frame.sp,
            detail: frame.x[9],
        };
        self.die(caller, &fault);
        Ok(NextTask::Best)
    }

    /// Registers of a new life.
    pub(crate) fn fresh_frame(&self, index: TaskIndex) -> Frame {
        let mut frame = Frame::CLEAR;
        if let Some(entry) = self.entry(index) {
            frame.pc = entry.entry;
            frame.sp = entry.stack_top;
        }
        frame
    }
}
