//! An SMMUv3 on the host that takes every liberty IHI 0070 gives an implementation: it caches whatever
//! may be cached, for as long as it may, reads structures word by word at the worst moment, and
//! completes invalidations only when a SYNC forces it to. `docs/reference/smmu-rules.md` is the table of
//! these rules; names like C4 in comments are its rows.
//!
//! What it finds wrong, by itself or by an audit of everything a stream could reach, is a [`Finding`].
#![forbid(unsafe_code)]

mod chooser;
mod command;
mod configuration;
mod features;
mod finding;
mod memory;
mod model;
pub mod rig;
pub mod structure;
mod tlb;

pub use chooser::Chooser;
pub use features::{Features, Liberties};
pub use finding::{Check, Finding, Findings};
pub use memory::Memory;
pub use model::{Ambient, Fault, Flight, Model, Reach, Reachable, SECOND, Translated};
