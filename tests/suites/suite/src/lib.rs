//! Conformance images.
//!
//! The runner is the image's supervisor: highest priority, every privileged call of a test image. All
//! other tasks of a suite are *roles*. Calls only go uphill, so a role asks the runner what to do
//! ([`protocol::NEXT`]), acts its part of the case, and reports. Runner and roles are built from one table
//! of [`Case`]s, in which both sides of a case stand side by side.
//!
//! Every case starts from restarted roles and has a deadline. A part that fails, dies unexpectedly or does
//! not end is reported by name, and the next case begins. The runner writes to the polled console, so
//! that a suite needs no other task:
//!
//! ```text
//! case send-in-registers ok
//! between 1203400 and 1205033 us
//! case reply-too-long FAILED server: lived on
//! case gicv4 skipped no such interrupt controller
//! suite kernel: 61 passed, 1 failed, 1 skipped
//! ```
//!
//! Before a failed case come the times between which it ran, by the clock of the tasks' logs: whoever reads the logs
//! finds what belongs to it. The runner waits a second after it, so that there is time to read them.
//!
//! The run's verdict is 0 if nothing failed.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod case;
pub mod protocol;
pub mod report;
pub mod role;
pub mod runner;
mod stage;
#[cfg(test)]
mod tests;

pub use case::{Case, End, Failure, Mistake, Part, Result, Suite};
pub use stage::{PATIENCE, Stage};
