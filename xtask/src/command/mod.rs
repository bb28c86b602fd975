//! The commands.

mod arguments;
mod bench;
pub mod bring_up;
mod dist;
mod explain;
mod gdb;
mod import;
mod inspect;
mod lint;
mod log;
pub mod plan;
mod run;
mod show;
pub mod sizes;
mod test;
mod verify;

use clap::Parser;

use crate::output;
use arguments::{Arguments, Command};
use planner::failure::{Failure, Outcome};

/// Runs what the command line asks for: the exit code.
pub fn main() -> u8 {
    let arguments = Arguments::parse();
    match dispatch(arguments) {
        Ok(_) if !output::complete() => {
            eprintln!("error: cannot write everything to standard output");
            1
        }
        Ok(code) => code,
        Err(Failure::Shown) => 1,
        Err(Failure::Message(message)) => {
            eprintln!("error: {message}");
            1
        }
    }
}

fn dispatch(arguments: Arguments) -> Outcome<u8> {
    let project = crate::project::find()?;
    match arguments.command {
        Command::Dist { app } => dist::run(&project, app.as_deref()),
        Command::Run(arguments) => run::run(&project, arguments),
        Command::Test(arguments) => test::run(&project, &arguments),
        Command::Lint => lint::run(&project),
        Command::Bench(arguments) => bench::run(&project, &arguments),
        Command::Gdb(arguments) => gdb::run(&project, &arguments),
        Command::Sizes { app } => sizes::run(&project, app.as_deref()),
        Command::Plan(arguments) => plan::run(&project, &arguments),
        Command::Verify { dist } => verify::run(&project, dist.as_deref()),
        Command::Import(arguments) => import::run(&arguments),
        Command::Log(arguments) => log::run(&arguments),
        Command::Bringup(arguments) => bring_up::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&project, &arguments),
        Command::Explain { code } => explain::run(&code),
    }
}
