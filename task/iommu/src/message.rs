//! The form of messages.

use abi::{SendDescriptor, TaskId};
use iommu_api::{Error, Exchange, Map, Operation, Unmap};
use userlib::ipc::Payload;
use userlib::protocol::Wire;

use crate::session::Recorded;

/// A message as received.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The sender, which waits for the reply.
    pub sender: TaskId,
    /// The operation that is asked for.
    pub operation: u16,
    /// Bytes of the message.
    pub len: usize,
    /// Bytes the sender can take.
    pub reply_capacity: usize,
    /// The message if it is at most 64 bytes.
    pub payload: Payload,
    /// The message if it is longer: at least its first `len` bytes, as words.
    pub long: &'a [u64],
    /// Leases attached; this protocol has none.
    pub leases: usize,
}

/// The reply to a request, now or later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reply {
    /// Reply now.
    Now {
        /// 0 or an [`Error`].
        code: u32,
        /// The payload, whose first `len` bytes are sent.
        payload: Payload,
        /// Bytes.
        len: usize,
    },
    /// The server replies later, through [`System::reply`](crate::hardware::System::reply).
    Later,
}

/// The form of a message, but for the bytes that its sender can take.
const fn form(operation: Operation, len: usize) -> u64 {
    SendDescriptor::new(operation as u16, len as u16, 0, 0).0
}

const MAP: u64 = form(Operation::Map, Map::LEN);
const EXCHANGE: u64 = form(Operation::Exchange, Exchange::LEN);
const UNMAP: u64 = form(Operation::Unmap, Unmap::LEN);
/// The bits that say how many bytes a sender can take.
const CAPACITY: u64 = SendDescriptor::new(0, 0, u16::MAX, 0).0;
/// Those that are set if it can take a word.
const WORD: u64 = SendDescriptor::new(0, 0, u16::MAX << 3, 0).0;

/// Whether a message is a `map`: exact length, room for the reply, no leases.
#[inline(always)]
pub const fn is_map(form: SendDescriptor) -> bool {
    form.0 & !CAPACITY == MAP && form.0 & WORD != 0
}

/// Whether a message is an `unmap`.
#[inline(always)]
pub const fn is_unmap(form: SendDescriptor) -> bool {
    form.0 & !CAPACITY == UNMAP
}

/// Whether a message is an `exchange`.
#[inline(always)]
pub const fn is_exchange(form: SendDescriptor) -> bool {
    form.0 & !CAPACITY == EXCHANGE
}

/// Whether a message is a list, of whatever length.
#[inline(always)]
pub const fn is_list(form: SendDescriptor) -> bool {
    const LISTS: u32 = 1 << Operation::MapList as u16
        | 1 << Operation::UnmapList as u16
        | 1 << Operation::ExchangeList as u16;
    let operation = form.operation() as u32;
    operation < u32::BITS && LISTS >> operation & 1 != 0
}

/// The bits that are set if a message has leases.
const LEASES: u64 = SendDescriptor::RESERVED | SendDescriptor::new(0, 0, 0, 3).0;

/// What a list is made of: a header of `N` words, and at least one extent.
#[inline(always)]
pub(crate) fn list<const N: usize>(
    form: SendDescriptor,
    message: &[u64],
    reply: usize,
) -> Result<(&[u64; N], &[u64]), Error> {
    let whole = form.len().is_multiple_of(8) && form.0 & LEASES == 0;
    if !whole || form.reply_capacity() < reply {
        return Err(Error::Malformed);
    }
    message
        .get(..form.len() / 8)
        .and_then(|words| words.split_first_chunk())
        .filter(|(_, extents)| !extents.is_empty())
        .ok_or(Error::Malformed)
}

impl Request<'_> {
    /// The message's form in one word. Lengths beyond what there can be are those of no message.
    pub(crate) fn form(&self) -> SendDescriptor {
        let bytes = |len: usize| u16::try_from(len).unwrap_or(u16::MAX);
        let (len, capacity) = (bytes(self.len), bytes(self.reply_capacity));
        let leases = u8::try_from(self.leases).unwrap_or(u8::MAX);
        SendDescriptor::new(self.operation, len, capacity, leases)
    }

    /// Exact length, room for the reply, no leases.
    #[inline(always)]
    pub(crate) fn shape(&self, len: usize, reply: usize) -> Result<(), Error> {
        if self.len == len && self.reply_capacity >= reply && self.leases == 0 {
            Ok(())
        } else {
            Err(Error::Malformed)
        }
    }

    /// The message's words.
    pub(crate) fn words(&self) -> &[u64] {
        if self.len <= abi::REGISTER_BYTES {
            &self.payload
        } else {
            self.long
        }
    }
}

impl Reply {
    pub(crate) fn error(error: Error) -> Self {
        Self::refusal(error as u32)
    }
    /// A code alone.
    pub(crate) fn refusal(code: u32) -> Self {
        Self::Now {
            code,
            payload: [0; 8],
            len: 0,
        }
    }
    pub(crate) fn words(payload: Payload, len: usize) -> Self {
        Self::Now {
            code: 0,
            payload,
            len,
        }
    }
    pub(crate) fn recorded(recorded: Recorded) -> Self {
        Self::Now {
            code: recorded.code(),
            payload: [recorded.value(), 0, 0, 0, 0, 0, 0, 0],
            len: recorded.len(),
        }
    }
}
