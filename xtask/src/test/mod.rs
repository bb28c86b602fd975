//! Tests: on the host by cargo, and on the target by conformance images.

mod host;
mod target;

pub use host::{host, host_list};
pub use target::{image, images};

/// What became of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// One test's result.
#[derive(Clone, Debug)]
pub struct Result {
    pub name: String,
    pub outcome: Outcome,
}
