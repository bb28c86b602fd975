//! The core's surroundings in this task.

pub mod hardware;
mod lines;
pub mod system;
