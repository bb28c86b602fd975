//! From files to a plan: `app.toml` and platform files are read, everything that does not depend on the
//! programs is decided, and every mistake is reported where it was written. Steps 1 and 2 of the build.
//!
//! [`read`] makes an [`read::App`] of a file, [`planning`] a [`planning::Plan`] of that; [`board`] writes an
//! `app.toml` from what a machine says of itself. What they have to say goes into a [`report::Report`];
//! [`project::Project`] says where the files lie.
#![forbid(unsafe_code)]

pub mod board;
#[cfg(test)]
mod configurations;
#[cfg(test)]
mod dumps;
pub mod failure;
pub mod planning;
pub mod project;
pub mod read;
pub mod report;
