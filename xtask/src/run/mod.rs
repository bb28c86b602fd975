//! Running a system: the emulator, its log, its verdict.

mod decode;
mod frames;
mod guest;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

pub use decode::{Level, Line};
pub use guest::End;
pub use watch::DigestWatch;

use decode::Decoder;
use guest::Guest;

use crate::disk::{self, Digest};
use crate::failure::{Failure, Outcome};
use crate::planning::Plan;
use crate::project::{Built, Project};
use crate::qemu::{Drives, Qemu};

/// What to run and how.
pub struct Options {
    pub qemu: Qemu,
    pub timeout: Duration,
    /// Further QEMU arguments.
    pub extra: Vec<String>,
}

/// The files behind a plan's drives; `given` stands for the first.
pub fn drives(project: &Project, plan: &Plan, given: Option<&PathBuf>) -> Outcome<Drives> {
    let folder = project.target.join("dist").join(&plan.app.name);
    std::fs::create_dir_all(&folder)
        .map_err(Failure::when(format!("cannot make {}", folder.display())))?;
    if given.is_some() && plan.app.drives.is_empty() {
        return Err(Failure::new("--disk is given, but the system has no drive"));
    }
    let mut drives = Drives::new();
    for (index, drive) in plan.app.drives.iter().enumerate() {
        let file = match given.filter(|_| index == 0) {
            Some(file) => disk::given(file, &folder)?,
            None => disk::made(&drive.name, drive.len, &folder)?,
        };
        drives.insert(drive.name.clone(), file);
    }
    Ok(drives)
}

/// Runs a built system to its end and hands every line of its log to `show`.
pub fn run(
    built: &Built,
    drives: &Drives,
    options: &Options,
    mut show: impl FnMut(&Line),
) -> Outcome<End> {
    let decoder = Decoder::new(&built.plan, &built.programs);
    let mut arguments = crate::qemu::command(&built.plan, &built.dist.image, drives);
    arguments.extend(options.extra.iter().cloned());
    let guest = Guest::start(&options.qemu, &arguments)?;
    guest.watch(options.timeout, decoder, &mut show)
}

/// The exit code of a run: the guest's verdict, and the tool's own view of the digest.
pub fn verdict(end: &End, watch: DigestWatch, digest: Option<Digest>) -> Outcome<u8> {
    match end {
        End::Exit(0) => {}
        End::Exit(code) => return Ok(u8::try_from(*code).unwrap_or(1).max(1)),
        End::PoweredOff => {
            return Err(Failure::new(
                "the guest switched the machine off without a verdict",
            ));
        }
        End::Signal => return Err(Failure::new("QEMU was killed")),
        End::Timeout(limit) => {
            return Err(Failure::new(format!(
                "no verdict within {} s (--timeout)",
                limit.as_secs()
            )));
        }
    }
    if let Some(digest) = digest {
        watch.compare(digest.finish()?)?;
    }
    Ok(0)
}
