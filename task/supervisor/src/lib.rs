//! The supervisor's decisions, and the protocol of its clients.
//!
//! * [`report`]: how a task reports pass or fail;
//! * [`policy`]: whether and when a dead task is started again;
//! * [`verdict`]: what the reports add up to.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod policy;
pub mod report;
pub mod verdict;
