//! The owner of the interrupt translation service (ITS). At its start it tells the service which event of which device is which
//! interrupt, as the plan says; from then on it cuts off what storms, and lets through what may come again, as the kernel wants.
//! Nobody can call it.
//!
//! Its death stops no interrupt: the service goes on, and the next life takes it over as it is.
#![cfg_attr(not(test), no_std)]
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

mod hardware;
mod queue;
mod refusal;
mod service;
#[cfg(test)]
mod tests;

pub use hardware::Hardware;
pub use refusal::Refusal;
pub use service::{Service, Start};
