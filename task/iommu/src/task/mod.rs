//! The core's surroundings in this task.

mod lines;
pub mod system;
