//! What the fuzzer sends: a seeded stream of messages, posts and transfers of its device.
//!
//! Most messages are near-valid: built as an honest client would, from what the servers answered before,
//! then often with one thing changed. The same seed and the same answers give the same stream. All of it
//! is legal for the kernel: who breaks the kernel's own rules dies of it, which is the victim's part.
//!
//! * [`choice`]: random choices;
//! * [`shot`]: one message;
//! * [`session`]: what was learned from the IOMMU server;
//! * [`iommu`], [`others`]: near-valid messages of each protocol;
//! * [`generator`]: picks, changes, and keeps within the limits.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod choice;
pub mod generator;
pub mod iommu;
pub mod others;
pub mod session;
pub mod shot;
