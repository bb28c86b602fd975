//! The project's tool: builds a system from its `app.toml`, runs and tests it.
#![forbid(unsafe_code)]

mod bench;
mod board;
mod command;
mod compile;
#[cfg(test)]
mod configurations;
mod coverage;
mod disk;
mod failure;
mod lint;
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
mod tables;
mod test;

fn main() -> std::process::ExitCode {
    command::main().into()
}
