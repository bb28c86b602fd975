//! From all rings to the console, across the log task's restarts.
//!
//! How far each ring was read is kept in memory that survives a restart, and is noted when a record is on the
//! console. A new life therefore goes on where the last one ended: nothing is skipped, nothing is counted lost that
//! was printed, and the one record that was under way, if any, is printed whole (again, if only the note is missing).

use abi::TASKS_MAX;
use abi::log::{NEXT_FRAME_OFFSET, RECORD_MAX};
use heapless::Vec;
use userlib::memory::Memory;

use crate::frame::{self, Frame};
use crate::merge::Merge;
use crate::ring::{Next, Ring};

/// A task's ring, with the task's number.
struct Source<M> {
    task: u16,
    ring: Ring<M>,
}

/// All rings, and how far they were read.
pub struct Copier<M, C> {
    sources: Vec<Source<M>, TASKS_MAX>,
    cursors: C,
    merge: Merge,
}

/// The place at which a task's cursor is kept.
fn place(task: u16) -> usize {
    usize::from(task) * size_of::<u64>()
}

impl<M: Memory, C: Memory> Copier<M, C> {
    /// No ring yet; `cursors` is what an earlier life left, or zeros.
    pub fn new(cursors: C) -> Self {
        Self {
            sources: Vec::new(),
            cursors,
            merge: Merge::new(),
        }
    }

    /// Adds the ring of a task. Memory that is too small for one is left out.
    pub fn add(&mut self, task: u16, memory: M) {
        if let Some(ring) = Ring::new(memory, self.cursors.read64(place(task))) {
            // There are no more rings than tasks.
            let _ = self.sources.push(Source { task, ring });
        }
    }

    /// Sends what is next; false if there is nothing.
    pub fn copy(&mut self, send: impl FnOnce(&Frame)) -> bool {
        let waiting = self.sources.iter().enumerate();
        let waiting = waiting.filter_map(|(at, source)| Some((at, source.ring.time()?)));
        let Some(at) = self.merge.pick(waiting) else {
            return false;
        };
        let Some(Source { task, ring }) = self.sources.get_mut(at) else {
            return false;
        };
        let mut record = [0; RECORD_MAX];
        let number = self.cursors.read64(NEXT_FRAME_OFFSET) as u16;
        let frame = match ring.next(&mut record) {
            Next::Record(len) => frame::record(*task, number, record.get(..len).unwrap_or(&[])),
            Next::Lost(bytes) => frame::lost(*task, number, bytes),
            Next::Nothing => {
                self.cursors.write64(place(*task), ring.cursor());
                return true;
            }
        };
        send(&frame);
        // In this order: whoever dies in between gives a number twice, which no reader takes for a loss.
        self.cursors.write64(place(*task), ring.cursor());
        let next = u64::from(number.wrapping_add(1));
        self.cursors.write64(NEXT_FRAME_OFFSET, next);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use abi::log::HEADER_BYTES;
    use proptest::prelude::*;
    use std::cell::{Cell, RefCell};
    use std::vec;
    use userlib::ring::Writer;

    /// Plain memory; writes no longer arrive once its owner is dead.
    struct Plain {
        bytes: RefCell<std::vec::Vec<u8>>,
        dead: Cell<bool>,
    }

    impl Plain {
        fn new(len: usize) -> Self {
            Self {
                bytes: RefCell::new(vec![0; len]),
                dead: Cell::new(false),
            }
        }
    }

    impl Memory for &Plain {
        fn len(&self) -> usize {
            self.bytes.borrow().len()
        }
        fn read8(&self, offset: usize) -> u8 {
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
            if !self.dead.get() {
                let bytes = value.to_le_bytes();
                self.bytes.borrow_mut()[offset..offset + 8].copy_from_slice(&bytes);
            }
        }
    }

    /// What happens next to two writers and the log task.
    #[derive(Clone, Debug)]
    enum Event {
        Put(u16, u8),
        /// Prints so many records.
        Copy(u8),
        /// Dies with a record on the console that is not noted, or between two records.
        Die(bool),
    }

    fn events() -> impl Strategy<Value = std::vec::Vec<Event>> {
        let event = prop_oneof![
            4 => (0u16..2, 0u8..40).prop_map(|(task, len)| Event::Put(task, len)),
            3 => (0u8..5).prop_map(Event::Copy),
            1 => any::<bool>().prop_map(Event::Die),
        ];
        proptest::collection::vec(event, 0..200)
    }

    proptest! {
        /// Every record is printed, in order, or was lost to a full ring and is counted; printed again is only
        /// what was under way at a death. Frames are numbered without a gap.
        #[test]
        fn nothing_is_skipped_and_only_what_was_under_way_repeats(events in events()) {
            let rings = [Plain::new(HEADER_BYTES + 128), Plain::new(HEADER_BYTES + 128)];
            let cursors = Plain::new(NEXT_FRAME_OFFSET + 8);
            let begin = || {
                let mut copier = Copier::new(&cursors);
                for (task, ring) in (0..).zip(&rings) {
                    copier.add(task, ring);
                }
                copier
            };
            let mut copier = begin();
            let mut expected = [const { std::vec::Vec::<std::vec::Vec<u8>>::new() }; 2];
            let mut next = 0;
            let mut sizes = [const { std::vec::Vec::<u64>::new() }; 2];
            let mut number = 0;
            for event in events {
                let (copies, dying) = match event {
                    Event::Put(task, len) => {
                        number += 1;
                        let record = vec![number; usize::from(len)];
                        let at = usize::from(task);
                        Writer::new(&rings[at], 128).expect("it fits").put(&record);
                        expected[at].push(record.clone());
                        sizes[at].push(2 + u64::from(len));
                        continue;
                    }
                    Event::Copy(copies) => (copies, false),
                    Event::Die(under_way) => (u8::from(under_way), true),
                };
                for _ in 0..copies {
                    cursors.dead.set(dying);
                    let mut printed = None;
                    copier.copy(|frame| printed = Some(frame.clone()));
                    let Some(printed) = printed else { break };
                    // The next record, or a loss of as many bytes as the next few.
                    let found = (0..2usize).find_map(|at| {
                        let task = at as u16;
                        let record = expected[at].first();
                        if record.is_some_and(|record| printed == frame::record(task, next, record)) {
                            return Some((at, 1));
                        }
                        let counts = 1..=sizes[at].len();
                        let bytes = |count: usize| sizes[at][..count].iter().sum();
                        let lost = |count: &usize| printed == frame::lost(task, next, bytes(*count));
                        counts.into_iter().find(lost).map(|count| (at, count))
                    });
                    prop_assert!(found.is_some());
                    let (at, count) = found.expect("checked");
                    // What a dying life printed without a note is expected once more.
                    if !dying {
                        expected[at].drain(..count);
                        sizes[at].drain(..count);
                        next += 1;
                    }
                }
                if dying {
                    cursors.dead.set(false);
                    copier = begin();
                }
            }
        }
    }
}
