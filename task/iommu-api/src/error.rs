//! Why the server refuses; each code has one meaning.

use userlib::protocol::Refusal;

/// Code of a reply; 0 is success, the kernel's codes ([`abi::Code`]) lie far above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// Unknown operation, wrong length, undefined bits, an empty list, or a count of 0.
    Malformed = 1,
    /// The plan has no device of that number.
    NoSuchDevice = 2,
    /// The plan gives the device to another task (or, for reading its status, not this right).
    NotOwner = 3,
    /// The handle is not of the device's current claim, or that claim is not the caller's.
    StaleHandle = 4,
    /// The device is being made quiet; the same request later may succeed.
    Busy = 5,
    /// The plan blocks the device, or it differs from the plan, or it shares its group with one that
    /// does.
    Blocked = 6,
    /// The device could not be made quiet: it stays cut off, and memory it could reach stays held.
    NotQuiet = 7,
    /// The sequence number is neither the next one nor the last.
    OutOfSequence = 8,
    /// The IOVA is not aligned, or the range is not wholly in the window's page part, or in its
    /// block part.
    BadRange = 9,
    /// Something is mapped in the range asked for.
    Overlap = 10,
    /// No run of free IOVAs is as long.
    NoSpace = 11,
    /// Something in the range is not mapped, or was mapped for another device of the alias set.
    NotMapped = 12,
    /// No such pool, or beyond its end, or not aligned to a block where one is asked for.
    BadMemory = 13,
    /// Writing without reading (stage 1 has no such right), no right at all, or more than a lease grants.
    BadPermissions = 14,
    /// The kernel knows of no such lease: the lender does not wait for the caller, or the range is not
    /// whole pages of one region.
    NoLease = 15,
    /// The device's pins are used up.
    PinsExhausted = 16,
    /// The range cuts a mapped lease in two: it is unmapped as a whole.
    PartOfLease = 17,
    /// The device faulted so often that its stream was blocked: release it and claim it again.
    StreamBlocked = 18,
    /// The SMMU or the PCI task does not serve: nothing was changed that opens anything.
    Unavailable = 19,
    /// The SMMU did not confirm an invalidation: the device is cut off, its mappings stay held.
    HardwareFailure = 20,
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
    /// Every error.
    pub const ALL: [Self; 20] = [
        Self::Malformed,
        Self::NoSuchDevice,
        Self::NotOwner,
        Self::StaleHandle,
        Self::Busy,
        Self::Blocked,
        Self::NotQuiet,
        Self::OutOfSequence,
        Self::BadRange,
        Self::Overlap,
        Self::NoSpace,
        Self::NotMapped,
        Self::BadMemory,
        Self::BadPermissions,
        Self::NoLease,
        Self::PinsExhausted,
        Self::PartOfLease,
        Self::StreamBlocked,
        Self::Unavailable,
        Self::HardwareFailure,
    ];

    /// The error of a reply's code; none for 0 and for codes that this protocol does not define.
    pub fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|error| *error as u32 == code)
    }

    /// The error's name, for a log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NoSuchDevice => "no such device",
            Self::NotOwner => "not the owner",
            Self::StaleHandle => "stale handle",
            Self::Busy => "busy",
            Self::Blocked => "blocked",
            Self::NotQuiet => "not quiet",
            Self::OutOfSequence => "out of sequence",
            Self::BadRange => "bad range",
            Self::Overlap => "overlap",
            Self::NoSpace => "no space",
            Self::NotMapped => "not mapped",
            Self::BadMemory => "bad memory",
            Self::BadPermissions => "bad permissions",
            Self::NoLease => "no lease",
            Self::PinsExhausted => "pins exhausted",
            Self::PartOfLease => "part of a lease",
            Self::StreamBlocked => "stream blocked",
            Self::Unavailable => "unavailable",
            Self::HardwareFailure => "hardware failure",
        }
    }
}
