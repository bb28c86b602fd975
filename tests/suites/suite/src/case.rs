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

    /// The first case that is not as it has to be, if there is one; `is_defined` says whether the reference has a
    /// requirement of that number. Which requirement has no case is asked elsewhere
    /// (`cargo xtask test --coverage-of-spec`).
    pub fn mistake(&self, is_defined: impl Fn(&str) -> bool) -> Option<(&'static str, Mistake)> {
        for (index, case) in self.cases().enumerate() {
            let is_of_role = |part: &Part| part.role < self.roles.len();
            let is_alone =
                |part: &Part| case.parts.iter().filter(|of| of.role == part.role).count() == 1;
            let undefined = case.requirements.iter().find(|number| !is_defined(number));
            let mistake = if self
                .cases()
                .take(index)
                .any(|other| other.name == case.name)
            {
                Mistake::NameTwice
            } else if case.parts.is_empty() {
                Mistake::NoParts
            } else if !case.parts.iter().all(is_of_role) {
                Mistake::NoSuchRole
            } else if !case.parts.iter().all(is_alone) {
                Mistake::RoleTwice
            } else if case.requirements.is_empty() {
                Mistake::TestsNothing
            } else if let Some(number) = undefined {
                Mistake::NotDefined(number)
            } else {
                continue;
            };
            return Some((case.name, mistake));
        }
        None
    }
}

/// What is wrong with a case.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mistake {
    /// Another case has its name.
    NameTwice,
    /// Nobody acts in it.
    NoParts,
    /// A part is of a role that the suite has not.
    NoSuchRole,
    /// A role has two parts.
    RoleTwice,
    /// It names no requirement.
    TestsNothing,
    /// The reference has no such requirement.
    NotDefined(&'static str),
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

#[cfg(test)]
mod tests {
    use super::*;

    const fn act(_: &Stage) -> Result {
        Ok(())
    }

    const ONE: &[Part] = &[Part::returns(0, act)];
    const GOOD: Case = Case::new("good", &["A-1"], ONE);

    fn mistake(groups: &'static [&'static [Case]]) -> Option<(&'static str, Mistake)> {
        let roles = &["first", "second"];
        let suite = Suite {
            name: "suite",
            roles,
            groups,
        };
        suite.mistake(|number| number == "A-1")
    }

    #[test]
    fn each_mistake_of_a_table_is_found() {
        const BOTH: &[Part] = &[Part::returns(0, act), Part::returns(1, act)];
        assert_eq!(
            mistake(const { &[&[GOOD, Case::new("both", &["A-1"], BOTH)]] }),
            None
        );
        // In whatever group it is.
        assert_eq!(
            mistake(const { &[&[GOOD], &[GOOD]] }),
            Some(("good", Mistake::NameTwice))
        );
        assert_eq!(
            mistake(const { &[&[GOOD, Case::new("none", &["A-1"], &[])]] }),
            Some(("none", Mistake::NoParts))
        );
        const THIRD: &[Part] = &[Part::returns(2, act)];
        assert_eq!(
            mistake(const { &[&[Case::new("third", &["A-1"], THIRD)]] }),
            Some(("third", Mistake::NoSuchRole))
        );
        const SAME: &[Part] = &[Part::returns(1, act), Part::returns(1, act)];
        assert_eq!(
            mistake(const { &[&[Case::new("same", &["A-1"], SAME)]] }),
            Some(("same", Mistake::RoleTwice))
        );
        assert_eq!(
            mistake(const { &[&[Case::new("of", &[], ONE)]] }),
            Some(("of", Mistake::TestsNothing))
        );
        let undefined = mistake(const { &[&[Case::new("new", &["A-1", "A-2"], ONE)]] });
        assert_eq!(undefined, Some(("new", Mistake::NotDefined("A-2"))));
    }
}
