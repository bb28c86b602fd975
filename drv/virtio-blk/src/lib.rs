//! The hardware-independent core of the virtio block driver (virtio 1.2, OASIS committee specification 01).
//!
//! The device is not trusted: it may write anything, at any time, into what it can reach. So descriptors
//! and request headers are mapped for it read-only, and of what it can write (the used ring, the status
//! bytes, its registers) every value is read once and checked against what this driver itself knows
//! to be in flight.
//!
//! * [`capability`]: where its registers are, from configuration space;
//! * [`disk`]: the device as the serving half of the block protocol has it;
//! * [`transport`]: bring-up over the modern PCI transport;
//! * [`layout`]: the driver's DMA memory;
//! * [`queue`]: the split virtqueue;
//! * [`request`]: requests in flight.
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

pub mod capability;
pub mod disk;
pub mod layout;
pub mod queue;
pub mod request;
pub mod transport;
