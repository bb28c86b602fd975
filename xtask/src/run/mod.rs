//! Running a system: the emulator, its log, its verdict.

mod decode;
mod frames;
mod guest;
mod interrupt;
mod rings;
mod verdict;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use decode::{Level, Line};
pub use guest::{End, Observer, Probe};
pub use interrupt::watch as note_interrupts;
pub use verdict::{Verdict, Watch};

use decode::Decoder;
use guest::Guest;
use rings::Rings;

use crate::disk;
use crate::project::{Built, Project};
use crate::qemu::{Change, Drives, Qemu};
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;

/// What to run and how.
pub struct Options {
    pub qemu: Qemu,
    /// `Duration::MAX`: none.
    pub timeout: Duration,
    /// Further QEMU arguments.
    pub extra: Vec<String>,
    /// In what the machine differs from the planned one.
    pub changes: Vec<Change>,
}

/// The disks of one run; copies that were made for it go with this value.
pub struct Disks {
    pub drives: Drives,
    _disks: Vec<disk::Disk>,
}

/// The files behind a plan's drives; `given` stands for the first.
pub fn drives(project: &Project, plan: &Plan, given: Option<&PathBuf>) -> Outcome<Disks> {
    let folder = disk::folder(&project.target);
    if given.is_some() && plan.app.drives.is_empty() {
        return Err(Failure::new("--disk is given, but the system has no drive"));
    }
    let mut drives = Drives::new();
    let mut disks = Vec::new();
    for (index, drive) in plan.app.drives.iter().enumerate() {
        let disk = match given.filter(|_| index == 0) {
            Some(file) => disk::given(file, &folder)?,
            None => disk::made(drive.len, &folder)?,
        };
        drives.insert(drive.name.clone(), disk.file.clone());
        disks.push(disk);
    }
    Ok(Disks {
        drives,
        _disks: disks,
    })
}

/// The disk whose digest the guest computes: the first drive, if there is a task for it.
pub fn watched<'a>(plan: &Plan, drives: &'a Drives) -> Option<&'a Path> {
    plan.app.task("digest")?;
    let first = plan.app.drives.first()?;
    drives.get(&first.name).map(PathBuf::as_path)
}

/// Runs a built system to its end and hands every line of its log to `show`.
pub fn run(
    built: &Built,
    drives: &Drives,
    options: &Options,
    mut show: impl FnMut(&Line),
) -> Outcome<End> {
    observe(built, drives, options, &mut show)
}

/// Runs a built system to its end.
pub fn observe(
    built: &Built,
    drives: &Drives,
    options: &Options,
    observer: &mut dyn Observer,
) -> Outcome<End> {
    let decoder = Decoder::new(&built.plan, &built.programs);
    let rings = Rings::new(&built.tables.layout);
    // Of its own: another build may write to the dist folder before QEMU has read it.
    let folder = tempfile::tempdir().map_err(Failure::when("cannot make a temporary folder"))?;
    let image = built.dist.image_in(folder.path())?;
    let mut arguments = crate::qemu::command(&built.plan, &image, drives);
    for change in &options.changes {
        change.apply(&mut arguments)?;
    }
    arguments.extend(options.extra.iter().cloned());
    let guest = Guest::start(&options.qemu, &arguments)?;
    let limit = Some(options.timeout).filter(|limit| *limit != Duration::MAX);
    guest.watch(limit, &decoder, rings, observer)
}
