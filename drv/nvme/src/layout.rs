//! The driver's DMA memory: two runs of pages, by what the controller may do with them.
//!
//! What the controller only reads is mapped for it read-only, so that it cannot change a command or a list of pages after
//! the driver wrote it; what it writes is apart and trusted with nothing.

use blk_server::{SLOTS_MAX, TRANSFER_MAX};

/// Bytes of a page, as the controller is told.
pub const PAGE: usize = 4096;
/// Most pairs of I/O queues.
pub const QUEUES_MAX: usize = 4;
/// Most entries of an I/O queue: with every request in one queue it is never full.
pub const ENTRIES_MAX: u16 = 128;
/// Entries of the admin queues.
pub const ADMIN_ENTRIES: u16 = 16;
/// Bytes of a submission queue entry.
pub const COMMAND_LEN: usize = 64;
/// Bytes of a completion queue entry.
pub const COMPLETION_LEN: usize = 16;
/// Bytes of the list of pages that a slot has: the first page of a transfer is in the command.
pub const LIST_LEN: usize = 512;

/// Offset of the pages that the controller reads.
pub const READABLE: usize = 0;
/// The admin submission queue.
pub const ADMIN_SUBMISSION: usize = READABLE;
/// The first I/O submission queue; the others follow.
pub const SUBMISSIONS: usize = ADMIN_SUBMISSION + PAGE;
/// Bytes from one I/O submission queue to the next.
pub const SUBMISSION_LEN: usize = ENTRIES_MAX as usize * COMMAND_LEN;
/// Lists of pages, one a slot.
pub const LISTS: usize = SUBMISSIONS + QUEUES_MAX * SUBMISSION_LEN;
/// Bytes of the pages that the controller reads.
pub const READABLE_LEN: usize = LISTS + SLOTS_MAX * LIST_LEN - READABLE;

/// Offset of the pages that the controller writes.
pub const WRITABLE: usize = READABLE + READABLE_LEN;
/// The admin completion queue.
pub const ADMIN_COMPLETION: usize = WRITABLE;
/// The first I/O completion queue; the others follow, each in a page of its own.
pub const COMPLETIONS: usize = ADMIN_COMPLETION + PAGE;
/// What the controller says of itself and of its namespaces.
pub const IDENTIFY: usize = COMPLETIONS + QUEUES_MAX * PAGE;
/// Bytes of the pages that the controller writes.
pub const WRITABLE_LEN: usize = IDENTIFY + PAGE - WRITABLE;
/// Bytes of the pool that this layout needs.
pub const POOL_LEN: usize = WRITABLE + WRITABLE_LEN;

const _: () = {
    assert!(ADMIN_ENTRIES as usize * COMMAND_LEN <= PAGE);
    assert!(SUBMISSION_LEN.is_multiple_of(PAGE) && READABLE_LEN.is_multiple_of(PAGE));
    assert!(ENTRIES_MAX as usize * COMPLETION_LEN <= PAGE);
    // A queue of n entries holds n - 1.
    assert!((ENTRIES_MAX as usize) > SLOTS_MAX);
    // A transfer that begins within a page has one page more; a list never crosses a page.
    assert!(TRANSFER_MAX as usize / PAGE * 8 <= LIST_LEN && PAGE.is_multiple_of(LIST_LEN));
};

/// The places of the two parts, as the controller sees them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Places {
    /// IOVA of [`READABLE`].
    pub readable: u64,
    /// IOVA of [`WRITABLE`].
    pub writable: u64,
}

impl Places {
    /// The IOVA of an offset in the pool.
    #[inline(always)]
    pub const fn of(&self, offset: usize) -> u64 {
        if offset < WRITABLE {
            self.readable + (offset - READABLE) as u64
        } else {
            self.writable + (offset - WRITABLE) as u64
        }
    }
}
