//! Whole systems: run as a user runs them, their verdict is the result. What is expected of each is in the
//! `expect.toml` of its folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::expect::{self, EXPECT, Expected, Machines, Verdict as Ending};
use super::long::LONG;
use super::matrix::since;
use super::power::Press;
use super::serial;
use super::spoil;
use super::{Case, Outcome, Row};
use super::{bring_up, differences};
use crate::disk::{self, Digest};
use crate::run::{self, Disks, End, Options, Verdict, Watch};
use crate::steps::{self, Built};
use crate::systems;
use planner::failure::{self, Failure};
use planner::project::Project;

/// A run of a system.
pub struct System {
    pub name: String,
    pub app: PathBuf,
    /// The folder of the file that says what is expected.
    folder: PathBuf,
    expected: Expected,
}

/// Folder of the systems that are tests as a whole.
const SYSTEMS: &str = "tests/systems";
/// Folder of everything that is tested, and the folders in it whose systems others run.
const TESTS: &str = "tests";
const OF_OTHERS: [&str; 2] = ["tests/suites", "tests/bench"];
/// Enough for the slowest on a busy machine.
const LIMIT: Duration = Duration::from_secs(900);

/// All runs of systems but the long ones.
///
/// # Errors
/// A system below `tests` that is no suite and no benchmark is named by no `expect.toml` of a folder below
/// `tests/systems`.
pub fn systems(root: &Path) -> failure::Outcome<Vec<System>> {
    let mut systems = all(root)?;
    systems.retain(|system| !system.expected.long);
    Ok(systems)
}

/// Systems that run long: by name only.
///
/// # Errors
/// As of [`systems()`].
pub fn long_systems(root: &Path) -> failure::Outcome<Vec<System>> {
    let mut systems = all(root)?;
    systems.retain(|system| system.expected.long);
    Ok(systems)
}

fn all(root: &Path) -> failure::Outcome<Vec<System>> {
    let root = &systems::tidy(root);
    let place = root.join(SYSTEMS);
    let mut found = Vec::new();
    for folder in systems::entries(&place)? {
        if folder.join(EXPECT).is_file() {
            for expected in expect::read(&folder)? {
                let systems = expected.systems.iter();
                found.extend(systems.map(|system| System::new(&folder, system, &expected)));
            }
        }
    }
    for app in systems::files(root)? {
        let app = systems::tidy(&app);
        let is_tested = app.starts_with(root.join(TESTS));
        let is_of_others = OF_OTHERS.iter().any(|of| app.starts_with(root.join(of)));
        let is_named = found.iter().any(|system: &System| system.app == app);
        if is_tested && !is_of_others && !is_named {
            return Err(expect::unnamed(&app));
        }
    }
    Ok(found)
}

impl System {
    /// `FOLDER` or `FOLDER::NAME`; a file that is not called `app.toml` gives its own name between.
    fn new(folder: &Path, system: &Path, expected: &Expected) -> Self {
        let text = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        let mut parts = vec![text(folder.file_name())];
        if expected.long {
            parts.insert(0, LONG.to_owned());
        }
        let stem = text(system.file_stem());
        if stem != "app" {
            parts.push(stem);
        }
        parts.extend(expected.name.clone());
        Self {
            name: parts.join("::"),
            app: systems::tidy(&folder.join(system)),
            folder: folder.to_owned(),
            expected: expected.clone(),
        }
    }

    /// Whether an emulator runs it.
    pub fn is_run(&self) -> bool {
        self.expected.verdict != Ending::Built
    }

    /// The first version of QEMU that has its machine; nothing if any has.
    pub fn since(&self, project: &Project) -> Option<(u32, u32)> {
        since(&project.on(self.expected.platform.as_deref()), &self.app)
    }

    /// Whether it is to be run on a machine: a new SMMU changes nothing for most.
    pub fn fits(&self, row: &Row) -> bool {
        let plain = row.variant.is_empty();
        match self.expected.machines {
            Machines::Usual => row.stage1 && plain,
            Machines::EverySmmu => row.stage1,
            Machines::WithoutStage1 => !row.stage1,
        }
    }

