//! What this task knows of its earlier lives.

use pci_api::QuiesceFailure;

use crate::progress::Progress;

/// What an earlier life knew of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Before {
    /// It was as planned.
    pub ready: bool,
    /// It had bus mastering on.
    pub master: bool,
    /// It was being reset.
    pub resetting: bool,
    /// How its last quiesce failed, if it did.
    pub failure: Option<QuiesceFailure>,
}

impl Before {
    pub(crate) const NOTHING: Self = Self {
        ready: false,
        master: false,
        resetting: false,
        failure: None,
    };

    /// Where quiesces of it stand when a life begins.
    pub(crate) fn progress(self) -> Progress {
        self.failure.map_or(Progress::Never, Progress::Failed)
    }
}
