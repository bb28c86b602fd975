//! The errors with which the driver of a network interface refuses a request.

use queue_api::desk::Refused;
use userlib::protocol::Refusal;

/// Why a call was refused, as its code, or how a request ended, in its [`Completion`](crate::Completion).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// No such operation or kind of request, or a message that is no message of the protocol.
    Malformed = 1,
    /// No frame is as short or as long, or the page has less room than a frame may need.
    Length = 2,
    /// No such region, one that is too short, not page-aligned, or without the access the request needs; or a frame
    /// that does not lie in one page.
    BadLease = 3,
    /// The driver has no room for the request now, or no page can be pinned or mapped. Try again after a completion.
    Busy = 4,
    /// The client has as many requests under way as it may: collect first.
    QueueFull = 5,
    /// The frame arrived damaged; what the page holds is no frame.
    Damaged = 6,
    /// The device was reset while it had the request: a frame to go may have gone, and no frame came. Give the page again.
    Reset = 7,
    /// The plan gives the interface to another task.
    NotClient = 8,
    /// The machine is about to be switched off: no new requests.
    ShuttingDown = 9,
}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::Malformed,
            Refused::TooManyClients => Self::NotClient,
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
            2 => Self::Length,
            3 => Self::BadLease,
            4 => Self::Busy,
            5 => Self::QueueFull,
            6 => Self::Damaged,
            7 => Self::Reset,
            8 => Self::NotClient,
            9 => Self::ShuttingDown,
            _ => return None,
        })
    }

    /// The error's name, for a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Length => "no frame is as long",
            Self::BadLease => "bad lease",
            Self::Busy => "busy",
            Self::QueueFull => "queue full",
            Self::Damaged => "damaged",
            Self::Reset => "the device was reset",
            Self::NotClient => "not its client",
            Self::ShuttingDown => "shutting down",
        }
    }
}
