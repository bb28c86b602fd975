//! The block protocol: what a client and a disk driver say to each other.
//!
//! A client asks for the [`Geometry`], then has up to [`DEPTH`] requests in flight: [`Submit`] lends the
//! buffer and returns at once; when a request is done the driver posts the client's notification
//! [`DONE`]; `collect` returns up to [`COLLECT_MAX`] [`Completion`]s a call. All messages fit the payload
//! registers.
//!
//! The buffer is lease 0 of `submit`: it starts at a page boundary and is at least as long as the
//! data, rounded up to whole pages. The device reads and writes it in place, so from `submit` until the
//! completion was collected the client must neither use it nor lend it again; what it holds of the last
//! page beyond the data may be overwritten. A write's buffer is lent for reading, a read's for both: the
//! SMMU's stage 1 cannot let a device write what it may not read. An unaligned buffer is refused, not copied: it would need
//! its lease a second time at `collect`, and no client has reason to be unaligned.
//!
//! The driver posts [`DONE`] when the first completion arrives after the client had collected all, so a
//! client collects until a reply is not full.
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
pub use message::{Completion, Geometry, Kind, Submit, decode_collected, encode_collected};

/// Bytes in a sector, the unit of every count and position, whatever the disk's own block size.
pub const SECTOR: u64 = 512;
/// Most requests that one client can have between `submit` and `collect`.
pub const DEPTH: usize = 32;
/// Most completions in one reply.
pub const COLLECT_MAX: usize = 7;
/// Name of the client's notification bit that the driver posts when there is something to collect.
pub const DONE: &str = "blk-done";

/// The operations that a client can ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// No arguments; the reply is a [`Geometry`].
    Geometry = 1,
    /// A [`Submit`], with the buffer as lease 0 unless it is a flush; the reply is empty. Success
    /// means that a completion will follow, unless the driver dies.
    Submit = 2,
    /// No arguments; the reply is what [`encode_collected`] makes.
    Collect = 3,
}

impl Operation {
    /// The operation with this number.
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Geometry),
            2 => Some(Self::Submit),
            3 => Some(Self::Collect),
            _ => None,
        }
    }
}
