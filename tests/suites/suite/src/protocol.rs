//! What roles ask of the runner.

/// Most roles of a suite.
pub const ROLES_MAX: usize = 8;

/// Asks for the next part. Reply: case, part, life within the case from 0, the task index of every role
/// (a byte each). The reply waits until a case begins in which the role has a part.
pub const NEXT: u16 = 1;
/// The part is over; the message is a [`Report`](crate::report::Report). There is no reply: the role waits for the end of
/// the case.
pub const REPORT: u16 = 2;
/// A privileged call by the runner: [`Action`], role number, up to three arguments. Reply: its code, then up
/// to seven words.
pub const PLEASE: u16 = 3;
/// Appends the first word to the notes of the case.
pub const NOTE: u16 = 4;
/// Reply: how many notes there are, and the first seven.
pub const NOTES: u16 = 5;

/// The runner's parameters that say which cases to run, a bit for each by its number, 64 to a parameter. Without the
/// first it runs all.
pub const ASKED: [&str; 16] = [
    "asked-0", "asked-1", "asked-2", "asked-3", "asked-4", "asked-5", "asked-6", "asked-7",
    "asked-8", "asked-9", "asked-10", "asked-11", "asked-12", "asked-13", "asked-14", "asked-15",
];

/// Whether the case with this number is to be run; `parameter` gives the runner's.
pub fn is_asked(number: usize, mut parameter: impl FnMut(&str) -> Option<u64>) -> bool {
    let Some(first) = parameter(ASKED[0]) else {
        return true;
    };
    let word = match number / 64 {
        0 => Some(first),
        at => ASKED.get(at).and_then(|name| parameter(name)),
    };
    word.is_some_and(|word| word >> (number % 64) & 1 != 0)
}

/// What the runner does for a role.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
pub enum Action {
    /// `Status`: id, state, five words of the fault.
    Status = 0,
    /// `Stop`; a task stopped by this counts as dead of `FaultKind::Stopped`.
    Stop = 1,
    /// `Restart`; the role is given its part again, in its next life.
    Restart = 2,
    /// `ArmFault` at the n-th system call (first argument).
    ArmFault = 3,
    /// `Registers` from the first argument.
    Registers = 4,
    /// `Stop` for good: the role is lost for all later cases.
    Retire = 5,
    /// `ReadMemory` of eight bytes at the first argument: one word.
    ReadWord = 6,
    /// Any privileged call: its number and two arguments, as they are, the role is ignored.
    Raw = 7,
}

impl Action {
    /// The action of a message.
    pub fn from_number(number: u64) -> Option<Self> {
        [
            Self::Status,
            Self::Stop,
            Self::Restart,
            Self::ArmFault,
            Self::Registers,
            Self::Retire,
            Self::ReadWord,
            Self::Raw,
        ]
        .into_iter()
        .find(|action| *action as u64 == number)
    }
}
