//! The knowledge that this task has from its earlier lives.

use pci_api::QuiesceFailure;

use crate::progress::Progress;

/// The knowledge of a function from an earlier life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Before {
    /// The function was as planned.
    pub ready: bool,
    /// The function had bus mastering on.
    pub master: bool,
    /// The function was being reset.
    pub resetting: bool,
    /// How the function's last quiesce failed, if it did.
    pub failure: Option<QuiesceFailure>,
}

impl Before {
    pub(crate) const NOTHING: Self = Self {
        ready: false,
        master: false,
        resetting: false,
        failure: None,
    };

    /// The progress of quiesces of the function when a life begins.
    pub(crate) fn progress(self) -> Progress {
        self.failure.map_or(Progress::Never, Progress::Failed)
    }
}
