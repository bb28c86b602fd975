//! The hardware-independent core of the NVMe driver (NVM Express Base Specification 2.0; NVM Command Set Specification 1.0).
//!
//! The controller is not trusted: it may write anything, at any time, into what it can reach. So submission queues and
//! PRP lists are mapped for it read-only, and of what it can write (completion queues, identify data, its registers)
//! every value is read once and checked against what this driver itself knows to be in flight.
//!
//! * [`command`]: submission queue entries;
//! * [`controller`]: enabling, the admin queue, bring-up and shutdown;
//! * [`disk`]: the controller as the serving half of the block protocol has it: requests in flight, retries, resets;
//! * [`identify`]: what a controller and its namespaces say of themselves;
//! * [`layout`]: the driver's DMA memory;
//! * [`registers`]: the controller's registers;
//! * [`ring`]: a submission queue and its completion queue;
//! * [`status`]: how a command ended, and whether it is tried again.
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

pub mod command;
pub mod controller;
pub mod disk;
pub mod identify;
pub mod layout;
pub mod registers;
pub mod ring;
pub mod status;
#[cfg(test)]
mod testing;
