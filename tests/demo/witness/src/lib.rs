//! The witness of the rogue's attempts. The rogue is untrusted and says what it tried; whether that was
//! blocked is judged here, by what the IOMMU server recorded and by the witness's own memory.
//!
//! * [`attempt`]: what the rogue reports;
//! * [`judge`]: what it amounts to.
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

pub mod attempt;
pub mod judge;
