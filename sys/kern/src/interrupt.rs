//! Interrupts: delivered as notification bits, held back from then on until the task unmasks them.

use abi::{Fault, FaultKind, notification};

use crate::accounts::AccountIndex;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::message::is_message;
use crate::outcome::{NextTask, Outcome, violation};
use crate::signal::Signal;
use crate::task_set::TaskIndex;

/// First bit of the notification word that interrupts use.
pub(crate) const FIRST_BIT: u32 = notification::INTERRUPTS.trailing_zeros();

impl<A: Arch> Kernel<'_, A> {
    /// An interrupt of a device arrived, at the time `since`. `running` is `None` if all tasks wait. Returns who runs next.
    /// The task whose interrupt it is pays for its handling.
    pub fn interrupt(
        &mut self,
        running: Option<TaskIndex>,
        intid: u32,
        since: u64,
    ) -> Option<TaskIndex> {
        let Some((task, route)) = self.routes.find(intid) else {
            // Never enabled; hold it back so that it cannot storm.
            self.arch.set_interrupt(intid, false);
            return self.after_interrupt(running);
        };
        if route.signal.is_message() {
            return self.message_arrived(running, task, intid, since);
        }
        let bit = 1u64 << (route.bit & 31);
        let edge = route.signal == Signal::EDGE;
        let unmasked = core::mem::take(&mut route.unmasked);
        self.arch.set_interrupt(intid, false);
        if !unmasked {
            // It was signalled before holding it back took effect. A level is still up when the task
            // lets it through; an edge was used up by taking it.
            if edge {
                self.arch.repeat_interrupt(intid);
            }
            return self.after_interrupt(running);
        }
        let own = self.task(task).own_account();
        self.accounts.settle(since);
        self.accounts.pay_from(own, AccountIndex::FREE);
        let woken = self.notify(task, bit);
        let next = match running {
            Some(running) if woken => {
                let next = self.preempt_for(task, running);
                self.carry_out(running, next)
            }
            Some(running) => Some(running),
            None => self.choose(),
        };
        self.pay_anew(next);
        next
    }

    /// The timer interrupt arrived.
    pub fn timer_interrupt(&mut self, running: Option<TaskIndex>) -> Option<TaskIndex> {
        if self.budgets_due(running) {
            // The rest at once, in an interrupt of its own, or this one would be too long.
            self.timer_at = 0;
            self.arch.set_timer(0);
        } else {
            self.timer_expired();
        }
        if let Some(index) = running
            && self.overran(index)
        {
            let frame = &self.task(index).frame;
            let fault = Fault {
                kind: FaultKind::MaxRun,
                syscall: 0xffff,
                address: 0,
                pc: frame.pc,
                sp: frame.sp,
                detail: 0,
            };
            self.die(index, &fault);
            let next = self.carry_out(index, NextTask::Best);
            self.pay_anew(next);
            return next;
        }
        let next = self.after_interrupt(running);
        if let (Some(index), true) = (next, next == running) {
            // The timer no longer covers what is left of its run.
            self.suspend_run(index);
            self.resume_run(index);
        }
        self.pay_anew(next);
        next
    }

    pub(crate) fn after_interrupt(&mut self, running: Option<TaskIndex>) -> Option<TaskIndex> {
        match running {
            Some(index) if self.before(index).is_empty() => {
                self.pay_for(index);
                Some(index)
            }
            Some(index) => self.carry_out(index, NextTask::Best),
            None => self.choose(),
        }
    }

    /// `Interrupt`: `x8` bits, `x9` 1 to let their interrupts through, 0 to hold them back.
    pub(crate) fn control_interrupts(&mut self, caller: TaskIndex) -> Outcome {
        let task = self.task(caller);
        let (bits, enable, interrupts) = (task.frame.x[8], task.frame.x[9], *task.interrupts());
        if enable > 1 {
            return Err(violation(FaultKind::SyscallUsage, enable));
        }
        if bits & !own_bits(&interrupts) != 0 {
            return Err(violation(FaultKind::NoRight, bits));
        }
        let enable = enable == 1;
        let mut unmasked = 0;
        let mut messages = false;
        for (bit, intid) in numbered(&interrupts).filter(|(bit, _)| bits & bit != 0) {
            let arrives = if is_message(intid) {
                messages = true;
                self.control_message(caller, intid, enable)
            } else {
                self.control_line(intid, enable)
            };
            unmasked |= if arrives { bit } else { 0 };
        }
        self.task_mut(caller).frame.set_result(unmasked);
        if messages {
            // The owner of the interrupt translation service may have something to do.
            return Ok(self.preempt_for_ready(caller));
        }
        Ok(NextTask::Same)
    }

    fn control_line(&mut self, intid: u32, enable: bool) -> bool {
        if let Some((_, route)) = self.routes.find(intid) {
            route.unmasked = enable;
            self.arch.set_interrupt(intid, enable);
        }
        enable
    }

    /// Holds back all interrupts of a task. Apart, since few of those that die have any.
    #[inline(never)]
    pub(crate) fn silence(&mut self, index: TaskIndex) {
        let interrupts = *self.task(index).interrupts();
        for (_, intid) in numbered(&interrupts) {
            if is_message(intid) {
                self.silence_message(intid);
            } else {
                self.control_line(intid, false);
            }
        }
    }
}

/// The value of `GICD_IROUTER<n>` that routes a shared interrupt to the core with this `MPIDR_EL1` (Arm IHI
/// 0069, 12.9.22): its affinities alone. Bit 31 is 1 in `MPIDR_EL1`, and there means "any core".
pub const fn affinity(mpidr: u64) -> u64 {
    const AFFINITIES: u64 = 0xff_00ff_ffff;
    mpidr & AFFINITIES
}

/// The notification bit and INTID of each interrupt of a task.
fn numbered(interrupts: &[u16; 12]) -> impl Iterator<Item = (u64, u32)> + '_ {
    interrupts
        .iter()
        .zip(FIRST_BIT..)
        .filter(|(intid, _)| **intid != 0)
        .map(|(intid, bit)| (1u64 << (bit & 31), u32::from(*intid)))
}

fn own_bits(interrupts: &[u16; 12]) -> u64 {
    numbered(interrupts).fold(0, |bits, (bit, _)| bits | bit)
}
