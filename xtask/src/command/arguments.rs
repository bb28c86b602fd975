//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Builds, runs and tests a Portcullis system. APP is an app.toml; by default the one at the root.
#[derive(Parser, Debug)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Build a system into target/dist/NAME/
    Dist { app: Option<PathBuf> },
    /// Build a system and run it under QEMU; the exit code is the guest's verdict
    Run(super::run::Arguments),
    /// Run the tests of the host and the suites on target
    Test(super::test::Arguments),
    /// Lint what is built for the target, and refuse a kernel that can panic
    Lint,
    /// Count instructions of every operation, beside the figures of other systems
    Bench(super::bench::Arguments),
    /// Start QEMU and gdb with the symbols of kernel and all tasks
    Gdb(super::gdb::Arguments),
    /// Show the size of every program and its memory
    Sizes { app: Option<PathBuf> },
    /// Show groups, domains and the maximal reach of each device
    Plan(super::plan::Arguments),
    /// Walk every table of a built image and compare it with its plan.json; DIST is a folder of target/dist
    Verify { dist: Option<PathBuf> },
    /// Turn a board's lspci output into an app.toml
    Import(super::import::Arguments),
    /// Show the state of a running system: tasks, devices, SMMUs, functions
    Inspect(super::inspect::Arguments),
    /// Show the log of a board, from its serial line
    Log(super::log::Arguments),
    /// Compare what a board's log tells of its hardware with the plan, fact by fact
    Bringup(super::bring_up::Arguments),
    /// Explain the code of a diagnostic, such as P0310
    Explain { code: String },
}
