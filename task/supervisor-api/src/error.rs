//! Why the supervisor refuses.

use userlib::protocol::Refusal;

/// Code of a reply; 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// Unknown operation, wrong length, or text that is not printable UTF-8.
    Malformed = 1,
}

impl Refusal for Error {
    fn from_code(code: u32) -> Option<Self> {
        (code == Self::Malformed as u32).then_some(Self::Malformed)
    }
    fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
        }
    }
}
