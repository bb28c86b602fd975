//! `bench`.

use std::path::{Path, PathBuf};

use super::show;
use crate::bench::{self, FIGURES, Kept, Row};
use crate::output::{say, say_text};
use crate::run::Line;
use crate::setup;
use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// Arguments of `bench`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Also write the figures to this file
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Compare with the figures of this file, by default those of the repository; fails if a row is worse than it may be
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = FIGURES)]
    pub against: Option<PathBuf>,
    /// Write the figures to this file, by default to that of the repository, with which `test` compares
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = FIGURES)]
    pub save: Option<PathBuf>,
    /// Show the instructions of one row by task and function instead
    #[arg(long, value_name = "ROW")]
    pub profile: Option<String>,
    /// With --profile, also by line
    #[arg(long, requires = "profile")]
    pub lines: bool,
    /// The QEMU to use
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Show the image's log as well
    #[arg(long)]
    pub verbose: bool,
}

pub fn run(project: &Project, arguments: &Arguments) -> Outcome<u8> {
    let verbose = |line: &Line| {
        if arguments.verbose {
            say!("{}", show::line(line, 12, false));
        }
    };
    let row = arguments.profile.as_deref().map(Row::named).transpose()?;
    let qemu = setup::emulator(arguments.qemu.as_deref(), &project.target)?;
    if let Some(row) = row {
        let profile = bench::profile(project, &qemu, row, verbose)?;
        say_text!("{}", profile.table(arguments.lines));
        return Ok(0);
    }
    let figures = bench::run(project, &qemu, verbose)?;
    let kept = arguments
        .against
        .as_ref()
        .map(|file| Kept::read(&place(project, file)));
    let worse = match kept.transpose()? {
        Some(kept) => {
            let (text, worse) = bench::changes(&figures, &kept);
            say_text!("{text}");
            worse
        }
        None => {
            say_text!("{}", bench::table(&figures));
            0
        }
    };
    say_text!("{}", bench::waits());
    for file in arguments.json.iter().chain(&arguments.save) {
        let file = place(project, file);
        std::fs::write(&file, bench::json(&figures))
            .map_err(Failure::when(format!("cannot write {}", file.display())))?;
    }
    if worse > 0 {
        return Err(Failure::new(format!(
            "{worse} of the rows are worse than they may be"
        )));
    }
    Ok(0)
}

/// The repository's own file is the same from every folder.
fn place(project: &Project, file: &Path) -> PathBuf {
    if file == Path::new(FIGURES) {
        project.root.join(file)
    } else {
        file.to_owned()
    }
}
