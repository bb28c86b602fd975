//! The interrupt translation service (ITS) of a GICv3: its registers, its commands, and the memory that it is given. Nothing here
//! accesses anything, so the build step, the task that owns the service and models of it share it.
//!
//! All of it is from Arm IHI 0069 (GICv3 and GICv4): chapter 5 for commands and tables, chapter 12 for registers. Names are
//! those of the specification.
#![no_std]
#![forbid(unsafe_code)]

mod command;
pub mod memory;
pub mod registers;

pub use command::{COMMAND_BYTES, Command};
pub use memory::{Memory, Table};
