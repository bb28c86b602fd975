//! Asynchronous errors that no task can be charged with.

/// Errors that no task was charged with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unclaimed {
    pub count: u64,
    /// Syndrome of the last one.
    pub syndrome: u64,
}

impl Unclaimed {
    pub const NONE: Self = Self {
        count: 0,
        syndrome: 0,
    };
}
