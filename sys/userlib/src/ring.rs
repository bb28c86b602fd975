//! The writer's side of a log ring (format at [`abi::log`]).

use abi::log::{HEADER_BYTES, OLDEST_OFFSET, PREFIX_BYTES, WRITTEN_OFFSET};

use crate::memory::{Memory, publish};

/// A ring that this task writes. What an earlier life left in it is believed no more than it must be: that life
/// may have ended anywhere, or have been somebody else's.
#[derive(Debug)]
pub struct Writer<M> {
    memory: M,
    capacity: u64,
}

impl<M: Memory> Writer<M> {
    /// `None` unless there is room for `capacity` bytes of data, a power of two.
    pub fn new(memory: M, capacity: u64) -> Option<Self> {
        let room = memory.len().checked_sub(HEADER_BYTES)?;
        let fits = capacity.is_power_of_two() && capacity <= room as u64;
        fits.then_some(Self { memory, capacity })
    }

    fn place(&self, position: u64) -> usize {
        HEADER_BYTES + (position & (self.capacity - 1)) as usize
    }

    /// Appends a record; one that the ring cannot hold is left out.
    pub fn put(&self, record: &[u8]) {
        let len = PREFIX_BYTES + record.len() as u64;
        let Ok(prefix) = u16::try_from(record.len()) else {
            return;
        };
        if len > self.capacity {
            return;
        }
        let written = self.memory.read64(WRITTEN_OFFSET);
        self.give_up(written, len);
        // A reader on another core must not see a new byte in what it takes for an old record.
        publish();
        let mut at = written;
        for &byte in prefix.to_le_bytes().iter().chain(record) {
            self.memory.write8(self.place(at), byte);
            at = at.wrapping_add(1);
        }
        // Nor a count that covers bytes which are not there yet.
        publish();
        self.memory.write64(WRITTEN_OFFSET, at);
    }

    /// Moves `oldest` behind every record of which `len` further bytes overwrite a part. Each step passes at least
    /// a record's length, so that there are no more steps than bytes.
    fn give_up(&self, written: u64, len: u64) {
        let oldest = self.memory.read64(OLDEST_OFFSET);
        // How many bytes of whole records there are, and how many of them stay.
        let mut kept = written.wrapping_sub(oldest);
        let room = self.capacity - len;
        if kept > self.capacity {
            kept = 0;
        }
        while kept > room {
            let at = written.wrapping_sub(kept);
            let low = self.memory.read8(self.place(at));
            let high = self.memory.read8(self.place(at.wrapping_add(1)));
            let whole = PREFIX_BYTES + u64::from(u16::from_le_bytes([low, high]));
            // What is longer than all there is was no record.
            kept = kept.saturating_sub(whole);
        }
        self.memory
            .write64(OLDEST_OFFSET, written.wrapping_sub(kept));
    }
}
