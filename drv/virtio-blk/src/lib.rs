//! The hardware-independent core of the virtio block driver (virtio 1.2, OASIS committee specification 01).
//!
//! The device is not trusted: it may write anything, at any time, into what it can reach. So descriptors
//! and request headers are mapped for it read-only, and of what it can write (the used ring, the status
//! bytes, its registers) every value is read once and checked against what this driver itself knows
//! to be in flight.
//!
//! * [`batch`]: requests that are mapped by one message;
//! * [`capability`]: where its registers are, from configuration space;
//! * [`transport`]: bring-up over the modern PCI transport;
//! * [`iovas`]: where buffers are mapped;
//! * [`layout`]: the driver's DMA memory;
//! * [`losses`]: fault records that were lost, for the log;
//! * [`queue`]: the split virtqueue;
//! * [`regions`]: memory that clients lent for longer than a call;
//! * [`request`]: requests in flight;
//! * [`ending`]: the way to a disk that may lose its power.
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

pub mod batch;
pub mod capability;
pub mod ending;
pub mod iovas;
pub mod layout;
pub mod losses;
pub mod queue;
pub mod regions;
pub mod request;
#[cfg(test)]
mod testing;
pub mod transport;
