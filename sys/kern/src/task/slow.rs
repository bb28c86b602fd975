//! What the fast path leaves to the core, or does in more steps: calls of a task with a fault armed, receives that find
//! something, and the ends of turns of a task with device registers.

use abi::FaultKind;

use super::Task;
use crate::fast;
use crate::outcome::{Violation, violation};
use crate::task_set::TaskSet;

bitflags::bitflags! {
    /// Why the fast path cannot do for a task what it does for most. The lowest two concern every call, the next two a
    /// receive.
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) struct Slow: u64 {
        /// A fault is armed: every call must pass the core, which counts.
        const ARMED = 1 << 0;
        /// It runs while the account that it works on is exhausted: who pays, and who comes before it, the core decides.
        const SPENT = 1 << 1;
        /// It has notifications pending.
        const PENDING = 1 << 2;
        /// Tasks are queued to send to it.
        const SENDERS = 1 << 3;
        /// It has device registers: its accesses must be complete before another task runs, so that an error
        /// of one is charged to it.
        const DEVICES = 1 << 4;
        /// The processor defers errors at a barrier, where they have to be looked for too.
        const DEFERRED_ERRORS = 1 << 5;
    }
}

impl Slow {
    /// What the core has to decide in any call.
    pub(crate) const CALL: Self = Self::ARMED.union(Self::SPENT);
    /// What the core has to decide in a receive.
    pub(crate) const RECEIVE: Self = Self::CALL.union(Self::PENDING).union(Self::SENDERS);
}

const _: () =
    assert!(Slow::CALL.bits() == fast::SLOW_CALL && Slow::RECEIVE.bits() == fast::SLOW_RECEIVE);

impl Task<'_> {
    /// Arms (n > 0) or disarms an injected fault. While one is armed every call must pass the core,
    /// which counts.
    pub(crate) fn arm(&mut self, calls: u64) {
        self.armed = calls;
        self.post_to = u64::MAX;
        self.set_slow(Slow::ARMED, calls != 0);
    }

    #[inline(always)]
    fn set_slow(&mut self, bits: Slow, set: bool) {
        let without = self.slow & !bits.bits();
        self.slow = if set { without | bits.bits() } else { without };
    }

    /// Whether it has pending bits.
    #[inline(always)]
    pub(super) fn note_pending(&mut self, any: bool) {
        self.set_slow(Slow::PENDING, any);
    }

    /// Whether tasks are queued to send to it.
    #[inline(always)]
    pub(super) fn note_senders(&mut self) {
        self.set_slow(Slow::SENDERS, !self.senders.is_empty());
    }

    /// A receive would find nothing.
    #[inline(always)]
    pub(super) fn note_nothing(&mut self) {
        self.set_slow(Slow::PENDING.union(Slow::SENDERS), false);
    }

    /// The tasks above it that the fast path sees at once: none if it has accesses to complete or a run to count, or leaves the
    /// processor by the core only.
    pub(super) fn set_fast_view(&mut self) {
        let slow = Slow::from_bits_truncate(self.slow);
        let hidden = slow.intersects(Slow::DEVICES.union(Slow::SPENT)) || self.run_limit != 0;
        self.fast_above = if hidden { TaskSet::EMPTY } else { self.above };
    }

    /// It runs, and the account that it works on is exhausted, or is not any more.
    pub(crate) fn set_spent(&mut self, spent: bool) {
        self.set_slow(Slow::SPENT, spent);
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

    /// Whom it may post which bits without a look at its rights.
    #[cfg(test)]
    pub(crate) fn grant(&self) -> (u64, u64) {
        (self.post_to, self.post_bits)
    }

    /// Whether it has device registers.
    pub fn has_devices(&self) -> bool {
        self.slow & Slow::DEVICES.bits() != 0
    }

    /// It has device registers.
    pub(crate) fn set_devices(&mut self, defers_errors: bool) {
        self.set_slow(Slow::DEVICES, true);
        self.set_slow(Slow::DEFERRED_ERRORS, defers_errors);
        self.set_fast_view();
    }
}
