//! Conformance cases of the kernel.
//!
//! A case is a list of parts, one a role. Roles of smaller priority number run first whenever they can, and
//! the runner hands out parts in the order of the list, so that who reaches which call first is fixed:
//! a server's part waits in its receive before the client's begins.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod death;
mod hazard;
mod help;
mod holds;
mod interrupts;
mod lease_mistakes;
mod leases;
mod life;
mod memory;
mod notify;
mod receive;
mod registers;
mod reply;
mod rights;
mod scheduling;
mod send;
mod send_mistakes;
mod slices;
mod timer;

use suite::Suite;

/// Priority 1: serves all others, has `dma-authority`.
pub const SERVER: usize = 0;
/// Priority 2.
pub const MIDDLE: usize = 1;
/// Priority 3: owns the real-time clock, has a DMA pool, depends on the server.
pub const CLIENT: usize = 2;
/// Priority 3, equal to the client's.
pub const SECOND: usize = 3;
/// Priority 4.
pub const LAST: usize = 4;
/// Priority 5: may send to the runner only; 200 ms without blocking.
pub const OUTCAST: usize = 5;
/// Priority 4: retired in the end.
pub const RETIREE: usize = 6;

/// Task name of the role with `dma-authority`.
pub const AUTHORITY_NAME: &str = "server";

/// All cases. What retires a role comes last.
pub const SUITE: Suite = Suite {
    name: "kernel",
    roles: &[
        "server", "middle", "client", "second", "last", "outcast", "retiree",
    ],
    groups: &[
        send::CASES,
        send_mistakes::CASES,
        receive::CASES,
        reply::CASES,
        slices::CASES,
        leases::CASES,
        lease_mistakes::CASES,
        notify::CASES,
        timer::CASES,
        interrupts::CASES,
        registers::CASES,
        scheduling::CASES,
        memory::CASES,
        hazard::CASES,
        life::CASES,
        rights::CASES,
        holds::CASES,
        death::CASES,
    ],
};

#[cfg(test)]
mod tests {
    use super::SUITE;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_roles_exist() {
        let mut names = BTreeSet::new();
        for case in SUITE.cases() {
            assert!(names.insert(case.name), "{} twice", case.name);
            assert!(!case.parts.is_empty(), "{} has no parts", case.name);
            let roles: BTreeSet<_> = case.parts.iter().map(|part| part.role).collect();
            assert_eq!(roles.len(), case.parts.len(), "{}", case.name);
            assert!(roles.iter().all(|role| *role < SUITE.roles.len()));
        }
        assert!(names.len() >= 60);
    }

    /// What has no case is found by `cargo xtask test --coverage-of-spec`.
    #[test]
    fn requirements_are_those_of_the_reference() {
        let reference = include_str!("../../../../../docs/reference/ipc.md");
        for case in SUITE.cases() {
            assert!(!case.requirements.is_empty(), "{} tests nothing", case.name);
            for number in case.requirements {
                let defined = reference.contains(&std::format!("**{number}**"));
                assert!(defined, "{}: {number} is not defined", case.name);
            }
        }
    }
}
