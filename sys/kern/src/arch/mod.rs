//! AArch64: the only unsafe part of the kernel.

mod boot;
mod console;
mod copy;
mod el2;
mod entry;
mod fast_path;
mod gic;
mod head_macros;
mod instructions;
mod machine;
mod messages;
mod panic;
mod power;
mod processor;
mod receive_path;
mod system_error;
mod vectors;
mod wake_path;
