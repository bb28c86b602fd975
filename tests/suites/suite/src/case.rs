//! Cases and their parts.

use abi::FaultKind;

use crate::stage::Stage;

/// What is tested, by whom.
#[derive(Clone, Copy)]
pub struct Suite {
    /// Its name in the summary line.
    pub name: &'static str,
    /// Names of the role tasks in `app.toml`, at most [`crate::protocol::ROLES_MAX`]. A role's number is its
    /// place here.
    pub roles: &'static [&'static str],
    /// In the order in which they run. A case's number is its place in all groups together.
    pub groups: &'static [&'static [Case]],
}

impl Suite {
    /// All cases.
    pub fn cases(&self) -> impl Iterator<Item = &'static Case> {
        self.groups.iter().copied().flatten()
    }
}

/// One case.
#[derive(Clone, Copy)]
pub struct Case {
    /// Unique in its suite; words joined by `-`.
    pub name: &'static str,
    /// Numbers of the requirements that it tests.
    pub requirements: &'static [&'static str],
    /// One for each role that takes part, started in this order.
    pub parts: &'static [Part],
}

/// What one role does in a case.
#[derive(Clone, Copy)]
pub struct Part {
    /// Number of the role.
    pub role: usize,
    /// How it has to end.
    pub end: End,
    /// What it does.
    pub act: fn(&Stage) -> Result,
}

impl Case {
    /// A case.
    pub const fn new(
        name: &'static str,
        requirements: &'static [&'static str],
        parts: &'static [Part],
    ) -> Self {
        Self {
            name,
            requirements,
            parts,
        }
    }
}

impl Part {
    /// Has to return.
    pub const fn returns(role: usize, act: fn(&Stage) -> Result) -> Self {
        let end = End::Returns;
        Self { role, end, act }
    }
    /// Has to die of this kind of fault.
    pub const fn dies(role: usize, kind: FaultKind, act: fn(&Stage) -> Result) -> Self {
        let end = End::Dies(kind);
        Self { role, end, act }
    }
    /// Returns where the processor has what it tries, and else dies of this kind of fault.
    pub const fn returns_or_dies(role: usize, kind: FaultKind, act: fn(&Stage) -> Result) -> Self {
        let end = End::ReturnsOrDies(kind);
        Self { role, end, act }
    }
    /// Serves the others; whether it waits or was stopped at the end does not matter, only that it did not fail.
    pub const fn serves(role: usize, act: fn(&Stage) -> Result) -> Self {
        let end = End::Serves;
        Self { role, end, act }
    }
}

/// How a part has to end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// It returns.
    Returns,
    /// Its last life ends by a fault of this kind.
    Dies(FaultKind),
    /// It returns, or its last life ends by a fault of this kind.
    ReturnsOrDies(FaultKind),
    /// It is not waited for. It fails the case only by returning a failure.
    Serves,
}

/// What a part comes to.
pub type Result = core::result::Result<(), Failure>;

/// Why a part failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What was expected, as source text; or the reason of a skip.
    pub what: &'static str,
    /// Where.
    pub line: u32,
    /// What was found and what was expected, where these are numbers.
    pub values: Option<(u64, u64)>,
    /// The case cannot be run on this machine.
    pub skipped: bool,
}

impl Failure {
    /// The case cannot be run here.
    pub const fn skip(reason: &'static str) -> Self {
        Self {
            what: reason,
            line: 0,
            values: None,
            skipped: true,
        }
    }
}

/// Fails the part unless the condition holds.
#[macro_export]
macro_rules! check {
    ($condition:expr) => {
        if !$condition {
            return Err($crate::Failure {
                what: stringify!($condition),
                line: line!(),
                values: None,
                skipped: false,
            });
        }
    };
}

/// Fails the part unless two numbers (`as u64`) are equal.
#[macro_export]
macro_rules! check_eq {
    ($found:expr, $expected:expr) => {
        let (found, expected) = ($found as u64, $expected as u64);
        if found != expected {
            return Err($crate::Failure {
                what: concat!(stringify!($found), " == ", stringify!($expected)),
                line: line!(),
                values: Some((found, expected)),
                skipped: false,
            });
        }
    };
}

/// The value of the pattern's binding, or the part fails.
#[macro_export]
macro_rules! check_is {
    ($value:expr, $pattern:pat => $binding:expr) => {
        match $value {
            $pattern => $binding,
            _ => {
                return Err($crate::Failure {
                    what: concat!(stringify!($value), " is ", stringify!($pattern)),
                    line: line!(),
                    values: None,
                    skipped: false,
                });
            }
        }
    };
}
