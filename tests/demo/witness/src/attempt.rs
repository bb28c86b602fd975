//! The attempts that the rogue makes and reports. All messages fit the payload registers; the reply
//! is empty.

use userlib::ipc::{Payload, words};
use userlib::protocol::Wire;

/// A message with an [`Attempt`].
pub const ATTEMPT: u16 = 1;
/// A message with a [`Finished`].
pub const FINISHED: u16 = 2;
/// Code of the reply to what is no message of this protocol.
pub const MALFORMED: u32 = 1;

/// The target of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Target {
    /// The kernel's image.
    Kernel = 0,
    /// A page table that the SMMU walks.
    PageTable = 1,
    /// The witness's pool.
    VictimPool = 2,
    /// The SMMU's registers.
    Smmu = 3,
    /// The doorbell of the interrupt translation service.
    Its = 4,
    /// A page of its own, after its unmap.
    Unmapped = 5,
    /// A page of its own that is mapped read-only.
    ReadOnly = 6,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Kernel,
        Self::PageTable,
        Self::VictimPool,
        Self::Smmu,
        Self::Its,
        Self::Unmapped,
        Self::ReadOnly,
    ];

    /// For a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel image",
            Self::PageTable => "page table",
            Self::VictimPool => "pool of another task",
            Self::Smmu => "SMMU registers",
            Self::Its => "ITS doorbell",
            Self::Unmapped => "page after its unmap",
            Self::ReadOnly => "read-only mapping",
        }
    }

    /// Name of the plan's parameter that holds its address; `None` if it is the rogue's own page.
    pub const fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Kernel => Some("kernel"),
            Self::PageTable => Some("page-table"),
            Self::VictimPool => Some("victim-pool"),
            Self::Smmu => Some("smmu"),
            Self::Its => Some("its"),
            Self::Unmapped | Self::ReadOnly => None,
        }
    }

    /// Whether reading it is an attempt; reading what is mapped is none.
    pub const fn read_is_forbidden(self) -> bool {
        !matches!(self, Self::ReadOnly)
    }

    /// The fault that must come back (IHI 0070 §7.3): F_PERMISSION where there is a mapping, else
    /// F_TRANSLATION.
    pub const fn event(self) -> u8 {
        match self {
            Self::ReadOnly => 0x13,
            _ => 0x10,
        }
    }

    const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Kernel,
            1 => Self::PageTable,
            2 => Self::VictimPool,
            3 => Self::Smmu,
            4 => Self::Its,
            5 => Self::Unmapped,
            6 => Self::ReadOnly,
            _ => return None,
        })
    }
}

/// One attempt and what the rogue saw of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Attempt {
    /// The target of the attempt.
    pub target: Target,
    /// The device was to read it; else to write it.
    pub read: bool,
    /// The rogue's device.
    pub device: u32,
    /// The address that the device was made to access.
    pub iova: u64,
    /// Bytes.
    pub len: u32,
    /// Bytes that moved, as far as the rogue can see.
    pub moved: u32,
}

impl Attempt {
    /// Attempts that there are: every target written, and all but one read.
    pub const ALL: u32 = 13;
}

impl Wire for Attempt {
    const LEN: usize = 32;

    fn to_words(&self) -> Payload {
        let what = self.target as u64 | u64::from(self.read) << 8 | u64::from(self.device) << 32;
        let how_much = u64::from(self.len) | u64::from(self.moved) << 32;
        words([what, self.iova, how_much])
    }

    fn from_words(payload: &Payload) -> Option<Self> {
        let [what, iova, how_much, ..] = *payload;
        let read = match what >> 8 & 0xff_ffff {
            0 => false,
            1 => true,
            _ => return None,
        };
        let attempt = Self {
            target: Target::from_number(what & 0xff)?,
            read,
            device: (what >> 32) as u32,
            iova,
            len: how_much as u32,
            moved: (how_much >> 32) as u32,
        };
        (attempt.len > 0).then_some(attempt)
    }
}

/// Everything was tried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Finished {
    /// Requests in the name of others that were refused.
    pub refused: u64,
    /// Requests in the name of others that were granted.
    pub granted: u64,
}

impl Wire for Finished {
    const LEN: usize = 16;

    fn to_words(&self) -> Payload {
        words([self.refused, self.granted])
    }

    fn from_words(payload: &Payload) -> Option<Self> {
        let [refused, granted, ..] = *payload;
        Some(Self { refused, granted })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_survive_the_registers() {
        for target in Target::ALL {
            for read in [false, true] {
                let attempt = Attempt {
                    target,
                    read,
                    device: 9,
                    iova: 1 << 40,
                    len: 16,
                    moved: u32::MAX,
                };
                assert_eq!(
                    Attempt::from_message(&attempt.to_words(), Attempt::LEN),
                    Some(attempt)
                );
                assert_eq!(Attempt::from_message(&attempt.to_words(), 24), None);
            }
        }
        let finished = Finished {
            refused: 30,
            granted: u64::MAX,
        };
        assert_eq!(
            Finished::from_message(&finished.to_words(), Finished::LEN),
            Some(finished)
        );
        assert_eq!(Finished::from_message(&finished.to_words(), 8), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let words = |what, how_much| [what, 0, how_much, 0, 0, 0, 0, 0];
        assert_eq!(Attempt::from_message(&words(7, 16), 32), None);
        assert_eq!(Attempt::from_message(&words(2 << 8, 16), 32), None);
        assert_eq!(Attempt::from_message(&words(0, 0), 32), None);
    }

    #[test]
    fn the_number_of_attempts_is_right() {
        let reads = Target::ALL
            .iter()
            .filter(|target| target.read_is_forbidden())
            .count();
        assert_eq!((reads + Target::ALL.len()) as u32, Attempt::ALL);
    }
}
