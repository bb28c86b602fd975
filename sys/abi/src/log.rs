//! Log rings: one a task, written by it alone, read by the log task.
//!
//! Ring memory: a 64-byte header, then `capacity` bytes of data. The writer stores records (a
//! little-endian `u16` length, then that many bytes, wrapping) at `written % capacity` and then
//! advances `written`; it never waits, so a slow reader loses the oldest. Before it overwrites a
//! record it advances `oldest` behind it, so that what is between the two is whole at any time. The
//! reader keeps its cursor in its own memory, copies, and looks at both again: what was overtaken is
//! counted lost, and reading goes on at `oldest`. The reader trusts nothing in the ring, the writer is
//! an untrusted task: a lie about `oldest` costs the liar records of its own.

/// Offset of `written`, a `u64` count of bytes since the task's start, monotonic. A restarted task
/// goes on from it.
pub const WRITTEN_OFFSET: usize = 0;
/// Offset of `oldest`, counted as `written`: where the oldest whole record starts.
pub const OLDEST_OFFSET: usize = 8;
/// Bytes of a record's length.
pub const PREFIX_BYTES: u64 = 2;
/// Bytes before the data.
pub const HEADER_BYTES: usize = 64;
/// Longest record, bytes, without its length.
pub const RECORD_MAX: usize = 512;
/// What begins and ends a frame on the console. Between two of them its content is COBS-encoded; everything outside
/// frames is plain text of the kernel.
///
/// Content, little endian: kind (`u8`), the task's number (`u16`), the frame's number (`u16`, one more than that of
/// the frame before, and 0 at first), what the kind says, and a check (`u16`, CRC-16/IBM-3740) over all of it. A serial
/// line loses bytes and changes some. Without the check a damaged record would be shown as one that a task wrote,
/// and without the number nobody would know that one is missing.
pub const FRAME_DELIMITER: u8 = 0;
/// Kind of frame: the bytes of one raw-encoded `defmt` frame, which are a record of the task.
pub const FRAME_RECORD: u8 = 1;
/// Kind of frame: how many bytes of the task's ring were lost (`u64`, little endian).
pub const FRAME_LOST: u8 = 2;

/// Name of the log task's memory that survives its restarts: how far it has read each ring, a `u64` a
/// task by index, counted as `written`, and the number of its next frame behind them. The build step gives it to the
/// task that reads the logs.
pub const CURSORS: &str = "log-cursors";
/// Offset of the next frame's number in that memory, a `u64`.
pub const NEXT_FRAME_OFFSET: usize = crate::TASKS_MAX * 8;
