//! Failures that are not mistakes in a file.

use std::fmt;

use crate::report::Reported;

/// Why a command ends; shown as `error: …`.
#[derive(Debug)]
pub enum Failure {
    /// Everything was said already, by the report or by cargo.
    Shown,
    /// A sentence that says what failed, perhaps with further lines that say what to do.
    Message(String),
}

impl Failure {
    /// A sentence for the user.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    /// Makes a failure of what was tried and the error, for `map_err`.
    pub fn when<E: fmt::Display>(what: impl fmt::Display) -> impl FnOnce(E) -> Self {
        move |error| Self::Message(format!("{what}: {error}"))
    }
}

impl From<Reported> for Failure {
    fn from(_: Reported) -> Self {
        Self::Shown
    }
}

/// The result of a step, or the reason why the command ends.
pub type Outcome<T> = Result<T, Failure>;
