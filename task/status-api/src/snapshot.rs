//! The answer: a version, how many records there are, and one of them.

use postcard::experimental::max_size::MaxSize;
use serde::{Deserialize, Serialize};
use userlib::abi::REGISTER_BYTES;
use userlib::ipc::{self, Payload};
use userlib::packed;
use userlib::protocol::Wire;

use crate::Record;

/// The version of the records, which is the first byte of each answer. It changes whenever a record does.
pub const VERSION: u8 = 1;

/// One record, and how many there are of its subject.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, MaxSize)]
pub struct Snapshot {
    version: u8,
    /// How many records the server has of this subject.
    pub count: u8,
    /// The record that was asked for.
    pub record: Record,
}

const _: () = assert!(Snapshot::POSTCARD_MAX_SIZE <= REGISTER_BYTES);

/// Why bytes are no snapshot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unreadable {
    /// They are of another version.
    Version(u8),
    /// They are not what any server writes.
    Malformed,
}

impl Snapshot {
    /// A record as one of `count`.
    pub fn new(count: usize, record: Record) -> Self {
        Self {
            version: VERSION,
            count: u8::try_from(count).unwrap_or(u8::MAX),
            record,
        }
    }

    /// Reads an answer's bytes. Zeros at the end may be missing.
    ///
    /// # Errors
    /// The bytes are of another version, or are no snapshot.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Unreadable> {
        match bytes.first() {
            None => return Err(Unreadable::Malformed),
            Some(&VERSION) => {}
            Some(&other) => return Err(Unreadable::Version(other)),
        }
        if bytes.len() > REGISTER_BYTES {
            return Err(Unreadable::Malformed);
        }
        Self::from_words(&ipc::payload_of(bytes)).ok_or(Unreadable::Malformed)
    }

    fn is_good(&self) -> bool {
        let (name, rest) = match &self.record {
            Record::Task(task) => (&task.name, true),
            Record::Device(device) => (&device.name, device.is_good()),
            Record::Smmu(smmu) => (&smmu.name, true),
            Record::Function(function) => (&function.name, true),
        };
        self.version == VERSION && name.is_good() && rest
    }
}

impl Wire for Snapshot {
    const LEN: usize = REGISTER_BYTES;

    fn to_words(&self) -> Payload {
        packed::to_words(self)
    }

    fn from_words(words: &Payload) -> Option<Self> {
        packed::from_words(words).filter(Self::is_good)
    }
}

#[cfg(test)]
mod tests;
