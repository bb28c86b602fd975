//! Reads one task's ring (format at [`abi::log`]).

use abi::log::{HEADER_BYTES, RECORD_MAX, WRITTEN_OFFSET};
use userlib::memory::{Memory, acquire};

/// Where a record's `defmt` timestamp is: behind the 16-bit index of its format string.
const TIMESTAMP: u64 = 2;
/// Bytes of a record's length.
const PREFIX: u64 = 2;

/// What a ring has next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing new.
    Nothing,
    /// A record of so many bytes was copied.
    Record(usize),
    /// So many bytes were overwritten before they were read, or made no sense; reading goes on behind them.
    Lost(u64),
}

/// The reader's side of a ring. All its state is here; the ring itself is believed nothing.
#[derive(Debug)]
pub struct Ring<M> {
    memory: M,
    capacity: u64,
    cursor: u64,
}

impl<M: Memory> Ring<M> {
    /// Reads from the start. The data's size is the largest power of two that the memory has room for
    /// behind the header, which is how the build step sizes it. `None` if there is no room.
    pub fn new(memory: M) -> Option<Self> {
        let room = memory.len().checked_sub(HEADER_BYTES)?;
        let capacity = 1u64 << room.checked_ilog2()?;
        Some(Self {
            memory,
            capacity,
            cursor: 0,
        })
    }

    fn byte(&self, position: u64) -> u8 {
        let offset = position & (self.capacity - 1);
        self.memory.read8(HEADER_BYTES + offset as usize)
    }

    fn written(&self) -> u64 {
        let written = self.memory.read64(WRITTEN_OFFSET);
        acquire();
        written
    }

    fn prefix(&self) -> u64 {
        u64::from(u16::from_le_bytes([
            self.byte(self.cursor),
            self.byte(self.cursor.wrapping_add(1)),
        ]))
    }

    /// When the next record was made, by the writer's account, in microseconds; 0 if it has no
    /// timestamp, `None` if there is nothing. Good for sorting and for nothing else.
    pub fn time(&self) -> Option<u64> {
        if self.written() == self.cursor {
            return None;
        }
        let len = self.prefix();
        let mut time = [0; 8];
        if len >= TIMESTAMP + time.len() as u64 {
            for (position, byte) in (self.cursor.wrapping_add(PREFIX + TIMESTAMP)..).zip(&mut time)
            {
                *byte = self.byte(position);
            }
        }
        Some(u64::from_le_bytes(time))
    }

    /// Copies the next record out.
    pub fn next(&mut self, record: &mut [u8; RECORD_MAX]) -> Next {
        let written = self.written();
        let behind = written.wrapping_sub(self.cursor);
        if behind == 0 {
            return Next::Nothing;
        }
        if behind > self.capacity {
            return self.resume(written);
        }
        let len = self.prefix();
        let Some(to) = record.get_mut(..len as usize) else {
            return self.resume(written);
        };
        if PREFIX + len > behind {
            return self.resume(written);
        }
        let start = self.cursor.wrapping_add(PREFIX);
        for (position, byte) in (0..len).zip(to) {
            *byte = self.byte(start.wrapping_add(position));
        }
        // What was overtaken while it was copied may be torn.
        let after = self.written();
        if after.wrapping_sub(self.cursor) > self.capacity {
            return self.resume(after);
        }
        self.cursor = start.wrapping_add(len);
        Next::Record(len as usize)
    }

