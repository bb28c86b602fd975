//! The set-up of a machine before anything can be built and run. Nothing here asks a question, and nothing that
//! is installed is removed: what cannot be had without that is named in a message, with the command that does
//! it.

mod archive;
mod cargo_deny;
mod command;
mod emulator;
mod installed;
mod private;
mod target;

pub use archive::release;
pub use cargo_deny::cargo_deny;
pub use emulator::{NEWEST, backports, emulator, private_emulator};
pub use target::target;
