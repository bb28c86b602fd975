//! Everything that kernel, tasks and build tool must agree on: identifiers, the registers of a
//! system call, message descriptors, faults, rights, and the fixed places in an address space.
//!
//! Nothing here has behaviour beyond packing and unpacking of fields, so that every side of an
//! interface, and every host test, can depend on it.
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

pub mod boot;
pub mod code;
pub mod console;
pub mod fault;
pub mod layout;
pub mod log;
pub mod message;
pub mod notification;
pub mod privileged;
pub mod rights;
pub mod syscall;
pub mod task_id;

pub use code::Code;
pub use fault::{Fault, FaultKind};
pub use message::{
    Delivery, Lease, LeaseAttributes, ReplyDescriptor, SendDescriptor, TAKES_WIDE, WIDE,
};
pub use rights::Rights;
pub use syscall::Syscall;
pub use task_id::TaskId;

/// Most tasks a system can have; a set of tasks is one 64-bit word.
pub const TASKS_MAX: usize = 64;
/// Payload bytes that travel in registers `x0..=x7` and touch no memory.
pub const REGISTER_BYTES: usize = 64;
/// Payload bytes of a wide message or reply, which travel in `x0..=x7` and `x20..=x27`.
pub const WIDE_BYTES: usize = 128;
/// Longest message or reply, bytes; what exceeds [`REGISTER_BYTES`] is copied by the kernel.
pub const MESSAGE_MAX: usize = 4096;
/// Most instructions that the kernel executes with interrupts masked, in any entry.
pub const LONGEST_MASKED: u32 = 3_000;
/// Tasks that one interrupt of the timer notifies at most; who else is due is told in the next, at once. With all
/// tasks in one it would be longer than [`LONGEST_MASKED`].
pub const TIMERS_A_TURN: usize = TASKS_MAX / 2;
/// Most leases one send can carry.
pub const LEASES_MAX: usize = 2;
