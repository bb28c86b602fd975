//! The project's tool: builds a system from its `app.toml`, runs and tests it.
//!
//! A library only so that what it does with anybody's file can be tried in the same process: [`hostile`].
#![forbid(unsafe_code)]

mod bench;
mod board;
mod command;
mod compile;
#[cfg(test)]
mod configurations;
mod coverage;
mod disk;
#[cfg(test)]
mod documents;
mod failure;
pub mod hostile;
mod lint;
#[cfg(test)]
mod mailing_list;
mod output;
mod pack;
mod place;
mod planning;
mod project;
mod qemu;
mod read;
mod report;
mod run;
mod setup;
mod show;
mod systems;
mod tables;
mod test;

/// The program.
#[must_use]
pub fn main() -> std::process::ExitCode {
    command::main().into()
}
