//! The emulator: finding it, its command line, and what it says before the guest starts.

mod bypass;
mod command;
mod find;
mod monitor;
mod network;
mod probe;
mod script;
mod variation;

pub use bypass::refuse_bypass;
pub use command::{DiskFiles, command};
pub use find::{OLDEST, PROGRAM, Qemu, in_folders, on_path};
#[cfg(test)]
pub use monitor::tests::emulator;
pub use monitor::{Answer, Monitor, MonitorError};
pub use probe::{Registers, machines, registers};
pub use script::script;
pub use variation::Variation;
