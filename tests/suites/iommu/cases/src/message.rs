//! Messages word by word, so that each word can be wrong.

use abi::TaskId;
use iommu_api::Operation;
use userlib::config;
use userlib::ipc::{self, Answer, LeaseBuffer};

/// Words of the longest message.
const WORDS_MAX: usize = abi::MESSAGE_MAX / 8;

/// Every operation on a claim; the one that would take all the rest with it is the last.
pub const ON_CLAIM: [Operation; 10] = [
    Operation::Map,
    Operation::MapLease,
    Operation::MapList,
    Operation::Unmap,
    Operation::UnmapList,
    Operation::Exchange,
    Operation::ExchangeList,
    Operation::Flush,
    Operation::NextFault,
    Operation::Release,
];

/// Those of them whose requests have a sequence number.
pub fn numbered() -> impl Iterator<Item = Operation> {
    let all = ON_CLAIM.into_iter();
    all.filter(|operation| *operation != Operation::NextFault)
}

/// A message of so many bytes, made of words.
#[derive(Clone, Copy)]
pub struct Words {
    words: [u64; WORDS_MAX],
    /// Bytes that are sent.
    pub len: usize,
}

impl Words {
    /// These words.
    pub fn of(words: &[u64]) -> Self {
        let mut message = Self {
            words: [0; WORDS_MAX],
            len: 0,
        };
        for &word in words {
            message.push(word);
        }
        message
    }

    /// One more word; nothing if it is full.
    pub fn push(&mut self, word: u64) {
        if let Some(place) = self.words.get_mut(self.len / 8) {
            *place = word;
            self.len += 8;
        }
    }

    /// The same words, but of another length: cut, or with zeros after them.
    pub fn with_len(mut self, len: usize) -> Self {
        self.len = len.min(abi::MESSAGE_MAX);
        self
    }
}

/// An extent as it travels.
pub const fn extent(first: u64, pages: u64) -> u64 {
    first | pages << 32
}

/// A replacement as it travels: page of the pool, page of the window.
pub const fn replacement(page: u64, at: u64) -> u64 {
    page | at << 32
}

/// Fourth word of a map: pool or lease, and flags.
pub const fn what(number: u64, flags: u64) -> u64 {
    number | flags << 16
}

/// The server's id.
pub fn server() -> TaskId {
    let index = config::peer("iommu").map_or(usize::MAX, |peer| peer.index as usize);
    ipc::refresh(index).0
}

/// Sends it to the server.
pub fn send(
    operation: u16,
    message: &Words,
    capacity: usize,
    leases: &[LeaseBuffer<'_>],
) -> Answer {
    let target = server();
    if message.len <= abi::REGISTER_BYTES {
        let mut payload = [0; 8];
        for (to, from) in payload.iter_mut().zip(message.words) {
            *to = from;
        }
        return ipc::call(target, operation, &payload, message.len, capacity, leases);
    }
    let mut bytes = [0; abi::MESSAGE_MAX];
    for (to, word) in bytes.chunks_exact_mut(8).zip(message.words) {
        to.copy_from_slice(&word.to_le_bytes());
    }
    let mut reply = [0; abi::REGISTER_BYTES];
    let bytes = bytes.get(..message.len).unwrap_or(&bytes);
    let reply = reply.get_mut(..capacity).unwrap_or_default();
    ipc::call_long(target, operation, bytes, reply, leases)
}

/// Bytes of the reply to an operation.
pub const fn reply_len(operation: Operation) -> usize {
    match operation {
        Operation::Describe | Operation::NextFault => 32,
        Operation::Claim | Operation::Status => 48,
        Operation::Map | Operation::MapLease | Operation::MapList | Operation::Register => 8,
        Operation::Release
        | Operation::Unmap
        | Operation::UnmapList
        | Operation::Flush
        | Operation::Exchange
        | Operation::ExchangeList
        | Operation::Unregister => 0,
    }
}

/// A good message of an operation that names a device.
pub fn about_device(device: u64) -> Words {
    Words::of(&[device])
}

/// A message of an operation on a claim that would be served if `handle` and `sequence` are right,
/// something is mapped at `iova`, and page 0 of the caller's pool 0 may be mapped.
pub fn about_claim(operation: Operation, handle: u64, sequence: u64, iova: u64) -> Words {
    let page = extent(0, 1);
    let read = what(0, 1);
    match operation {
        Operation::Map => Words::of(&[handle, sequence, page, read, 0]),
        Operation::MapLease => Words::of(&[handle, sequence, page, read, 0, 0]),
        Operation::MapList => Words::of(&[handle, sequence, read, 0, page]),
        Operation::Register => Words::of(&[handle, sequence, page, 0, 0]),
        Operation::Unregister => Words::of(&[handle, sequence, u64::from(iommu_api::REGISTERED)]),
        Operation::Unmap => Words::of(&[handle, sequence, iova, 1]),
        Operation::UnmapList => Words::of(&[handle, sequence, extent(iova >> 12, 1)]),
        Operation::Exchange => Words::of(&[handle, sequence, page, read, iova]),
        Operation::ExchangeList => Words::of(&[handle, sequence, read, replacement(0, iova >> 12)]),
        Operation::Release | Operation::Flush => Words::of(&[handle, sequence]),
        Operation::NextFault => Words::of(&[handle]),
        Operation::Describe | Operation::Claim | Operation::Status => about_device(handle),
    }
}