    /// Why an emulator cannot make its machine.
    fn lack(&self, row: &Row) -> Option<String> {
        let (since, lack) = self.expected.difference.as_ref()?.since.as_ref()?;
        let (major, minor) = since.split_once('.')?;
        let first = (major.parse().ok()?, minor.parse().ok()?);
        (row.qemu.version < first).then(|| format!("QEMU {} has {lack}", row.qemu.name()))
    }

    /// Judges the end of a run; `log` is what was said.
    fn judge(&self, run: Result<Verdict, String>, log: &[String]) -> Outcome {
        let silent = |said: &dyn Fn(&str) -> bool| {
            let unsaid = self.expected.tells.iter().find(|words| !said(words));
            unsaid.map(|words| Outcome::Failed(format!("it ended without saying `{words}`")))
        };
        let logged = |words: &str| log.iter().any(|line| line.contains(words));
        match (run, self.expected.verdict) {
            (Ok(Verdict { code: 0, .. }), Ending::Pass | Ending::SwitchedOff | Ending::Built)
            | (Ok(Verdict { code: 1.., .. }), Ending::Fail) => {
                silent(&logged).unwrap_or(Outcome::Passed)
            }
            (Err(why), Ending::Refused) => {
                let refused = silent(&|words| why.contains(words));
                refused.map_or(Outcome::Passed, |_| Outcome::Failed(why.clone()))
            }
            (Ok(_), Ending::Fail) => Outcome::Failed("it has to fail".to_owned()),
            (Ok(_), Ending::Refused) => Outcome::Failed("it was not refused".to_owned()),
            (Ok(verdict), Ending::Pass | Ending::SwitchedOff | Ending::Built) => {
                Outcome::Failed(format!("the verdict is exit code {}", verdict.code))
            }
            (Err(why), _) => Outcome::Failed(why),
        }
    }
}

/// Builds and runs one.
pub fn system(project: &Project, unit: &System, row: &Row) -> failure::Outcome<Case> {
    let mut cases = repeated(project, unit, row, 1)?;
    Ok(cases.remove(0))
}

/// Builds one and runs it `times` times, at least once: a case for each, or one if it cannot be run.
pub fn repeated(
    project: &Project,
    system: &System,
    row: &Row,
    times: u32,
) -> failure::Outcome<Vec<Case>> {
    let project = &project.on(system.expected.platform.as_deref());
    let lack = system.lack(row);
    if let Some(why) = lack.or_else(|| row.lacks(project, &system.app)) {
        return Ok(vec![Case::new(system.name.as_str(), Outcome::Skipped(why))]);
    }
    let mut started = Instant::now();
    let mut cases = Vec::new();
    let mut over = |run: failure::Outcome<Verdict>, log: Vec<String>| {
        let run = match run {
            Ok(verdict) => Ok(verdict),
            Err(Failure::Shown) => return Err(Failure::Shown),
            Err(Failure::Message(why)) => Err(why),
        };
        let mut case = Case::new(system.name.as_str(), system.judge(run, &log));
        case.time = started.elapsed();
        started = Instant::now();
        if case.failed() {
            case.log = log;
        }
        cases.push(case);
        Ok(())
    };
    if system.expected.verdict == Ending::Built {
        over(only_built(project, system), Vec::new())?;
        return Ok(cases);
    }
    match build(project, system) {
        Err(why) => over(Err(why), Vec::new())?,
        Ok(built) => {
            for _ in 0..times.max(1) {
                let mut log = Vec::new();
                let run = execute(project, system, &built, row, &mut log);
                over(run, log)?;
            }
        }
    }
    Ok(cases)
}

/// Makes the image, which is compared with its plan then, and does not run it.
fn only_built(project: &Project, system: &System) -> failure::Outcome<Verdict> {
    let passed = Verdict {
        code: 0,
        note: None,
    };
    steps::build(project, Some(&system.app)).map(|_| passed)
}

