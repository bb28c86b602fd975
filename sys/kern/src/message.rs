//! Message interrupts (LPIs), which nobody can hold back in the controller at once: a change of the configuration
//! table counts after a command to the interrupt translation service, and no kernel waits for that. So the mask is
//! here. What arrives while it is on is remembered, and counted: of a message that arrives too often the kernel
//! wants that it is cut off, by the task that owns the service, and lets none of them in before that is done.

use abi::{Code, FaultKind, notification};

use crate::accounts::AccountIndex;
use crate::kernel::Kernel;
use crate::machine::Arch;
use crate::outcome::{NextTask, Outcome, violation};
use crate::routes::FIRST_MESSAGE;
use crate::signal::{Opening, Wanted};
use crate::task_set::TaskIndex;

/// How often a message may arrive while its task does not let it through. A queue of this length may be completed with
/// one message each.
const LATE_MAX: u8 = 250;

impl<A: Arch> Kernel<'_, A> {
    /// A message of a task arrived, at the time `since`: the task pays for it. Returns who runs next.
    pub(crate) fn message_arrived(
        &mut self,
        running: Option<TaskIndex>,
        task: TaskIndex,
        intid: u32,
        since: u64,
    ) -> Option<TaskIndex> {
        let mut told = None;
        let mut storms = false;
        let is_over = !self.task(task).is_up();
        if let Some((route, late)) = self.routes.message(intid) {
            if core::mem::take(&mut route.unmasked) {
                told = Some((task, 1u64 << (route.bit & 31)));
            } else if *late < LATE_MAX {
                *late += 1;
                route.signal.remember();
            } else {
                route.signal.cut(is_over);
                storms = true;
            }
        }
        if storms {
            self.routes.note(intid);
            self.arch.hold_messages(true);
            told = self.translator.map(|task| (task, BIT));
        }
        let own = self.task(task).own_account();
        self.accounts.settle(since);
        self.accounts.pay_from(own, AccountIndex::FREE);
        let woken = told.filter(|(task, bits)| self.notify(*task, *bits));
        let next = match (running, woken) {
            (Some(running), Some((woken, _))) => {
                let next = self.preempt_for(woken, running);
                self.carry_out(running, next)
            }
            (Some(running), None) => Some(running),
            (None, _) => self.choose(),
        };
        self.pay_anew(next);
        next
    }

    /// Lets a message of the caller through, or not. Whether it arrives from now on.
    pub(crate) fn control_message(&mut self, caller: TaskIndex, intid: u32, enable: bool) -> bool {
        let Some((route, late)) = self.routes.message(intid) else {
            return false;
        };
        route.unmasked = false;
        if !enable {
            return false;
        }
        let bit = 1u64 << (route.bit & 31);
        let (arrives, tell) = match route.signal.open() {
            Opening::Cut => (false, None),
            Opening::Mending => {
                route.unmasked = true;
                (true, self.translator.map(|task| (task, BIT)))
            }
            Opening::Open if route.signal.recall() => (true, Some((caller, bit))),
            Opening::Open => {
                route.unmasked = true;
                (true, None)
            }
        };
        if arrives {
            *late = 0;
        }
        self.routes.note(intid);
        if let Some((task, bits)) = tell {
            self.notify(task, bits);
        }
        arrives
    }

    /// The life of the task that gets a message is over.
    pub(crate) fn silence_message(&mut self, intid: u32) {
        if let Some((route, late)) = self.routes.message(intid) {
            route.unmasked = false;
            route.signal.end_life();
            *late = 0;
        }
    }

    /// `NextMessage`: `x9` INTID of what is done, or 0.
    pub(crate) fn next_message(&mut self, caller: TaskIndex) -> Outcome {
        let done = self.task(caller).frame.x[9];
        let code = match u32::try_from(done) {
            Ok(0) => Code::OK,
            Ok(intid) => {
                let route = self.routes.message(intid);
                let done = route.is_some_and(|(route, _)| route.signal.done());
                self.routes.note(intid);
                match done {
                    true => Code::OK,
                    false => Code::REFUSED,
                }
            }
            Err(_) => return Err(violation(FaultKind::SyscallUsage, done)),
        };
        let wanted = self.routes.wanted();
        let cutting = matches!(wanted, Some((_, Wanted::Cut)));
        if !cutting {
            self.arch.hold_messages(false);
        }
        let next = wanted.map_or(0, |(intid, _)| u64::from(intid));
        let core = u64::from(self.message_core);
        let frame = &mut self.task_mut(caller).frame;
        frame.set_result(u64::from(code.0));
        frame.x[1] = next;
        frame.x[2] = u64::from(!cutting && next != 0);
        frame.x[3] = core;
        Ok(NextTask::Same)
    }
}

/// The bit of the task that owns the interrupt translation service.
const BIT: u64 = notification::MESSAGES as u64;

/// Whether an INTID is that of a message.
pub(crate) const fn is_message(intid: u32) -> bool {
    intid >= FIRST_MESSAGE
}
