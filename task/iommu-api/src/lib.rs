//! The protocol of the IOMMU server.
//!
//! A driver claims its device, maps pages of its own pools or of leases its clients gave it, and gets
//! the device's faults. Requests of up to 64 bytes travel in registers; lists are long messages.
//! A device is named by its number in the plan's table of devices.
//!
//! | operation | may be called by | request | answer |
//! |---|---|---|---|
//! | `describe` | owner, auditors | [`DeviceRequest`] | [`Window`] |
//! | `claim` | owner | [`DeviceRequest`] | [`Claim`]; may come late |
//! | `release` | claimant | [`Sequenced`] | nothing; may come late |
//! | `map` | claimant | [`Map`] | [`Iova`] |
//! | `map_lease` | claimant | [`MapLease`] | [`Iova`] |
//! | `map_list` | claimant | [`MapList`] and extents | [`Iova`] |
//! | `unmap` | claimant | [`Unmap`] | nothing |
//! | `unmap_list` | claimant | [`UnmapList`] and extents | nothing |
//! | `flush` | claimant | [`Sequenced`] | nothing |
//! | `next_fault` | claimant | [`HandleRequest`] | [`OldestFault`] |
//! | `status` | owner, auditors | [`DeviceRequest`] | [`Status`] |
//! | `exchange` | claimant | [`Exchange`] | nothing |
//! | `exchange_list` | claimant | [`ExchangeList`] and replacements | nothing |
//!
//! **Sequence.** Every request that changes something carries a number: 1 for the first after the claim, then
//! one more each time, whatever the result was. Repeating the last number returns the recorded
//! result and changes nothing, so that a request whose reply was lost can be sent again.
//!
//! **Completion.** When `unmap` or `unmap_list` of a strict domain, `exchange`, `exchange_list` or `release` returns, no
//! cached translation of what was unmapped is left in the SMMU. A device that still has requests under way
//! when its driver unmaps may have them refused.
//!
//! **Faults.** The server posts [`FAULT_NOTIFICATION`] to the claimant when a fault was queued; it then
//! asks `next_fault` until there is none.
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
pub mod enduring;
mod error;
mod exchange;
mod fault;
mod request;
#[cfg(test)]
mod tests;
mod window;

pub use error::Error;
pub use exchange::{Exchange, ExchangeList, Replacement};
pub use fault::{FaultRecord, OldestFault, Status, StatusFlags};
pub use request::{
    DeviceRequest, Extent, HandleRequest, Map, MapFlags, MapLease, MapList, Operation, Register,
    Sequenced, Unmap, UnmapList, Unregister,
};
pub use window::{Claim, Handle, Iova, Window};

/// Name of the notification that the server posts to a claimant.
pub const FAULT_NOTIFICATION: &str = "iommu-fault";

/// Bytes of a page.
pub const PAGE: u64 = 4096;
/// The number of the first pool that can be registered. Those below are the caller's own.
pub const REGISTERED: u16 = 0x8000;
/// Pages of a block.
pub const BLOCK_PAGES: u64 = 512;
