//! The frame protocol: what a client and the driver of a network interface say to each other.
//!
//! It is a queue ([`queue_api`]) of pages: the client gives pages for frames to come ([`Kind::Receive`]) and pages with
//! frames to go ([`Kind::Send`]); each comes back with a completion. One operation more, [`Operation::Interface`], says what
//! interface it is. All messages fit the payload registers.
//!
//! A frame begins with the destination's address and ends before the check sequence, which the device adds and removes.
//! One page holds one frame: what else a page holds the device could reach as well. From the message until the completion
//! was collected the client must neither use the page nor lend it again. A page for a frame to come is lent for reading and
//! writing, one with a frame to go for reading: the SMMU's stage 1 cannot let a device write what it may not read.
//!
//! Who does not wait is posted [`DONE`] when the first completion arrives after it had collected all; it collects until
//! a reply is not full.
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
pub use message::{Address, Frame, Interface, Kind, Link, link, result};
pub use queue_api::{
    COMPLETIONS_MAX, Completion, Completions, LEASE, REGIONS_MAX, REQUESTS_MAX, Request,
};

/// Bytes of the shortest frame that is sent: two addresses and a type. The device fills it up to what a wire asks for.
pub const FRAME_MIN: u32 = 14;
/// Bytes of the longest frame: 1500 of payload, the header, and a tag of a virtual network.
pub const FRAME_MAX: u32 = 1518;
/// Bytes that a page has for a frame to come, from its first byte on: what the device may fill.
pub const ROOM: u32 = 2048;
/// Most requests that the client can have from a message until they were collected.
pub const DEPTH: usize = 64;
/// Name of the client's notification bit that the driver posts when there is something to collect.
pub const DONE: &str = "frame-done";

/// The operations that a client can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// No arguments; the reply is an [`Interface`].
    Interface = 1,
    /// [`queue_api::Operation::Run`].
    Run = queue_api::Operation::Run as u16,
    /// [`queue_api::Operation::Wait`].
    Wait = queue_api::Operation::Wait as u16,
    /// [`queue_api::Operation::Lend`].
    Lend = queue_api::Operation::Lend as u16,
    /// [`queue_api::Operation::Forget`].
    Forget = queue_api::Operation::Forget as u16,
}

impl Operation {
    /// The operation with this number.
    #[inline(always)]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Interface),
            2 => Some(Self::Run),
            3 => Some(Self::Wait),
            4 => Some(Self::Lend),
            5 => Some(Self::Forget),
            _ => None,
        }
    }
}
