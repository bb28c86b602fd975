//! Conformance cases of the IOMMU server.
//!
//! A case begins with every role freshly started: whatever a driver had claimed or mapped in the case
//! before was taken from it by its death, so that each case finds its device free and its window empty.
//! Most cases are one driver that asks and compares; those about others have a part for each.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod alias;
mod board;
mod claim;
mod death;
mod direct;
mod dma;
mod dma_after_unmap;
mod exchange;
mod fault;
mod handles;
mod help;
mod identity;
mod in_use;
mod last;
mod lazy;
mod lease;
mod lease_end;
mod list;
mod lives;
mod look;
mod map;
mod map_blocks;
mod message;
mod misfit;
mod order;
mod places;
mod quiet;
mod registered;
mod registers;
mod sequence;
mod servers;
mod shape;
mod unmap;

use suite::Suite;
use userlib::config;

/// Drives `edu0`; has a pool of 16 pages and one of two blocks; five pins.
pub const FIRST: usize = 0;
/// Drives `edu1`, audits `edu0`.
pub const SECOND: usize = 1;
/// Drives nothing.
pub const OUTSIDER: usize = 2;
/// Client of the drivers and of the disk, for leases.
pub const LENDER: usize = 3;

/// Drives `edu2`, which shares its StreamID with `edu3`.
pub const LEFT: usize = 4;
/// Drives `edu3`.
pub const RIGHT: usize = 5;
/// Drives `misfit0`, which the machine does not have, and as [`LAZY`] `edu6`.
pub const MISFIT: usize = 6;
/// Drives `edu6`, whose domain is lazy; has two pins. The same task as [`MISFIT`], since a suite has eight roles at most.
pub const LAZY: usize = MISFIT;
/// Drives `edu4`, which has a direct region, and `edu5` in an identity domain.
pub const DIRECT: usize = 7;

/// Number of the host bridge in the plan.
pub const HOST_BRIDGE: u64 = 0;

/// Number of a device in the plan: as its driver is told, and anybody else by a parameter. None has the one that it is
/// otherwise.
fn number(name: &str) -> u64 {
    let own = config::device(name).map(|device| u64::from(device.device));
    own.or_else(|| config::parameter(name)).unwrap_or(u64::MAX)
}

/// Number of the first root port.
pub fn root_port() -> u64 {
    number("rp1")
}
/// Number of the disk.
pub fn disk() -> u64 {
    number("disk0")
}
/// Number of the first driver's device.
pub fn edu0() -> u64 {
    number("edu0")
}
/// Number of the second driver's device.
pub fn edu1() -> u64 {
    number("edu1")
}
/// Number of the device of [`RIGHT`].
pub fn edu3() -> u64 {
    number("edu3")
}
/// Number of the device that the machine does not have.
pub fn misfit0() -> u64 {
    number("misfit0")
}
/// Number of the device with a direct region.
pub fn edu4() -> u64 {
    number("edu4")
}
/// Number of the device in an identity domain.
pub fn edu5() -> u64 {
    number("edu5")
}
/// Number of the device in a lazy domain.
pub fn edu6() -> u64 {
    number("edu6")
}
/// Devices in the plan, of which that one is the last.
pub fn devices() -> u64 {
    edu6().wrapping_add(1)
}

/// All cases.
pub const SUITE: Suite = Suite {
    name: "iommu",
    roles: &[
        "first", "second", "outsider", "lender", "left", "right", "misfit", "direct",
    ],
    groups: &[
        direct::FIRST_CASES,
        look::CASES,
        claim::CASES,
        shape::CASES,
        handles::CASES,
        in_use::CASES,
        sequence::CASES,
        map::CASES,
        map_blocks::CASES,
        unmap::CASES,
        list::CASES,
        exchange::CASES,
        lease::CASES,
        lease_end::CASES,
        registered::CASES,
        places::CASES,
        order::CASES,
        dma::CASES,
        dma_after_unmap::CASES,
        lazy::CASES,
        fault::CASES,
        alias::CASES,
        death::CASES,
        quiet::CASES,
        lives::CASES,
        registers::CASES,
        misfit::CASES,
        direct::CASES,
        identity::CASES,
        servers::CASES,
        direct::LAST_CASES,
        last::CASES,
    ],
};

/// A case with one part, the first driver's.
macro_rules! alone {
    ($name:expr, $requirements:expr, $act:expr) => {
        suite::Case::new(
            $name,
            $requirements,
            &[suite::Part::returns(crate::FIRST, $act)],
        )
    };
}
pub(crate) use alone;

#[cfg(test)]
mod tests {
    use super::SUITE;

    #[test]
    fn every_case_tests_a_requirement_of_the_reference() {
        let reference = include_str!("../../../../../docs/reference/iommu-protocol.md");
        let is_defined = |number: &str| reference.contains(&std::format!("**{number}**"));
        assert_eq!(SUITE.mistake(is_defined), None);
        assert!(SUITE.cases().count() >= 120);
    }
}
