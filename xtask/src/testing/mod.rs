//! Tests: on the host by cargo, and on the target by images of cases and by whole systems.

mod bring_up;
mod cases;
mod differences;
mod examples;
mod expect;
mod host;
mod image;
mod load;
mod long;
mod matrix;
mod miri;
mod mutations;
mod power;
mod report;
mod selection;
mod serial;
mod spoil;
mod system;

use std::time::Duration;

pub use host::Programs as HostPrograms;
pub use image::{Asked, Suite, image, images};
pub use load::{LOAD, Told, Unit, load};
pub use long::{LONG, PROGRAMS as LONG_PROGRAMS, program as long_program};
pub use matrix::{Matrix, Row};
pub use miri::miri;
pub use mutations::{MUTATIONS, mutations};
pub use report::{counts, write as write_reports};
pub use selection::{fits, nothing_fits, suggest};
pub use system::{System, long_systems, system, systems};

/// The outcome of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

/// The result of a test.
#[derive(Clone, Debug)]
pub struct Case {
    /// `package::module::test`, `image::case`.
    pub name: String,
    pub outcome: Outcome,
    /// The test's time, as far as it is known.
    pub time: Duration,
    /// The output of the test, or the log of the tasks involved, if it failed.
    pub log: Vec<String>,
}

impl Case {
    pub fn new(name: impl Into<String>, outcome: Outcome) -> Self {
        Self {
            name: name.into(),
            outcome,
            time: Duration::ZERO,
            log: Vec::new(),
        }
    }

    pub fn failed(&self) -> bool {
        matches!(self.outcome, Outcome::Failed(_))
    }
}
