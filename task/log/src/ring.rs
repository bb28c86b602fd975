//! Reads one task's ring (format at [`abi::log`]).

use abi::log::{HEADER_BYTES, OLDEST_OFFSET, PREFIX_BYTES, RECORD_MAX, WRITTEN_OFFSET};
use userlib::memory::{Memory, acquire};

/// Offset of a record's `defmt` timestamp: behind the 16-bit index of its format string.
const TIMESTAMP: u64 = 2;

/// The next thing in a ring.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// There is nothing new.
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
    /// Reads from `cursor`, which is 0 for whoever has read nothing yet. The data's size is the largest power of two
    /// that the memory has room for behind the header, which is how the build step sizes it. `None` if there is no
    /// room.
    pub fn new(memory: M, cursor: u64) -> Option<Self> {
        let room = memory.len().checked_sub(HEADER_BYTES)?;
        let capacity = 1u64 << room.checked_ilog2()?;
        Some(Self {
            memory,
            capacity,
            cursor,
        })
    }

    /// The position up to which the reader has read.
    pub fn cursor(&self) -> u64 {
        self.cursor
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

    /// How many bytes of whole records there are behind the cursor, by the writer's account; none unless that can
    /// be, and moves the cursor.
    fn kept(&self, written: u64) -> Option<u64> {
        let behind = written.checked_sub(self.cursor)?;
        let kept = written.checked_sub(self.memory.read64(OLDEST_OFFSET))?;
        (kept <= self.capacity && kept < behind).then_some(kept)
    }

    /// Whether what is at the cursor was overwritten, or is about to be.
    fn is_overtaken(&self, written: u64) -> bool {
        written.wrapping_sub(self.cursor) > self.capacity || self.kept(written).is_some()
    }

    /// When the next record was made, by the writer's account, in microseconds; 0 if it has no
    /// timestamp, or if there is a loss to tell of first; `None` if there is nothing. Good for sorting
    /// and for nothing else.
    pub fn time(&self) -> Option<u64> {
        let written = self.written();
        if written == self.cursor {
            return None;
        }
        if self.is_overtaken(written) {
            return Some(0);
        }
        let len = self.prefix();
        let mut time = [0; 8];
        if len >= TIMESTAMP + time.len() as u64 {
            let first = self.cursor.wrapping_add(PREFIX_BYTES + TIMESTAMP);
            for (position, byte) in (0..).zip(&mut time) {
                *byte = self.byte(first.wrapping_add(position));
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
        if self.is_overtaken(written) {
            return self.resume(written);
        }
        let len = self.prefix();
        let Some(to) = record.get_mut(..len as usize) else {
            return self.resume(written);
        };
        if PREFIX_BYTES + len > behind {
            return self.resume(written);
        }
        let start = self.cursor.wrapping_add(PREFIX_BYTES);
        for (position, byte) in (0..len).zip(to) {
            *byte = self.byte(start.wrapping_add(position));
        }
        acquire();
        // What was overtaken while it was copied may be torn.
        let after = self.written();
        if self.is_overtaken(after) {
            return self.resume(after);
        }
        self.cursor = start.wrapping_add(len);
        Next::Record(len as usize)
    }

    /// Goes on at the oldest whole record, or where the writer is now if it tells of none that can be. A count that
    /// moved backwards, which no honest writer makes, is reported as one whole ring.
    fn resume(&mut self, written: u64) -> Next {
        let kept = self.kept(written).unwrap_or(0);
        let to = written.wrapping_sub(kept);
        let lost = to.checked_sub(self.cursor).unwrap_or(self.capacity);
        self.cursor = to;
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
    use userlib::ring::Writer;

    /// A ring's memory.
    struct Shared {
        bytes: RefCell<Vec<u8>>,
        /// The number of byte reads after which the writer puts a hundred records.
        overtake: Cell<Option<u32>>,
    }

    impl Shared {
        fn new(capacity: usize) -> Self {
            Self {
                bytes: RefCell::new(vec![0; HEADER_BYTES + capacity]),
                overtake: Cell::new(None),
            }
        }
        fn set(&self, offset: usize, value: u64) {
            self.bytes.borrow_mut()[offset..offset + 8].copy_from_slice(&value.to_le_bytes());
        }
        fn put(&self, record: &[u8]) {
            let capacity = self.bytes.borrow().len() - HEADER_BYTES;
            let writer = Writer::new(self, capacity as u64).expect("a power of two");
            writer.put(record);
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
                    (0..100).for_each(|number| self.put(&[number; 10]));
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
            let bytes = self.bytes.borrow();
            u64::from_le_bytes(bytes[offset..offset + 8].try_into().expect("eight bytes"))
        }
        fn write8(&self, offset: usize, value: u8) {
            self.bytes.borrow_mut()[offset] = value;
        }
        fn write16(&self, _: usize, _: u16) {
            panic!("not used")
        }
        fn write32(&self, _: usize, _: u32) {
            panic!("not used")
        }
        fn write64(&self, offset: usize, value: u64) {
            self.set(offset, value);
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
            assert_eq!(
                Ring::new(&shared, 0).map(|ring| ring.capacity),
                Some(capacity)
            );
        }
        assert!(Ring::new(&Shared::new(0), 0).is_none());
    }

    #[test]
    fn times_are_peeked() {
        let shared = Shared::new(256);
        let mut ring = Ring::new(&shared, 0).expect("a ring");
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
    fn an_overrun_ring_keeps_its_newest_records() {
        let shared = Shared::new(64);
        let mut ring = Ring::new(&shared, 0).expect("a ring");
        for number in 0..7 {
            shared.put(&[number; 10]);
        }
        // Five records of twelve bytes fit.
        assert_eq!(ring.time(), Some(0), "the loss is told at once");
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(24));
        for number in 2..7 {
            assert_eq!(take(&mut ring), Some(vec![number; 10]));
        }
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Nothing);
        shared.put(b"again");
        assert_eq!(take(&mut ring), Some(b"again".to_vec()));
    }

    #[test]
    fn what_is_overtaken_while_copied_is_lost() {
        let shared = Shared::new(64);
        let mut ring = Ring::new(&shared, 0).expect("a ring");
        shared.put(&[1; 20]);
        shared.overtake.set(Some(10));
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(22 + 95 * 12));
        assert_eq!(take(&mut ring), Some(vec![95; 10]));
    }

    #[test]
    fn a_writer_that_is_about_to_overwrite_is_believed() {
        let shared = Shared::new(64);
        let mut ring = Ring::new(&shared, 0).expect("a ring");
        for number in 0..5 {
            shared.put(&[number; 10]);
        }
        // The writer stopped behind its first step: the count has not moved, the first record is being overwritten.
        shared.set(OLDEST_OFFSET, 12);
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(12));
        assert_eq!(take(&mut ring), Some(vec![1; 10]));
    }

    #[test]
    fn a_new_life_of_the_writer_goes_on_whatever_it_finds() {
        for (written, oldest, length) in [(50, 60, 0), (u64::MAX - 3, 7, 1), (70, 30, u16::MAX)] {
            let shared = Shared::new(64);
            let byte = length.to_le_bytes()[0];
            shared.bytes.borrow_mut()[HEADER_BYTES..].fill(byte);
            shared.set(WRITTEN_OFFSET, written);
            shared.set(OLDEST_OFFSET, oldest);
            let mut ring = Ring::new(&shared, written).expect("a ring");
            shared.put(b"first");
            shared.put(b"second");
            let all: Vec<_> = (0..2).map(|_| take(&mut ring)).collect();
            if written < 1000 {
                assert_eq!(all, [Some(b"first".to_vec()), Some(b"second".to_vec())]);
            }
            let [written, oldest] = [WRITTEN_OFFSET, OLDEST_OFFSET].map(|at| (&shared).read64(at));
            assert!(written.wrapping_sub(oldest) <= 64);
        }
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
            let mut ring = Ring::new(&shared, 0).expect("a ring");
            shared.bytes.borrow_mut()[HEADER_BYTES..HEADER_BYTES + bytes.len()]
                .copy_from_slice(bytes);
            shared.set(WRITTEN_OFFSET, written);
            assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(written));
        }
        let shared = Shared::new(64);
        let mut ring = Ring::new(&shared, 0).expect("a ring");
        shared.put(&[1; 20]);
        assert!(take(&mut ring).is_some());
        shared.set(WRITTEN_OFFSET, 3);
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Lost(64), "backwards");
        assert_eq!(ring.next(&mut [0; RECORD_MAX]), Next::Nothing);
    }

    proptest! {
        #[test]
        fn an_honest_writer_is_read_exactly(
            records in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 1..100),
        ) {
            let shared = Shared::new(128);
            let mut ring = Ring::new(&shared, 0).expect("a ring");
            for record in &records {
                shared.put(record);
                let taken = take(&mut ring);
                prop_assert_eq!(taken.as_ref(), Some(record));
            }
        }

        /// A ring that is overrun now and then: what is read is what was written, in its order, less what was lost,
        /// and the newest are never among that.
        #[test]
        fn what_is_not_lost_is_read_in_order(
            records in proptest::collection::vec(
                (proptest::collection::vec(any::<u8>(), 0..60), 0usize..4), 1..100),
        ) {
            let shared = Shared::new(128);
            let mut ring = Ring::new(&shared, 0).expect("a ring");
            let (mut to_come, mut bytes) = (Vec::new(), 0);
            for (record, taken) in &records {
                shared.put(record);
                to_come.push(record.clone());
                bytes += 2 + record.len() as u64;
                for _ in 0..*taken {
                    let mut buffer = [0; RECORD_MAX];
                    match ring.next(&mut buffer) {
                        Next::Nothing => prop_assert!(to_come.is_empty()),
                        Next::Record(len) => {
                            prop_assert_eq!(&buffer[..len], &to_come.remove(0)[..]);
                        }
                        Next::Lost(mut lost) => {
                            while lost > 0 {
                                lost -= 2 + to_come.remove(0).len() as u64;
                            }
                            let rest: u64 = to_come.iter().map(|r| 2 + r.len() as u64).sum();
                            prop_assert!(rest <= 128 && !to_come.is_empty());
                        }
                    }
                }
                prop_assert_eq!((&shared).read64(WRITTEN_OFFSET), bytes);
            }
        }

        #[test]
        fn any_ring_content_is_survived(
            bytes in proptest::collection::vec(any::<u8>(), 64),
            counts in proptest::collection::vec((any::<u64>(), any::<u64>()), 1..50),
        ) {
            let shared = Shared::new(64);
            shared.bytes.borrow_mut()[HEADER_BYTES..].copy_from_slice(&bytes);
            let mut ring = Ring::new(&shared, 0).expect("a ring");
            for (count, oldest) in counts {
                shared.set(WRITTEN_OFFSET, count);
                shared.set(OLDEST_OFFSET, oldest);
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
