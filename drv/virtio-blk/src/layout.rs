//! The driver's DMA memory: two runs of pages, by what the device may do with them.
//!
//! What the device only reads is mapped for it read-only, so that it cannot change a descriptor after
//! the driver wrote it; what it writes is apart and trusted with nothing.

use blk_server::SLOTS_MAX;

/// Most entries of the queue; a power of two. More would need a larger layout.
pub const QUEUE_MAX: u16 = 256;

/// Offset of the pages that the device reads.
pub const READABLE: usize = 0;
/// Bytes of the pages that the device reads.
pub const READABLE_LEN: usize = 0x2000;
/// Offset of the pages that the device writes.
pub const WRITABLE: usize = 0x2000;
/// Bytes of the page that the device writes.
pub const WRITABLE_LEN: usize = 0x1000;
/// Bytes of the pool that this layout needs.
pub const POOL_LEN: usize = WRITABLE + WRITABLE_LEN;

/// Descriptor table: 16 bytes an entry (virtio 2.7.5).
pub const DESCRIPTORS: usize = READABLE;
/// Available ring: flags, index, then 2 bytes an entry (virtio 2.7.6).
pub const AVAILABLE: usize = READABLE + 0x1000;
/// Request headers: 16 bytes a slot (virtio 5.2.6).
pub const HEADERS: usize = READABLE + 0x1400;
/// Used ring: flags, index, then 8 bytes an entry (virtio 2.7.8).
pub const USED: usize = WRITABLE;
/// Status bytes: one a slot.
pub const STATUSES: usize = WRITABLE + 0xc00;

const _: () = {
    let entries = QUEUE_MAX as usize;
    assert!(DESCRIPTORS + 16 * entries <= AVAILABLE);
    assert!(AVAILABLE + 6 + 2 * entries <= HEADERS);
    assert!(HEADERS + 16 * SLOTS_MAX <= READABLE + READABLE_LEN);
    assert!(USED + 6 + 8 * entries <= STATUSES);
    assert!(STATUSES + SLOTS_MAX <= WRITABLE + WRITABLE_LEN);
};
