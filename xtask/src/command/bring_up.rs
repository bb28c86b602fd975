//! `bringup`: what a boot showed of a board, beside what its plan says.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};

use crate::bring_up::{Planned, Rows, State, told};
use crate::output::say_text;
use planner::failure::{Failure, Outcome};

/// Arguments of `bringup`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// What the serial line brought: the file of `log --record` or of `run --record`
    pub from: PathBuf,
    /// The folder of the system that ran, as `cargo xtask dist` made it: target/dist/NAME
    #[arg(long, value_name = "DIR")]
    pub dist: PathBuf,
    /// The machine that it ran on, in words: model, revision, firmware
    #[arg(long, value_name = "WORDS")]
    pub machine: String,
    /// Write to this file instead of standard output
    #[arg(short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Outcome<u8> {
    let (text, rows) = report(&arguments.from, &arguments.dist, &arguments.machine)?;
    match &arguments.output {
        Some(file) => std::fs::write(file, text)
            .map_err(Failure::when(format!("cannot write {}", file.display())))?,
        None => say_text!("{text}"),
    }
    Ok(u8::from(rows.count(State::Different) != 0))
}

/// The artefact, and the facts in it.
pub fn report(from: &Path, folder: &Path, machine: &str) -> Outcome<(String, Rows)> {
    let log = read(from)?;
    let image = read(&folder.join("image"))?;
    let planned = Planned::read(folder)?;
    let (heard, tally) = told(&planned, folder, &log)?;
    let rows = planned.rows(&heard);
    let modified = std::fs::metadata(from).and_then(|of| of.modified());
    let day = DateTime::<Utc>::from(modified.unwrap_or_else(|_| SystemTime::now()));
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "Bring-up of `{}` for the platform `{}`\n\n\
         Shown on this machine: {machine}\n\
         on that day:           {} (the log's last byte)\n\
         log:                   {}, sha256 {}\n\
         {:<23}{tally}\n\
         image:                 sha256 {}\n\n\
         {} facts equal, {} DIFFERENT, {} not planned, {} not shown. What is not shown, nothing in the log tells:\n\
         it may be right or wrong. Registers and functions are as the servers read them in the last boot of the log.\n\n{rows}",
        planned.name,
        planned.platform,
        day.format("%Y-%m-%d %H:%M UTC"),
        from.display(),
        digest(&log),
        "",
        digest(&image),
        rows.count(State::Equal),
        rows.count(State::Different),
        rows.count(State::NotPlanned),
        rows.count(State::NotShown),
    );
    Ok((text, rows))
}

fn read(file: &Path) -> Outcome<Vec<u8>> {
    let cannot = format!("cannot read {}", file.display());
    std::fs::read(file).map_err(Failure::when(cannot))
}

fn digest(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
