//! What a claimant gets: the result of a request, and how often it has claimed.

use abi::{ReplyDescriptor, TaskId};
use iommu_api::{Error, Operation};

/// The result of a request whose reply has a word at most, with the request's operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Recorded {
    /// The reply's descriptor, which is never a wide one's, with the operation above its length.
    form: u64,
    value: u64,
}

/// Where the operation is.
const OPERATION_SHIFT: u32 = 48;

/// The bits that are the operation's.
const OPERATION: u64 = u64::MAX << OPERATION_SHIFT;

const _: () = assert!(ReplyDescriptor::new(u32::MAX, u16::MAX).0 == !OPERATION);

impl Recorded {
    /// The record while no request has been made.
    pub(crate) const NOTHING: Self = Self { form: 0, value: 0 };

    /// The record of a request with its result.
    #[inline(always)]
    pub(crate) fn new(operation: Operation, result: Result<Option<u64>, Error>) -> Self {
        let (code, value, len) = match result {
            Ok(Some(value)) => (0, value, 8),
            Ok(None) => (0, 0, 0),
            Err(error) => (error as u32, 0, 0),
        };
        let operation = (operation as u64) << OPERATION_SHIFT;
        Self {
            form: ReplyDescriptor::new(code, len).0 | operation,
            value,
        }
    }

    /// The result of a request that was refused before it could be recorded.
    #[cold]
    pub(crate) fn refusal(error: Error) -> Self {
        Self {
            form: ReplyDescriptor::new(error as u32, 0).0,
            value: 0,
        }
    }

    /// The request's operation.
    pub const fn operation(self) -> u16 {
        (self.form >> OPERATION_SHIFT) as u16
    }
    /// The descriptor of the reply.
    #[inline(always)]
    pub const fn reply(self) -> ReplyDescriptor {
        ReplyDescriptor(self.form & !OPERATION)
    }
    /// The code of the reply.
    #[inline(always)]
    pub const fn code(self) -> u32 {
        self.reply().code()
    }
    /// Bytes of the reply.
    #[inline(always)]
    pub const fn len(self) -> usize {
        self.reply().len()
    }
    /// Whether the reply has no payload.
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }
    /// Payload of the reply.
    #[inline(always)]
    pub const fn value(self) -> u64 {
        self.value
    }
}

/// The claims of a device, as far as the log is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// Claims so far.
    claims: u64,
    /// The life that claimed last, and how often it did.
    claims_of: (TaskId, u64),
}

impl Session {
    /// No claim yet.
    pub(crate) const NONE: Self = Self {
        claims: 0,
        claims_of: (TaskId::KERNEL, 0),
    };

    /// A new claim by `owner`.
    pub(crate) fn begin_claim(&mut self, owner: TaskId) {
        self.claims += 1;
        self.claims_of = match self.claims_of {
            (life, times) if life == owner => (life, times + 1),
            _ => (owner, 1),
        };
    }

    /// Claims so far.
    pub const fn claims(&self) -> u64 {
        self.claims
    }
    /// Whether the current claim is the first of its life: a task that claims and releases over and over
    /// is told of once.
    pub const fn is_first_of_life(&self) -> bool {
        self.claims_of.1 == 1
    }
}
