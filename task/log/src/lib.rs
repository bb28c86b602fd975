//! The log task's core: rings in, frames out.
//!
//! The rings are written by untrusted tasks at any time. Whose ring a record came from says who speaks;
//! nothing that a record contains can change that, because the frame around it is made here.
//!
//! * [`copy`]: all rings to the console;
//! * [`ring`]: reads one ring;
//! * [`merge`]: which ring is next;
//! * [`frame`]: what goes to the console (format at [`abi::log`]);
//! * [`uart`]: the console's transmitter.
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

pub mod copy;
pub mod frame;
pub mod merge;
pub mod ring;
pub mod uart;
