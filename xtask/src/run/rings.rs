//! The tasks' log rings, read out of the guest's memory from outside: an image without a log task, or
//! one that hangs, still tells what its tasks said.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use abi::log::RECORD_MAX;
use log_server::ring::{Next, Ring};
use userlib::memory::Memory;

use super::piece::Piece;
use crate::qemu::Monitor;
use builder::layout::{Extent, Placement};

/// The last copy of one ring.
#[derive(Clone, Default)]
struct Copy(Rc<RefCell<Vec<u8>>>);

impl Copy {
    fn bytes<const N: usize>(&self, offset: usize) -> [u8; N] {
        let mut value = [0; N];
        if let Some(from) = self.0.borrow().get(offset..offset.saturating_add(N)) {
            value.copy_from_slice(from);
        }
        value
    }
}

/// Nothing is ever written: the rings belong to the tasks.
impl Memory for Copy {
    fn len(&self) -> usize {
        self.0.borrow().len()
    }
    fn read8(&self, offset: usize) -> u8 {
        u8::from_le_bytes(self.bytes(offset))
    }
    fn read16(&self, offset: usize) -> u16 {
        u16::from_le_bytes(self.bytes(offset))
    }
    fn read32(&self, offset: usize) -> u32 {
        u32::from_le_bytes(self.bytes(offset))
    }
    fn read64(&self, offset: usize) -> u64 {
        u64::from_le_bytes(self.bytes(offset))
    }
    fn write8(&self, _: usize, _: u8) {}
    fn write16(&self, _: usize, _: u16) {}
    fn write32(&self, _: usize, _: u32) {}
    fn write64(&self, _: usize, _: u64) {}
}

/// One task's ring and how far it was read.
struct Reader {
    task: u16,
    place: Extent,
    copy: Copy,
    ring: Ring<Copy>,
}

/// All rings of a system.
#[derive(Default)]
pub struct Rings(Vec<Reader>);

impl Rings {
    pub fn new(placement: &Placement) -> Self {
        let readers = placement
            .tasks
            .iter()
            .enumerate()
            .filter_map(|(index, task)| {
                let copy = Copy::default();
                copy.0
                    .borrow_mut()
                    .resize(usize::try_from(task.log.len).ok()?, 0);
                Some(Reader {
                    task: u16::try_from(index).ok()?,
                    place: task.log,
                    ring: Ring::new(copy.clone(), 0)?,
                    copy,
                })
            });
        Self(readers.collect())
    }

    /// The lines that were logged since the last call, with the writers' times in microseconds, oldest first.
    /// A ring that cannot be read has nothing new; none if that is so of all, because the guest has ended.
    pub fn news(&mut self, monitor: &mut Monitor, scratch: &Path) -> Option<Vec<(u64, Piece)>> {
        let file = scratch.join("ring");
        let mut pieces = Vec::new();
        let mut any = false;
        for reader in &mut self.0 {
            let arguments = serde_json::json!({
                "val": reader.place.pa,
                "size": reader.place.len,
                "filename": file,
            });
            let Ok(Ok(_)) = monitor.ask("pmemsave", &arguments) else {
                continue;
            };
            let Ok(bytes) = std::fs::read(&file) else {
                continue;
            };
            any = true;
            *reader.copy.0.borrow_mut() = bytes;
            reader.news(&mut pieces);
        }
        pieces.sort_by_key(|(time, _)| *time);
        any.then_some(pieces)
    }
}

impl Reader {
    fn news(&mut self, pieces: &mut Vec<(u64, Piece)>) {
        let mut record = [0; RECORD_MAX];
        loop {
            let time = self.ring.time().unwrap_or(0);
            match self.ring.next(&mut record) {
                Next::Nothing => return,
                Next::Record(len) => {
                    let bytes = record.get(..len).unwrap_or_default();
                    pieces.push((time, Piece::Record(self.task, bytes.to_vec())));
                }
                Next::Lost(bytes) => pieces.push((time, Piece::Lost(self.task, bytes))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_since_the_last_copy() {
        let copy = Copy::default();
        let mut bytes = vec![0; abi::log::HEADER_BYTES + 64];
        *copy.0.borrow_mut() = bytes.clone();
        let ring = Ring::new(copy.clone(), 0).unwrap();
        let mut reader = Reader {
            task: 3,
            place: Extent::default(),
            copy: copy.clone(),
            ring,
        };
        let mut pieces = Vec::new();
        reader.news(&mut pieces);
        assert_eq!(pieces, []);
        // A record of three bytes has no time; one of ten has it behind its format's index.
        bytes[..8].copy_from_slice(&17u64.to_le_bytes());
        bytes[64..69].copy_from_slice(&[3, 0, 7, 8, 9]);
        bytes[69..81].copy_from_slice(&[10, 0, 1, 2, 5, 0, 0, 0, 0, 0, 0, 0]);
        *copy.0.borrow_mut() = bytes;
        reader.news(&mut pieces);
        let timed = vec![1, 2, 5, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(
            pieces,
            [
                (0, Piece::Record(3, vec![7, 8, 9])),
                (5, Piece::Record(3, timed))
            ]
        );
        reader.news(&mut pieces);
        assert_eq!(pieces.len(), 2);
    }
}
