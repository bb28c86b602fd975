//! The kernel's portable core: tasks, scheduling, IPC, life and death, holds and pins.
//!
//! Every system call is a function of the kernel and its caller that returns either which task runs
//! next ([`NextTask`]) or the fault that the caller dies of. What a call reports
//! to tasks it writes into their saved registers. The core reaches memory, time and interrupts only
//! through [`Arch`], so that all of it runs under `cargo test`.
//!
//! Nothing here allocates, recurses or loops over more than the plan's tables, and no value from a
//! task reaches an operation that can panic.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

mod accounts;
mod boot;
mod borrow;
mod budget;
mod claim;
mod death;
pub mod fast;
mod hold;
mod hold_table;
mod interrupt;
mod kernel;
mod life;
mod machine;
mod message;
mod outcome;
mod pin;
mod pin_table;
mod post;
mod privileged;
mod receive;
mod reply;
mod routes;
mod run_limit;
mod schedule;
mod send;
mod signal;
mod supervise;
pub mod syndrome;
mod system_error;
mod tables;
mod task;
mod task_set;
mod test_support;
#[cfg(test)]
mod tests;
mod timer;
pub mod uart;
mod unclaimed;

pub use interrupt::affinity;
pub use kernel::Kernel;
pub use machine::Arch;
pub use outcome::NextTask;
pub use tables::{PlanError, Tables};
pub use task::{Frame, State, Task, offsets};
pub use task_set::{TaskIndex, TaskSet};
