//! Running a system: the emulator, its log, its verdict.

mod decode;
mod dist;
mod frames;
mod guest;
mod interrupt;
mod listener;
mod numbers;
mod piece;
mod rings;
mod source;
pub mod status;
mod verdict;
mod watch;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use decode::{Decoder, Level, Line};
pub use guest::{End, Observer, Probe};
pub use interrupt::{asked as is_interrupted, watch as note_interrupts};
pub use listener::{Listener, Tally};
pub use source::Source;
pub use verdict::{Verdict, Watch};

use guest::Guest;
use rings::Rings;

use crate::disk;
use crate::qemu::{DiskFiles, Qemu, Variation};
use crate::steps::Built;
use planner::failure::{Failure, Outcome};
use planner::planning::Plan;
use planner::project::Project;

/// The choices for a run.
pub struct Options {
    pub qemu: Qemu,
    /// `Duration::MAX`: none.
    pub timeout: Duration,
    /// Further QEMU arguments.
    pub extra: Vec<String>,
    /// The differences of the machine from the planned one.
    pub variations: Vec<Variation>,
    /// A file that gets the console's bytes as they come.
    pub record: Option<PathBuf>,
}

/// The disks of one run; copies that were made for it go with this value.
pub struct Disks {
    pub files: DiskFiles,
    _copies: Vec<disk::Disk>,
}

/// The files behind a plan's disks; `given` stands for the first.
pub fn disks(project: &Project, plan: &Plan, given: Option<&PathBuf>) -> Outcome<Disks> {
    let folder = disk::folder(&project.target);
    if given.is_some() && plan.app.disks.is_empty() {
        return Err(Failure::new("--disk is given, but the system has no disk"));
    }
    let mut files = DiskFiles::new();
    let mut copies = Vec::new();
    for (index, declared) in plan.app.disks.iter().enumerate() {
        let disk = match given.filter(|_| index == 0) {
            Some(file) => disk::given(file, &folder)?,
            None => disk::made(declared.len, &folder)?,
        };
        files.insert(declared.name.clone(), disk.file.clone());
        copies.push(disk);
    }
    Ok(Disks {
        files,
        _copies: copies,
    })
}

/// The disk whose digest the guest computes: the first, if there is a task for it.
pub fn watched<'a>(plan: &Plan, files: &'a DiskFiles) -> Option<&'a Path> {
    plan.app.task("digest")?;
    let first = plan.app.disks.first()?;
    files.get(&first.name).map(PathBuf::as_path)
}

/// Runs a built system to its end and hands every line of its log to `show`.
pub fn run(
    built: &Built,
    files: &DiskFiles,
    options: &Options,
    mut show: impl FnMut(&Line),
) -> Outcome<End> {
    observe(built, files, options, &mut show)
}

/// The lines in bytes that came over a serial line.
pub fn lines(built: &Built, bytes: &[u8], mut show: impl FnMut(&Line)) {
    let mut listener = Listener::new(Decoder::new(&built.plan, &built.programs));
    let mut lines = listener.push(bytes);
    lines.extend(listener.pause());
    lines.iter().for_each(&mut show);
}

/// The decoder of a system that was built earlier, from its folder.
pub fn decoder_of_dist(folder: &Path) -> Outcome<Decoder> {
    Ok(Decoder::of(dist::tasks(folder)?))
}

/// Runs a built system to its end.
pub fn observe(
    built: &Built,
    files: &DiskFiles,
    options: &Options,
    observer: &mut dyn Observer,
) -> Outcome<End> {
    if let Some(why) = options.qemu.lacks(&built.plan.app.platform) {
        return Err(Failure::new(format!(
            "{why}\n  name a newer one with --qemu"
        )));
    }
    let decoder = Decoder::new(&built.plan, &built.programs);
    let rings = Rings::new(built.layout.placement());
    // Of its own: another build may write to the dist folder before QEMU has read it.
    let folder = tempfile::tempdir().map_err(Failure::when("cannot make a temporary folder"))?;
    let image = built.dist.image_in(folder.path())?;
    let mut arguments = crate::qemu::command(&built.plan, &image, files);
    for variation in &options.variations {
        variation.apply(&mut arguments)?;
    }
    arguments.extend(options.extra.iter().cloned());
    let mut guest = Guest::start(&options.qemu, &arguments)?;
    if let Some(file) = &options.record {
        guest.record(file)?;
    }
    let limit = Some(options.timeout).filter(|limit| *limit != Duration::MAX);
    guest.watch(limit, &decoder, rings, observer)
}
