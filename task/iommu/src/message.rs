//! The form of messages.

use abi::TaskId;
use iommu_api::Error;
use userlib::ipc::Payload;

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

impl Request<'_> {
    /// Exact length, room for the reply, no leases.
    #[inline(always)]
    pub(crate) fn shape(&self, len: usize, reply: usize) -> Result<(), Error> {
        if self.len == len && self.reply_capacity >= reply && self.leases == 0 {
            Ok(())
        } else {
            Err(Error::Malformed)
        }
    }

    /// The message of a list: a header of `N` words, and at least one extent.
    pub(crate) fn list<const N: usize>(&self, reply: usize) -> Result<(&[u64; N], &[u64]), Error> {
        let whole = self.len.is_multiple_of(8) && self.leases == 0;
        if !whole || self.reply_capacity < reply {
            return Err(Error::Malformed);
        }
        let words = if self.len <= abi::REGISTER_BYTES {
            &self.payload[..]
        } else {
            self.long
        };
        words
            .get(..self.len / 8)
            .and_then(|words| words.split_first_chunk())
            .filter(|(_, extents)| !extents.is_empty())
            .ok_or(Error::Malformed)
    }
}

impl Reply {
    pub(crate) fn error(error: Error) -> Self {
        Self::Now {
            code: error as u32,
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
    #[inline(always)]
    pub(crate) fn recorded(recorded: &Recorded) -> Self {
        Self::Now {
            code: recorded.code,
            payload: [recorded.value, 0, 0, 0, 0, 0, 0, 0],
            len: recorded.len,
        }
    }
}
