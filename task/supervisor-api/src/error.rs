//! Why the supervisor refuses.

use userlib::protocol::Refusal;

/// Code of a reply; 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// Unknown operation, wrong length, or text that is not printable UTF-8.
    Malformed = 1,
    /// The caller says that it has finished, and is not being asked to.
    NotAsked = 2,
}

impl Refusal for Error {
    fn from_code(code: u32) -> Option<Self> {
        match code {
            1 => Some(Self::Malformed),
            2 => Some(Self::NotAsked),
            _ => None,
        }
    }
    fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotAsked => "not asked",
        }
    }
}
