//! What the fast path leaves to the core: calls of a task with a fault armed, and the ends of turns of a task with
//! device registers.

use abi::FaultKind;

use super::Task;
use crate::fast;
use crate::outcome::{Violation, violation};
use crate::task_set::TaskSet;

bitflags::bitflags! {
    /// Why the fast path cannot do for a task what it does for most.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Slow: u64 {
        /// A fault is armed: every call must pass the core, which counts.
        const ARMED = 1 << 0;
        /// It has device registers: its accesses must be complete before another task runs, so that an error
        /// of one is charged to it.
        const DEVICES = 1 << 1;
        /// The processor defers errors at a barrier, where they have to be looked for too.
        const DEFERRED_ERRORS = 1 << 2;
        /// It runs while the account that it works on is exhausted: who pays, and who comes before it, the core decides.
        const SPENT = 1 << 3;
    }
}

impl Task<'_> {
    /// Arms (n > 0) or disarms an injected fault. While one is armed every call must pass the core,
    /// which counts, so what the fast path looks at is set to refuse.
    pub(crate) fn arm(&mut self, calls: u64) {
        self.armed = calls;
        self.post_to = u64::MAX;
        self.length_add = fast::LENGTH_ADD;
        if calls == 0 {
            self.slow &= !Slow::ARMED.bits();
            self.slow_lengths = fast::SLOW_LENGTHS;
        } else {
            self.slow |= Slow::ARMED.bits();
            self.slow_lengths = u64::MAX;
        }
        self.set_fast_view();
    }

    /// The rights and priority that the fast path sees: none for what it has to leave to the core.
    fn set_fast_view(&mut self) {
        let slow = Slow::from_bits_truncate(self.slow);
        let unless = |hidden: bool, set| if hidden { TaskSet::EMPTY } else { set };
        self.fast_send_to = unless(!slow.is_empty(), self.send_to);
        self.fast_above = unless(
            slow.intersects(Slow::DEVICES.union(Slow::SPENT)),
            self.above,
        );
    }

    /// It runs, and the account that it works on is exhausted, or is not any more.
    pub(crate) fn set_spent(&mut self, spent: bool) {
        let mut slow = Slow::from_bits_truncate(self.slow);
        slow.set(Slow::SPENT, spent);
        self.slow = slow.bits();
        self.set_fast_view();
    }

    /// Disarms a fault that is armed.
    pub(super) fn disarm(&mut self) {
        if self.slow & Slow::ARMED.bits() != 0 {
            self.arm(0);
        }
    }

    /// Counts a call, if a fault is armed. At the one that the fault is armed for the task dies.
    #[inline(always)]
    pub(crate) fn count_call(&mut self) -> Result<(), Violation> {
        match self.armed {
            0 => Ok(()),
            1 => Err(violation(FaultKind::Injected, 0)),
            _ => {
                self.armed -= 1;
                Ok(())
            }
        }
    }

    /// A post of it was found granted: until it posts to another, the fast path need not look up its rights. While a
    /// fault is armed every post has to pass the core.
    pub(crate) fn keep_grant(&mut self, target: u64, bits: u64) {
        if self.armed == 0 {
            (self.post_to, self.post_bits) = (target, bits);
        }
    }

    /// Whether it has device registers.
    pub fn has_devices(&self) -> bool {
        self.slow & Slow::DEVICES.bits() != 0
    }

    /// It has device registers.
    pub(crate) fn set_devices(&mut self, defers_errors: bool) {
        self.slow |= Slow::DEVICES.bits();
        if defers_errors {
            self.slow |= Slow::DEFERRED_ERRORS.bits();
        }
        self.set_fast_view();
    }
}
