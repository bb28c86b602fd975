//! What every driver of a disk does for its clients: the block protocol's serving half.
//!
//! A driver implements [`controller::Controller`] for its device and gives it to [`service::serve`]. Clients, their
//! regions and waiting calls, what is mapped for a request and when it is unmapped, faults and the way to the end are the
//! same for all of them.
//!
//! * [`batch`]: requests that are mapped by one message;
//! * [`controller`]: what a device does;
//! * [`data`]: the data of requests, and what of it the device may reach;
//! * [`ending`]: the way to a disk that may lose its power;
//! * [`iovas`]: where buffers are mapped;
//! * [`mod@line`]: an interrupt line that tells of nothing;
//! * [`losses`]: fault records that were lost, for the log;
//! * [`pause`]: pauses that take the timer;
//! * [`regions`]: memory that clients lent for longer than a call;
//! * [`request`]: requests, and which of them are admitted;
//! * [`service`]: the driver's loop;
//! * [`slots`]: which requests the device has;
//! * [`start`]: what a driver does before it has a device.
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

#[cfg(any(test, feature = "testing"))]
extern crate std;

pub mod batch;
pub mod controller;
pub mod data;
pub mod ending;
mod events;
pub mod iovas;
mod lending;
pub mod line;
pub mod losses;
pub mod pause;
pub mod regions;
pub mod request;
pub mod service;
pub mod slots;
pub mod start;
mod submit;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// Most requests in flight, so that they fit one word of bits.
pub const SLOTS_MAX: usize = 64;
/// Longest transfer that a driver offers, bytes: a bound on the pages that one request pins.
pub const TRANSFER_MAX: u32 = 256 << 10;
