//! Failures that are not mistakes in a file.

use std::fmt;

use crate::report::Reported;

/// Why a command ends; shown as `error: …`.
#[derive(Debug)]
pub enum Failure {
    /// Everything was said already, by the report or by cargo.
    Shown,
    /// One sentence, perhaps with further lines that say what to do.
    Message(String),
}

impl Failure {
    /// A sentence for the user.
    pub fn new(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }

    /// For `map_err`: what was tried, then the error.
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
