//! Log rings: one a task, written by it alone, read by the log task.
//!
//! Ring memory: a 64-byte header, then `capacity` bytes of data. The writer stores records (a
//! little-endian `u16` length, then that many bytes, wrapping) at `written % capacity` and then
//! advances `written`; it never waits, so a slow reader loses the oldest. The reader keeps its
//! cursor in its own memory, copies, and checks `written` again: what was overtaken is counted lost.
//! The reader trusts nothing in the ring, the writer is an untrusted task.

/// Offset of `written`, a `u64` count of bytes since the task's start, monotonic. A restarted task
/// goes on from it.
pub const WRITTEN_OFFSET: usize = 0;
/// Bytes before the data.
pub const HEADER_BYTES: usize = 64;
/// Longest record, bytes, without its length.
pub const RECORD_MAX: usize = 512;
/// Frames on the console are COBS-encoded between two zero bytes; everything outside frames is plain
/// text of the kernel. First byte of a frame's content.
pub const FRAME_DELIMITER: u8 = 0;
/// A record: task index (u8), then the bytes of one raw-encoded `defmt` frame.
pub const FRAME_RECORD: u8 = 1;
/// Loss: task index (u8), then bytes lost (u64, little endian).
pub const FRAME_LOST: u8 = 2;
