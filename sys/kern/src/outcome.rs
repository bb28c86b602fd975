//! The results of an entry into the kernel.

use abi::FaultKind;

use crate::task_set::TaskIndex;

/// The task that gets the processor after a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum NextTask {
    /// The caller goes on.
    Same,
    /// The task in the field, which was waiting and is known to be the best choice; the caller
    /// waits now.
    Direct(TaskIndex),
    /// The task in the field, which is ready and has a strictly higher priority than the caller, and
    /// so than all other ready tasks. The caller could go on.
    Preempt(TaskIndex),
    /// The best of all ready tasks; the caller competes if it can run.
    Best,
}

/// A system call's outcome: who runs next, or what the caller dies of.
pub(crate) type Outcome = Result<NextTask, Violation>;

/// Misuse of a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Violation {
    pub kind: FaultKind,
    /// The offending argument.
    pub argument: u64,
}

/// Shorthand for the error of an [`Outcome`].
pub(crate) const fn violation(kind: FaultKind, argument: u64) -> Violation {
    Violation { kind, argument }
}
