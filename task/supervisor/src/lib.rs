//! The supervisor's decisions.
//!
//! * [`look`]: what a task's status means;
//! * [`policy`]: whether and when a dead task is started again;
//! * [`plan_view`]: the plan, checked;
//! * [`verdict`]: what the reports add up to;
//! * [`drain`]: when all of the log is on the console.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod drain;
pub mod look;
pub mod plan_view;
pub mod policy;
pub mod verdict;
