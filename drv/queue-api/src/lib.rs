//! The queue protocol: requests to a driver and their completions, several in a message.
//!
//! It is what the protocols of disks, and later of network interfaces, have in common: they say what a request's
//! operation and position mean, and what the codes of a completion are. A message carries up to [`REQUESTS_MAX`]
//! [`Request`]s; its reply carries up to [`COMPLETIONS_MAX`] [`Completion`]s, of these or of earlier requests. A
//! message is taken as a whole or refused as a whole; each request that was taken has one completion, unless the driver
//! dies. [`Operation::Run`] is answered at once, [`Operation::Wait`] when there is a completion.
//!
//! * [`message`]: how both travel in words;
//! * [`client`]: the calling side, which loses no request when the driver dies;
//! * [`desk`]: the driver's side: who has what under way, and who waits.
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
pub mod desk;
pub mod message;

pub use message::{Completion, Completions, Fields, Request};

/// Most requests in one message.
pub const REQUESTS_MAX: usize = 4;
/// Most completions in one reply.
pub const COMPLETIONS_MAX: usize = 7;
/// The region that a request names for the memory that is lent with its message, as lease 0.
pub const LEASE: u8 = 0;

/// Regions that a client can have, that of its messages included.
pub const REGIONS_MAX: usize = 4;

/// The operations of a queue. Number 1 is the protocol's own, which asks for what the driver serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Operation {
    /// Takes the requests; the reply has the completions that there are.
    Run = 2,
    /// The same, but the reply comes when there is a completion, or when nothing of the client is under way.
    Wait = 3,
    /// Keeps what is lent with the message as a region, whose number is the message; the reply is empty.
    Lend = 4,
    /// Gives a region back; the reply is empty.
    Forget = 5,
}

impl Operation {
    /// The operation with this number.
    #[inline(always)]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            2 => Some(Self::Run),
            3 => Some(Self::Wait),
            4 => Some(Self::Lend),
            5 => Some(Self::Forget),
            _ => None,
        }
    }
}
