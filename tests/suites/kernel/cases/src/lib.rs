//! Conformance cases of the kernel.
//!
//! A case is a list of parts, one a role. Roles of smaller priority number run first whenever they can, and
//! the runner hands out parts in the order of the list, so that who reaches which call first is fixed:
//! a server's part waits in its receive before the client's begins.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod again;
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
mod wide;

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
/// Priority 5: may send to the runner only; 1 s without blocking.
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
        again::CASES,
        wide::CASES,
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

    #[test]
    fn every_case_tests_a_requirement_of_the_reference() {
        let reference = include_str!("../../../../../docs/reference/ipc.md");
        let is_defined = |number: &str| reference.contains(&std::format!("**{number}**"));
        assert_eq!(SUITE.mistake(is_defined), None);
        assert!(SUITE.cases().count() >= 60);
    }
}
