//! Cases that drive the SMMU raw.
//!
//! One task owns the SMMU, its tables and two devices that really do DMA. It corrupts what a correct server never
//! writes, and compares what the SMMU reports through the server's own decoding, command queue and event queue. Every
//! case starts from `machine::Machine::start`, which makes all tables anew: one that failed halfway leaves nothing to
//! the next.
//!
//! What the architecture leaves to an implementation is a condition: a case whose condition does not hold here is
//! skipped with the reason.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod board;
mod caching;
mod commands;
mod configuration;
mod device;
mod machine;
mod overflow;
mod records;
mod tables;
mod translation;

use suite::Suite;

/// The role that owns everything.
pub const RAW: usize = 0;

/// All cases.
pub const SUITE: Suite = Suite {
    name: "raw-smmu",
    roles: &["raw"],
    groups: &[
        configuration::CASES,
        translation::CASES,
        caching::CASES,
        commands::CASES,
        overflow::CASES,
    ],
};

/// A case: its name, the rows of `docs/reference/smmu-rules.md` that it shows, and what is done.
macro_rules! shows {
    ($name:expr, $rules:expr, $act:expr) => {
        suite::Case::new($name, $rules, &[suite::Part::returns(crate::RAW, $act)])
    };
}
pub(crate) use shows;

#[cfg(test)]
mod tests {
    use super::SUITE;

    #[test]
    fn every_case_shows_a_rule_that_there_is() {
        let reference = include_str!("../../../../../docs/reference/smmu-rules.md");
        let is_defined = |rule: &str| reference.contains(&std::format!("\n| {rule} | "));
        assert_eq!(SUITE.mistake(is_defined), None);
    }
}
