//! SMMUv3 (Arm IHI 0070 G.b): registers, stream table, context descriptors, commands, events.
//!
//! The one definition of the layouts that the build tool writes, the IOMMU server changes and the SMMU
//! model reads. Nothing here touches memory: structures are arrays of 64-bit little-endian
//! words. Section numbers in comments are those of edition G.b.
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

pub mod command;
pub mod context;
pub mod event;
pub mod features;
mod field;
pub mod queue;
pub mod registers;
pub mod stream;

pub use command::Command;
pub use context::ContextDescriptor;
pub use event::{Class, Event, EventKind};
pub use features::Features;
pub use field::Field;
pub use queue::QueueIndex;
pub use stream::{StreamConfig, StreamTableEntry};
