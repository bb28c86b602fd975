//! `cargo xtask`: builds a system from its `app.toml`, runs and tests it. What is decided and built is the work of
//! the crates `planner` and `builder`; here are the commands, QEMU, and the runs.
#![forbid(unsafe_code)]

mod bench;
mod bring_up;
mod command;
mod disk;
#[cfg(test)]
mod documents;
mod lint;
#[cfg(test)]
mod mailing_list;
mod output;
mod project;
mod qemu;
mod requirements;
mod run;
mod setup;
mod steps;
mod systems;
mod testing;

fn main() -> std::process::ExitCode {
    command::main().into()
}
