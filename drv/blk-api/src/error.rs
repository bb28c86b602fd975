//! The errors with which a block driver refuses a request.

use queue_api::desk::Refused;
use userlib::protocol::Refusal;

/// Why a call was refused, as its code, or how a request ended, in its [`Completion`](crate::Completion).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// No such operation or kind of request, or a message that is no message of the protocol.
    Malformed = 1,
    /// The request reaches beyond the last sector, or asks for no sectors at all.
    OutOfRange = 2,
    /// A write to a disk that is read-only.
    ReadOnly = 3,
    /// More than the geometry's `transfer_max` in one request.
    TooLarge = 4,
    /// The client has as many requests in flight as it may: collect first.
    QueueFull = 5,
    /// No such region, one that is too short, not page-aligned, or without the access the request needs.
    BadLease = 6,
    /// The driver has no room for the request now: other clients fill the device's queue, or no page
    /// can be pinned or mapped. Try again after a completion.
    Busy = 7,
    /// The device reported an error, or wrote less than it should have.
    Device = 8,
    /// The device does not know this kind of request.
    Unsupported = 9,
    /// The driver already knows as many clients as it can serve.
    TooManyClients = 10,
    /// The machine is about to be switched off: no new requests.
    ShuttingDown = 11,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::Malformed,
            Refused::TooManyClients => Self::TooManyClients,
            Refused::QueueFull => Self::QueueFull,
        }
    }
}

impl Refusal for Error {
    fn from_code(code: u32) -> Option<Self> {
        Self::from_code(code)
    }
    fn name(self) -> &'static str {
        self.name()
    }
}

impl Error {
    /// The error with this code; `None` for 0 (success) and what the protocol does not define.
    pub const fn from_code(code: u32) -> Option<Self> {
        Some(match code {
            1 => Self::Malformed,
            2 => Self::OutOfRange,
            3 => Self::ReadOnly,
            4 => Self::TooLarge,
            5 => Self::QueueFull,
            6 => Self::BadLease,
            7 => Self::Busy,
            8 => Self::Device,
            9 => Self::Unsupported,
            10 => Self::TooManyClients,
            11 => Self::ShuttingDown,
            _ => return None,
        })
    }

    /// The error's name, for a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::OutOfRange => "out of range",
            Self::ReadOnly => "read-only",
            Self::TooLarge => "too large",
            Self::QueueFull => "queue full",
            Self::BadLease => "bad lease",
            Self::Busy => "busy",
            Self::Device => "device error",
            Self::Unsupported => "unsupported",
            Self::TooManyClients => "too many clients",
            Self::ShuttingDown => "shutting down",
        }
    }
}
