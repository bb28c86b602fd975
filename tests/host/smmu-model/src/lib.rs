//! An SMMUv3 on the host that takes every liberty IHI 0070 gives an implementation: it caches whatever
//! may be cached, for as long as it may, reads structures word by word at the worst moment, and
//! completes invalidations only when a SYNC forces it to. `docs/reference/smmu-rules.md` is the table of
//! these rules; names like C4 in comments are its rows.
//!
//! What it finds wrong, by itself or by an audit of everything a stream could reach, is a [`Finding`].
#![forbid(unsafe_code)]

mod audit;
mod chooser;
mod command;
mod configuration;
mod event;
mod features;
mod fetch;
mod finding;
mod flight;
mod memory;
mod model;
mod queue;
mod registers;
pub mod rig;
pub mod structure;
mod tlb;
mod walk;

pub use audit::{Reach, Reachable};
pub use chooser::Chooser;
pub use event::Fault;
pub use features::{Features, Liberties};
pub use finding::{Check, Finding, Findings};
pub use flight::Flight;
pub use memory::Memory;
pub use model::{Ambient, Model};
pub use walk::Translated;
