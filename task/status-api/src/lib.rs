//! Status snapshots: how a task that is declared for it asks the servers for their state, record by record.
//!
//! Three servers answer one operation, [`OPERATION`], beside those of their own protocols. A request ([`Ask`]) names
//! a subject and a number; the answer is a [`Snapshot`]: one [`Record`], and how many there are of that subject.
//!
//! | subject | server | who may ask |
//! |---|---|---|
//! | [`Subject::Task`] | the supervisor | a task that `inspects` |
//! | [`Subject::Device`], [`Subject::Smmu`] | the IOMMU server | a task that `inspects` |
//! | [`Subject::Function`] | the PCI task | every task that may call it, as with `describe` |
//!
//! A record is true at the moment of its answer. Between two records a server serves others, so that records
//! of one round may differ by what happened meanwhile.
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

pub mod client;
mod name;
mod record;
mod request;
mod snapshot;

pub use name::Name;
pub use record::{
    Claim, Device, Found, Function, Quiesce, Record, Smmu, SmmuUse, Task, TaskState, Verdict,
};
pub use request::{Ask, Error, OPERATION, Subject};
pub use snapshot::{Snapshot, Unreadable, VERSION};
