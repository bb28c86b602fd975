//! The block protocol: what a client and a disk driver say to each other.
//!
//! It is a queue ([`queue_api`]) whose positions are sectors, and one operation more, [`Operation::Geometry`]. All
//! messages fit the payload registers.
//!
//! A request names pages of a region; region [`LEASE`] is what was lent with its message, as lease 0, from a
//! page boundary on. The device reads and writes the pages in place. So from the message until the completion was
//! collected the client must neither use them nor lend them again; what they hold beside the data may be overwritten.
//! A write's pages are lent for reading, a read's for both: the SMMU's stage 1 cannot let a device write what it may not
//! read.
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
pub use message::{Geometry, Kind, Transfer, result};
pub use queue_api::{
    COMPLETIONS_MAX, Completion, Completions, LEASE, REGIONS_MAX, REQUESTS_MAX, Request,
};

/// Bytes in a sector, the unit of every count and position, whatever the disk's own block size.
pub const SECTOR: u64 = 512;
/// Most requests that one client can have from a message until they were collected.
pub const DEPTH: usize = 32;
/// Name of the client's notification bit that the driver posts when there is something to collect.
pub const DONE: &str = "blk-done";

/// The operations that a client can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// No arguments; the reply is a [`Geometry`].
    Geometry = 1,
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
            1 => Some(Self::Geometry),
            2 => Some(Self::Run),
            3 => Some(Self::Wait),
            4 => Some(Self::Lend),
            5 => Some(Self::Forget),
            _ => None,
        }
    }
}
