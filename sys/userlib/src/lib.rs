//! The library of every task.
//!
//! On the target this is entry code, system calls and access to the task's own memory; on the host only
//! the types and traits exist in earnest, so that the hardware-independent core of a task can be tested
//! there (a system call on the host panics).
//!
//! `unsafe` lives in `entry`, `stubs`, `run`, `registers::mapped` and `memory::pool` (what is mapped), `plan_page`,
//! `log` and, for conformance tests only, `provoke`. A task built on this crate forbids it: whatever safe code passes to
//! what is here, the kernel writes and a device is told of no memory but what was borrowed for it or what no reference
//! can point to.
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic
    )
)]

pub mod config;
pub mod delay;
#[cfg(target_os = "none")]
mod entry;
mod has_inbox;
pub mod inbox;
pub mod interrupt;
pub mod ipc;
pub mod last_words;
#[cfg_attr(not(target_os = "none"), path = "log_host.rs")]
mod log;
pub mod memory;
pub mod packed;
mod plan_page;
pub mod privileged;
pub mod protocol;
#[cfg(feature = "provoke")]
pub mod provoke;
pub mod registers;
pub mod ring;
mod run;
pub mod server;
mod stubs;
pub mod time;
pub mod wide;
pub mod words;

pub use abi;
pub use defmt;
pub use plan;

/// Makes the crate's `fn main() -> !` the task's program: `userlib::task!(main);`.
///
/// On the host that function is an ordinary `main`, so that a task's crate builds there too.
#[macro_export]
macro_rules! task {
    ($main:path) => {
        #[cfg(target_os = "none")]
        const _: () = {
            // The entry code calls this symbol.
            #[unsafe(no_mangle)]
            extern "C" fn portcullis_task_main() -> ! {
                $crate::config::require_understood();
                let main: fn() -> ! = $main;
                main()
            }
        };
    };
}
