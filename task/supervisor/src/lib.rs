//! The supervisor's decisions.
//!
//! * [`look`]: what a task's status means;
//! * [`policy`]: whether and when a dead task is started again;
//! * [`plan_view`]: the plan, checked;
//! * [`verdict`]: what the reports add up to;
//! * [`shutdown`]: the way from the power key to the machine that is off;
//! * [`drain`]: when all of the log is on the console.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

#[cfg(test)]
extern crate std;

pub mod drain;
pub mod look;
pub mod plan_view;
pub mod policy;
pub mod shutdown;
pub mod snapshot;
pub mod verdict;
