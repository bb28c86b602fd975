//! How far a quiesce has come.

use pci_api::{QuiesceFailure, QuiesceState};

/// A millisecond in nanoseconds, in which all times here are.
pub(crate) const MILLISECOND: u64 = 1_000_000;
/// No access for so long after a reset.
pub(crate) const RESET_PAUSE: u64 = 100 * MILLISECOND;
/// Deadline of a reset whose recipe gives none.
pub(crate) const RESET_DEADLINE: u64 = 1000 * MILLISECOND;

/// How a function's last quiesce went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Progress {
    Never,
    Quiet,
    Failed(QuiesceFailure),
    Running(Running),
}

/// A quiesce under way; times in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Running {
    pub next: Next,
    pub wake: u64,
    pub deadline: u64,
}

/// The step that is to be taken at `wake`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// The next step is to see whether the function's requests have completed, then reset it; not later than `until`.
    Pending { until: u64 },
    /// Put everything below the bridge above into reset.
    Hold,
    /// End the reset of the bridge above.
    Release,
    /// The next step is to see whether what was reset answers.
    Answer,
    /// The next step is to see whether that answers which an earlier life of this task was resetting.
    Return,
    /// Look at the polled register.
    Poll,
    /// Nothing is left to do: the time is over.
    Over,
    /// Nothing can be done: the recipe cannot be carried out.
    Unsupported,
}

impl Progress {
    pub(crate) fn state(self) -> QuiesceState {
        match self {
            Self::Never => QuiesceState::Never,
            Self::Quiet => QuiesceState::Quiet,
            Self::Failed(failure) => QuiesceState::Failed(failure),
            Self::Running(_) => QuiesceState::Running,
        }
    }
    pub(crate) fn is_running(self) -> bool {
        matches!(self, Self::Running(_))
    }
    /// Whether a reset is under way or about to be: its registers may be lost.
    pub(crate) fn is_reset(self) -> bool {
        match self {
            Self::Running(running) => {
                !matches!(running.next, Next::Poll | Next::Over | Next::Unsupported)
            }
            Self::Never | Self::Quiet | Self::Failed(_) => false,
        }
    }
    /// A function that an earlier life was resetting, `now`; it must not be asked before the time that a reset
    /// takes.
    pub(crate) fn returning(now: u64, reset: bool) -> Self {
        Self::Running(Running {
            next: Next::Return,
            wake: now.saturating_add(if reset { RESET_PAUSE } else { 0 }),
            deadline: now.saturating_add(RESET_DEADLINE),
        })
    }
}