/// Makes the image that is run, with the fault that it is to have.
fn build(project: &Project, system: &System) -> failure::Outcome<Built> {
    let expected = &system.expected;
    let build = || {
        let mut changed = Ok(());
        let built = steps::build_to_run_changed(project, Some(&system.app), |app| {
            changed = expected.change(&system.folder, app);
        });
        changed.and(built)
    };
    let mut built = build()?;
    if expected.built_once {
        built = build()?;
        let compiled = built.programs.compiled;
        if compiled != 0 {
            let why = format!("nothing changed, and {compiled} crates were compiled again");
            return Err(Failure::new(why));
        }
    }
    if let Some(spoil) = expected.spoil {
        spoil::spoil(&mut built, spoil)?;
    }
    Ok(built)
}

fn execute(
    project: &Project,
    system: &System,
    built: &Built,
    row: &Row,
    log: &mut Vec<String>,
) -> failure::Outcome<Verdict> {
    let expected = &system.expected;
    let folder = project.target.join("test");
    let odd = expected
        .disk
        .map(|len| disk::sample(&folder, len))
        .transpose()?;
    let disks = run::disks(project, &built.plan, odd.as_ref())?;
    let digest = match &odd {
        // Not from the file that the emulator reads: what the tool makes of the user's file is on trial.
        Some(file) => Some(padded(file)?),
        None => run::watched(&built.plan, &disks.files).map(Digest::start),
    };
    let cannot = "cannot make a temporary file";
    let record = expected.serial_line.then(tempfile::NamedTempFile::new);
    let record = record.transpose().map_err(Failure::when(cannot))?;
    let options = Options {
        qemu: row.qemu.clone(),
        timeout: expected.limit.map_or(LIMIT, Duration::from_secs),
        extra: row
            .arguments
            .iter()
            .chain(&expected.qemu)
            .cloned()
            .collect(),
        variations: match &expected.difference {
            Some(difference) => differences::variations(difference, &built.plan)?,
            None => Vec::new(),
        },
        record: record.as_ref().map(|file| file.path().to_owned()),
    };
    if expected.verdict == Ending::SwitchedOff {
        return switched_off(built, &disks, &options, log);
    }
    let mut watch = Watch::new(&built.plan);
    let end = run::run(built, &disks.files, &options, |line| {
        watch.see(line);
        let task = line.task.as_deref().unwrap_or("kernel");
        log.push(format!("{task}  {}", line.text));
    })?;
    if let Some(record) = record {
        let bytes =
            std::fs::read(record.path()).map_err(Failure::when("cannot read the record"))?;
        serial::judge(&bytes, &built.dist.folder, log)?;
        bring_up::judge(record.path(), &built.dist.folder)?;
    }
    // What passes has said so: words that are lost are the ones that a failure would be told in.
    // Where other words are expected, those are looked for.
    let passes = expected.verdict == Ending::Pass && expected.tells.is_empty();
    let awaited = built.plan.app.tasks.iter().any(|task| task.verdict);
    if passes && awaited && watch.spoken().is_none() && end == End::Exit(0) {
        return Err(Failure::new("it passed without a word of its verdict"));
    }
    watch.verdict(&end, digest)
}

/// Runs a system whose power key is pressed.
fn switched_off(
    built: &Built,
    disks: &Disks,
    options: &Options,
    log: &mut Vec<String>,
) -> failure::Outcome<Verdict> {
    let mut press = Press::new(log);
    let end = run::observe(built, &disks.files, options, &mut press)?;
    let disk = disks.files.values().next();
    let disk = disk.ok_or_else(|| Failure::new("the system has no disk"))?;
    press.judge(&end, disk)?;
    Ok(Verdict {
        code: 0,
        note: None,
    })
}

/// The digest of a file's bytes and the zeros up to the sector's end.
fn padded(file: &Path) -> failure::Outcome<Digest> {
    let mut bytes =
        std::fs::read(file).map_err(Failure::when(format!("cannot read {}", file.display())))?;
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    Ok(Digest::of_bytes(bytes))
}

#[cfg(test)]
mod tests;
