//! The planned system as data.
//!
//! The build tool writes one [`Blob`] for the kernel and one for each task; a blob is a set of tables
//! of fixed-size records, read in place. Nothing in it is decided at run time: what is not in a
//! task's blob, the task cannot name.
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

#[cfg(feature = "build")]
extern crate alloc;

mod blob;
#[cfg(feature = "build")]
mod builder;
pub mod cost;
pub mod iommu;
pub mod its;
pub mod kernel;
mod known;
pub mod limits;
mod list;
mod name;
pub mod pci;
mod record;
mod table;
pub mod task;
pub mod waits;

pub use blob::{Blob, BlobError};
#[cfg(feature = "build")]
pub use builder::Builder;
pub use known::OF_TASKS;
#[cfg(feature = "build")]
pub use list::TaskLists;
pub use list::{TaskList, TaskNumber};
pub use name::{Name, Text};
pub use record::{Known, MUST_UNDERSTAND, Record};
pub use table::{Iter, Table};

/// The value of an optional index that is absent.
pub const NONE: u32 = u32::MAX;
