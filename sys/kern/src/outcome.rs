//! What comes of an entry into the kernel.

use abi::FaultKind;

use crate::task_set::TaskIndex;

/// What a system call says about the processor.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum NextTask {
    /// The caller goes on.
    Same,
    /// This task, which was waiting and is known to be the best choice; the caller waits now.
    Direct(TaskIndex),
    /// This task, which is ready and has a strictly higher priority than the caller, and so than all
    /// others that are ready; the caller could go on.
    Preempt(TaskIndex),
    /// Whoever is best: the caller, if it can run, competes.
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
