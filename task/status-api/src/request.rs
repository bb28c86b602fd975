//! Requests, and why they are refused.

use userlib::ipc::{Payload, words};
use userlib::protocol::{Refusal, Wire};

/// The number of the operation, in every server. It is above those of the servers' own protocols.
pub const OPERATION: u16 = 0x40;

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Subject {
    /// Tasks, by index.
    Task = 1,
    /// Devices, by number.
    Device = 2,
    /// SMMUs, by index.
    Smmu = 3,
    /// Functions, by number.
    Function = 4,
}

impl Subject {
    /// All of them; each one's number is its place, counted from 1.
    pub const ALL: [Self; 4] = [Self::Task, Self::Device, Self::Smmu, Self::Function];
}

/// Asks for one record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ask {
    /// Which kind of record.
    pub subject: Subject,
    /// Which of that kind.
    pub index: u32,
}

impl Wire for Ask {
    const LEN: usize = 8;
    fn to_words(&self) -> Payload {
        words([self.subject as u64 | u64::from(self.index) << 32])
    }
    fn from_words(payload: &Payload) -> Option<Self> {
        let number = payload[0] as u32;
        let mut all = Subject::ALL.into_iter();
        Some(Self {
            subject: all.find(|subject| *subject as u32 == number)?,
            index: (payload[0] >> 32) as u32,
        })
    }
}

/// Code of a reply; 0 is success.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Error {
    /// No such subject, wrong length, leases, no room for the reply, or a subject of another server.
    Malformed = 1,
    /// The plan does not let the caller ask.
    NotInspector = 2,
    /// The server has no record of that number.
    NoSuchRecord = 3,
}

impl Error {
    /// All of them; each one's code is its place, counted from 1.
    pub const ALL: [Self; 3] = [Self::Malformed, Self::NotInspector, Self::NoSuchRecord];
}

impl Refusal for Error {
    fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|error| *error as u32 == code)
    }
    fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::NotInspector => "not declared to inspect",
            Self::NoSuchRecord => "no such record",
        }
    }
}
