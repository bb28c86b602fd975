//! The driver's DMA memory: the two rings, a page each.
//!
//! The controller writes to both, so nothing in them is ever read but what it says of a descriptor that it has.

use crate::ring::{DESCRIPTOR_LEN, ENTRIES};

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// The ring of pages for frames to come.
pub const RECEIVE: usize = 0;
/// The ring of frames to go.
pub const SEND: usize = PAGE;
/// Bytes of the pool that this layout needs.
pub const POOL_LEN: usize = 2 * PAGE;
/// Bytes of a ring.
pub const RING_LEN: usize = ENTRIES as usize * DESCRIPTOR_LEN;

const _: () = {
    assert!(RING_LEN <= PAGE);
    // A ring's length is a multiple of 128 bytes (10.2.5.3).
    assert!(RING_LEN.is_multiple_of(128));
    // With every request in one ring it is never full: one of n entries holds n - 1.
    assert!(ENTRIES as usize > nic_api::DEPTH);
};
