//! `run`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::show;
use crate::disk::Digest;
use crate::failure::Outcome;
use crate::project::Project;
use crate::qemu;
use crate::run::{self, DigestWatch, Options};

/// Arguments of `run`.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// An app.toml; by default the one at the root
    pub app: Option<PathBuf>,
    /// A file to use as the disk; it is never changed
    #[arg(long, value_name = "FILE")]
    pub disk: Option<PathBuf>,
    /// Give up after this many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub timeout: u64,
    /// The QEMU to use
    #[arg(long, value_name = "PATH")]
    pub qemu: Option<PathBuf>,
    /// Further QEMU arguments
    #[arg(last = true)]
    pub extra: Vec<String>,
}

pub fn run(project: &Project, arguments: Arguments) -> Outcome<u8> {
    let qemu = qemu::find(arguments.qemu.as_deref())?;
    let built = project.build(arguments.app.as_deref())?;
    let drives = run::drives(project, &built.plan, arguments.disk.as_ref())?;
    let digest = watched(&built.plan, &drives).map(Digest::start);
    let options = Options {
        qemu,
        timeout: Duration::from_secs(arguments.timeout),
        extra: arguments.extra,
    };
    let colour = std::io::stdout().is_terminal();
    let width = show::width(&built.plan);
    let mut watch = DigestWatch::default();
    let end = run::run(&built, &drives, &options, |line| {
        watch.see(line);
        println!("{}", show::line(line, width, colour));
    })?;
    run::verdict(&end, watch, digest)
}

/// The disk whose digest the guest computes: the first drive, if there is a task for it.
fn watched<'a>(plan: &crate::planning::Plan, drives: &'a qemu::Drives) -> Option<&'a Path> {
    plan.app.task("digest")?;
    let first = plan.app.drives.first()?;
    drives.get(&first.name).map(PathBuf::as_path)
}
