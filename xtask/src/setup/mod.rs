//! What a machine needs before anything can be built and run. Nothing here asks a question: what cannot be
//! installed without one is named in a message, with the command that does it.

mod archive;
mod emulator;
mod target;

pub use archive::{release, unpacked};
pub use emulator::{PACKAGE as QEMU_PACKAGE, no_qemu, qemu};
pub use target::target;
