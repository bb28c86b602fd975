//! How a task reports its part of a run's verdict to the supervisor, and how it is asked to finish before the machine is
//! switched off.
//!
//! A task reports once that it did what it is there for, or that it did not, with a line for a person. The supervisor
//! knows who reports by the sender's id, so no task can speak for another. The first report of a task counts; a later
//! one can only turn a pass into a fail.
//!
//! | operation | may be called by | request | answer |
//! |---|---|---|---|
//! | [`Operation::Report`] | every task that may call the supervisor | [`Report`] | nothing |
//! | [`Operation::Finished`] | the task that is asked to finish, before the machine is switched off | nothing | nothing |
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(test)]
extern crate std;

pub mod client;
mod error;
mod message;

pub use error::Error;
pub use message::{Detail, Operation, Outcome, Report};

/// Name of the bit by which the supervisor asks a task to finish its work, before the machine is switched off.
pub const SHUT_DOWN: &str = "shut-down";
/// Name of the supervisor's bit by which a task that may post it says that the machine is to be switched off.
pub const POWER_KEY: &str = "power-key";
