//! `bench`.

use std::path::PathBuf;

use super::show;
use crate::bench;
use crate::output::{say, say_text};
use crate::setup;
use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// Arguments of `bench`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// The QEMU to use
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Show the image's log as well
    #[arg(long)]
    pub verbose: bool,
}

pub fn run(project: &Project, arguments: &Arguments) -> Outcome<u8> {
    let qemu = setup::emulator(arguments.qemu.as_deref(), &project.target)?;
    let figures = bench::run(project, &qemu, |line| {
        if arguments.verbose {
            say!("{}", show::line(line, 12, false));
        }
    })?;
    say_text!("{}", bench::table(&figures));
    if let Some(file) = &arguments.json {
        let text = format!("{:#}\n", bench::json(&figures));
        std::fs::write(file, text)
            .map_err(Failure::when(format!("cannot write {}", file.display())))?;
    }
    Ok(0)
}
