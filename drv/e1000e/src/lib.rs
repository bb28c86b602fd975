//! The driver of Intel's 82574L network controller ("e1000e"; 82574 GbE Controller Family Datasheet, revision 3.4).
//!
//! The controller is not trusted: it may write anything, at any time, into what it can reach, which are the two rings and
//! the pages that the client gave it. So what is in the rings is written as a whole and not read back, but for the state of
//! the one descriptor that is next, and that is checked against what this driver knows to have given.
//!
//! * [`admit`]: which requests are admitted;
//! * [`device`]: reset and bring-up, pages in and out, the link;
//! * [`layout`]: the driver's DMA memory;
//! * [`registers`]: the controller's registers;
//! * [`ring`]: a ring of descriptors;
//! * [`service`]: the driver's loop.
//!
//! What has nothing to do with frames it shares with the drivers of disks: the claim, regions, IOVAs ([`blk_server`]).
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

pub mod admit;
pub mod device;
mod events;
pub mod layout;
mod lending;
pub mod registers;
pub mod ring;
pub mod service;
mod submit;
#[cfg(test)]
mod testing;
