//! The protocol of the PCI task: operations, messages as words, error codes, and client stubs.
//!
//! Every message and reply fits into registers (64 bytes), no call carries a lease, and no call
//! waits: a reset is a start, a posted notification and a question for the result. A device is named
//! by its number in the plan's table of functions.
//!
//! | operation | may be called by | answer |
//! |---|---|---|
//! | [`ConfigRead`] | the device's owner | the value |
//! | [`ConfigWrite`] | the device's owner, registers of the allow-list | nothing |
//! | [`Describe`] | every task that may call the server | [`Description`] |
//! | [`GetBootStatus`] | the task with `dma-authority` | [`BootStatus`] |
//! | [`BusMaster`] | the task with `dma-authority` | nothing |
//! | [`QuiesceStart`] | the task with `dma-authority` | nothing; later a post |
//! | [`QuiesceResult`] | the task with `dma-authority` | [`QuiesceState`] |
//!
//! # A new life
//!
//! A server that is started again leaves every function as it is, bus mastering included, that its predecessor had
//! brought into the planned state and that still is in it; [`Description::bus_master`] says of which bus mastering is
//! on. What is not so is silenced and set again, and what differs from the plan blocks as at the first start.
//! Which of them has a claim it does not know: the authority asks, and turns off what nobody should use. That a
//! quiesce failed is remembered, that one ended well is not: the authority may have wanted another one since. A reset
//! that was under way is waited for as a quiesce of its own, of which nothing is known at its end.
//!
//! The server knows the authority as the task that the plan lets it post [`QUIESCED`] to.
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
mod description;
mod error;
mod message;
#[cfg(test)]
mod tests;

pub use description::{
    BootStatus, Description, DeviceState, Mismatch, QuiesceFailure, QuiesceState,
};
pub use error::Error;
pub use message::{
    BusMaster, ConfigRead, ConfigValue, ConfigWrite, Describe, GetBootStatus, Operation,
    QuiesceResult, QuiesceStart, Request, Width,
};

/// Name of the notification that the server posts to the authority when a quiesce ended, either way.
/// One bit for all devices: the authority asks for the result of each that it waits for.
pub const QUIESCED: &str = "pci-quiesced";