    /// Goes on where the writer is now: the only place known to be the start of a record. A count that
    /// moved backwards, which no honest writer makes, is reported as one whole ring.
    fn resume(&mut self, written: u64) -> Next {
        let lost = written.checked_sub(self.cursor).unwrap_or(self.capacity);
        self.cursor = written;
        Next::Lost(lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::cell::{Cell, RefCell};
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    /// A ring's memory, with the honest writer's side of it.
    struct Shared {
        bytes: RefCell<Vec<u8>>,
        /// Overwrites the ring once, after so many byte reads.
        overtake: Cell<Option<u32>>,
    }

    impl Shared {
        fn new(capacity: usize) -> Self {
            Self {
                bytes: RefCell::new(vec![0; HEADER_BYTES + capacity]),
                overtake: Cell::new(None),
            }
        }
        fn set_written(&self, written: u64) {
            self.bytes.borrow_mut()[..8].copy_from_slice(&written.to_le_bytes());
        }
        fn written(&self) -> u64 {
            u64::from_le_bytes(self.bytes.borrow()[..8].try_into().expect("eight bytes"))
        }
        fn put(&self, record: &[u8]) {
            let mut at = self.written();
            let capacity = self.bytes.borrow().len() - HEADER_BYTES;
            let prefix = (record.len() as u16).to_le_bytes();
            for byte in prefix.iter().chain(record) {
                let offset = HEADER_BYTES + at as usize % capacity;
                self.bytes.borrow_mut()[offset] = *byte;
                at += 1;
            }
            self.set_written(at);
        }
    }

    impl Memory for &Shared {
        fn len(&self) -> usize {
            self.bytes.borrow().len()
        }
        fn read8(&self, offset: usize) -> u8 {
            match self.overtake.get() {
                Some(0) => {
                    self.overtake.set(None);
                    self.set_written(self.written() + 4096);
                }
                Some(n) => self.overtake.set(Some(n - 1)),
                None => {}
            }
            self.bytes.borrow()[offset]
        }
        fn read16(&self, _: usize) -> u16 {
            panic!("not used")
        }
        fn read32(&self, _: usize) -> u32 {
            panic!("not used")
        }
        fn read64(&self, offset: usize) -> u64 {
            assert_eq!(offset, WRITTEN_OFFSET);
            self.written()
        }
        fn write8(&self, _: usize, _: u8) {
            panic!("the reader writes nothing")
        }
        fn write16(&self, _: usize, _: u16) {
            panic!("the reader writes nothing")
        }
        fn write32(&self, _: usize, _: u32) {
            panic!("the reader writes nothing")
        }
        fn write64(&self, _: usize, _: u64) {
            panic!("the reader writes nothing")
        }
    }

    fn take(ring: &mut Ring<&Shared>) -> Option<Vec<u8>> {
        let mut record = [0; RECORD_MAX];
        match ring.next(&mut record) {
            Next::Record(len) => Some(record[..len].to_vec()),
            _ => None,
        }
    }

    #[test]
    fn the_capacity_is_what_fits() {
        for (len, capacity) in [(64 + 4096, 4096), (8192, 4096), (4096, 2048), (64 + 1, 1)] {
            let shared = Shared::new(len - HEADER_BYTES);
            assert_eq!(Ring::new(&shared).map(|ring| ring.capacity), Some(capacity));
        }
        assert!(Ring::new(&Shared::new(0)).is_none());
    }

    #[test]
    fn times_are_peeked() {
        let shared = Shared::new(256);
        let mut ring = Ring::new(&shared).expect("a ring");
        assert_eq!(ring.time(), None);
        let mut record = vec![7, 0];
        record.extend(0x0102_0304_0506_0708u64.to_le_bytes());
        shared.put(&record);
        shared.put(&[1, 2, 3]);
        assert_eq!(ring.time(), Some(0x0102_0304_0506_0708));
        assert_eq!(take(&mut ring), Some(record));
        assert_eq!(ring.time(), Some(0));
    }

    #[test]
    fn loss_is_counted_and_reading_goes_on() {
        let shared = Shared::new(64);
        let mut ring = Ring::new(&shared).expect("a ring");
        for _ in 0..7 {
            shared.put(&[9; 10]);
        }
        let mut record = [0; RECORD_MAX];
        assert_eq!(ring.next(&mut record), Next::Lost(84));
        assert_eq!(ring.next(&mut record), Next::Nothing);
        shared.put(b"again");
        assert_eq!(take(&mut ring), Some(b"again".to_vec()));
    }

    #[test]
    fn what_is_overtaken_while_copied_is_lost() {
        let shared = Shared::new(64);
        let mut ring = Ring::new(&shared).expect("a ring");
        shared.put(&[1; 20]);
        shared.overtake.set(Some(10));
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(22 + 4096));
    }

    #[test]
    fn lies_are_loss() {
        let lies: [(&[u8], u64); 3] = [
            // Longer than any record.
            (&[0xff, 0xff], 60),
            // Longer than what is there.
            (&[20, 0], 10),
            // Half a length.
            (&[1, 0], 1),
        ];
        for (bytes, written) in lies {
            let shared = Shared::new(64);
            let mut ring = Ring::new(&shared).expect("a ring");
            shared.bytes.borrow_mut()[HEADER_BYTES..HEADER_BYTES + bytes.len()]
                .copy_from_slice(bytes);
            shared.set_written(written);
            assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(written));
        }
        let shared = Shared::new(64);
        let mut ring = Ring::new(&shared).expect("a ring");
        shared.put(&[1; 20]);
        assert!(take(&mut ring).is_some());
        shared.set_written(3);
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(64), "backwards");
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Nothing);
    }

    proptest! {
        #[test]
        fn an_honest_writer_is_read_exactly(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..100),
        ) {
            let shared = Shared::new(128);
            let mut ring = Ring::new(&shared).expect("a ring");
            for record in &records {
                shared.put(record);
                let taken = take(&mut ring);
                prop_assert_eq!(taken.as_ref(), Some(record));
            }
        }

        #[test]
        fn any_ring_content_is_survived(
            bytes in proptest::collection::vec(any::<u8>(), 64),
            counts in proptest::collection::vec(any::<u64>(), 1..50),
        ) {
            let shared = Shared::new(64);
            shared.bytes.borrow_mut()[HEADER_BYTES..].copy_from_slice(&bytes);
            let mut ring = Ring::new(&shared).expect("a ring");
            for count in counts {
                shared.set_written(count);
                // Each step either ends or moves on; a ring cannot keep its reader busy for ever.
                let steps = (0..100).find(|_| {
                    ring.time();
                    ring.next(&mut [0; RECORD_MAX]) == Next::Nothing
                });
                prop_assert!(steps.is_some());
            }
        }
    }
}
