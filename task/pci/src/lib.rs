//! The PCI task: the fabric is brought into the planned state and compared with the plan, and from then
//! on nobody but this task changes what it does.
//!
//! The core here is generic over access to configuration space and BARs and is given the time; the task
//! around it ([`task`]) maps both and waits. No step sleeps.
//!
//! The registers are defined here and not taken from the `pci_types` crate: that one accesses
//! 32 bits only, so that a write to Command would also clear bits in Status, and it follows a device's
//! list of capabilities without a bound.
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

mod address;
mod allow;
mod bar;
mod before;
mod bridge;
mod capability;
mod compare;
mod config;
mod enumerate;
mod extended;
mod fabric;
mod groups;
mod link;
mod master;
mod messages;
mod numbers;
mod power;
mod program;
mod progress;
mod quiesce;
mod record;
mod registers;
mod report;
mod restore;
mod resume;
mod server;
mod silence;
mod snapshot;
mod states;
pub mod task;
#[cfg(test)]
mod tests;

pub use address::Address;
pub use config::{BarRegisters, Clock, ConfigSpace, Record};
pub use fabric::Fabric;
pub use quiesce::Wake;
pub use report::{Difference, Found, Observer};
pub use server::{Answer, Request, Server};
pub use states::TooLarge;
