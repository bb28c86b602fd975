//! The run under load: everything that starts an emulator, many times, while busy loops take the processors. A case that rests on
//! how fast the emulator is fails here sooner or later.
//!
//! It takes hours, so what was run is kept in [`RECORD`], and a run that was broken off goes on where it was.

mod plan;
mod record;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use self::plan::{Next, Plan};
use self::record::{Broken, Record};
use super::{Asked, Case, Outcome, Row, Suite, System};
use super::{image, system};
use crate::run;
use planner::failure::{self, Failure};
use planner::project::Project;

/// The beginning of the names of these runs.
pub const LOAD: &str = "load";
/// The number of loops that do nothing.
const LOOPS: usize = 4;
/// The number of emulators that run at a time: many of them wait more than they compute.
const AT_ONCE: usize = 6;
/// The number of runs for which an image is built once: building takes longer than most of them.
const BUILT_FOR: u32 = 5;
/// How often each is to be run without a failure.
const ENOUGH: u32 = 50;
/// What was run, and how often.
const RECORD: &str = "tests/data/load.toml";

/// An image of cases or a system: what is run as one.
pub struct Unit {
    pub name: String,
    app: PathBuf,
    what: What,
}

enum What {
    Image(Suite),
    System(Box<System>),
}

impl From<Suite> for Unit {
    fn from(suite: Suite) -> Self {
        Self {
            name: suite.name.clone(),
            app: suite.app.clone(),
            what: What::Image(suite),
        }
    }
}

impl From<System> for Unit {
    fn from(system: System) -> Self {
        Self {
            name: system.name.clone(),
            app: system.app.clone(),
            what: What::System(Box::new(system)),
        }
    }
}

impl Unit {
    /// Builds it and runs it `times` times: how each run ended.
    fn ends(&self, project: &Project, row: &Row, times: u32) -> failure::Outcome<Vec<End>> {
        let runs = match &self.what {
            What::Image(suite) => {
                let mut runs = Vec::new();
                let show = &mut |run: u32, case| {
                    runs.resize_with(run as usize + 1, Vec::new);
                    if let Some(cases) = runs.last_mut() {
                        cases.push(case);
                    }
                };
                image::repeated(project, suite, &Asked::All, row, times, show)?;
                runs
            }
            What::System(unit) => {
                let cases = system::repeated(project, unit, row, times)?;
                cases.into_iter().map(|case| vec![case]).collect()
            }
        };
        Ok(runs.into_iter().map(End::of).collect())
    }

    /// The name of its result.
    fn case(&self, outcome: Outcome) -> Case {
        Case::new(format!("{LOAD}::{}", self.name), outcome)
    }
}

/// What is told of a run.
pub enum Told {
    /// A unit was run enough, or failed, or cannot be run.
    Over(Case),
    /// How far it is.
    Far(String),
}

/// Runs the units until each was run [`ENOUGH`] times without a failure, with this machine.
///
/// # Errors
/// If the record cannot be read or written, or the user breaks off; what was run is in the record then.
pub fn load(
    project: &Project,
    units: &[Unit],
    row: &Row,
    show: &mut dyn FnMut(Told),
) -> failure::Outcome<()> {
    let file = project.root.join(RECORD);
    let mut record = record::read(&file)?;
    let commit = record::commit(&project.root);
    let plan = Mutex::new(Plan::new(units, &record));
    for unit in units {
        if let Some(case) = known(unit, &record) {
            show(Told::Over(case));
        }
    }
    let crew = Crew {
        project,
        units,
        row,
        plan,
        freed: Condvar::new(),
    };
    under_load(&crew, &mut |ran| {
        let unit = &units[ran.unit];
        // Its next runs had begun when it failed.
        if record.unexplained(&unit.name).is_some() {
            return Ok(());
        }
        for end in ran.result.or_else(|why| told(unit, why))? {
            match end {
                End::Passed => record.passed(&unit.name, &commit, &row.qemu.name()),
                End::Skipped(why) => {
                    crew.plan().finish(ran.unit);
                    show(Told::Over(unit.case(Outcome::Skipped(why))));
                    return Ok(());
                }
                End::Failed(cases) => {
                    let broken = Broken {
                        unit: unit.name.clone(),
                        commit: commit.clone(),
                        qemu: row.qemu.name(),
                        cases: cases.iter().map(sentence).collect(),
                        reason: String::new(),
                    };
                    let logs = project.target.join("test").join(LOAD);
                    let log = keep_log(&logs, &unit.name, &cases)?;
                    crew.plan().finish(ran.unit);
                    let told = format!("{}; log: {}", broken.cases.join("; "), log.display());
                    show(Told::Over(unit.case(Outcome::Failed(told))));
                    record.failed(broken);
                    return record::write(&file, &record);
                }
            }
        }
        record::write(&file, &record)?;
        let runs = record.runs(&unit.name);
        if runs >= ENOUGH {
            show(Told::Over(unit.case(Outcome::Passed)));
        }
        let left = crew.plan().left();
        show(Told::Far(format!(
            "{}: {runs} of {ENOUGH} runs, the last ones in {} s; {left} of all are not begun",
            unit.name,
            ran.time.as_secs()
        )));
        Ok(())
    })
}

/// What the record says of a unit that is not to be run: it failed, and nobody has said why, or it was run enough.
fn known(unit: &Unit, record: &Record) -> Option<Case> {
    if record.runs(&unit.name) >= ENOUGH {
        return Some(unit.case(Outcome::Passed));
    }
    let broken = record.unexplained(&unit.name)?;
    let why = format!(
        "at {} on QEMU {}: {}; with a `reason` in {RECORD} it is run again",
        broken.commit,
        broken.qemu,
        broken.cases.join("; ")
    );
    Some(unit.case(Outcome::Failed(why)))
}

/// An image that cannot be built or started has failed.
fn told(unit: &Unit, why: Failure) -> failure::Outcome<Vec<End>> {
    match why {
        Failure::Shown => Err(Failure::Shown),
        Failure::Message(why) => {
            let case = Case::new(unit.name.as_str(), Outcome::Failed(why));
            Ok(vec![End::Failed(vec![case])])
        }
    }
}

fn sentence(case: &Case) -> String {
    match &case.outcome {
        Outcome::Failed(why) | Outcome::Skipped(why) => format!("{}: {why}", case.name),
        Outcome::Passed => case.name.clone(),
    }
}

/// Writes what was logged in the cases that failed.
fn keep_log(folder: &Path, unit: &str, cases: &[Case]) -> failure::Outcome<PathBuf> {
    let file = folder.join(format!("{}.log", unit.replace("::", "-")));
    let mut text = String::new();
    for case in cases {
        text += &format!("{}\n", sentence(case));
        case.log
            .iter()
            .for_each(|line| text += &format!("    {line}\n"));
    }
    let cannot = || format!("cannot write {}", file.display());
    std::fs::create_dir_all(folder).map_err(Failure::when(cannot()))?;
    std::fs::write(&file, text).map_err(Failure::when(cannot()))?;
    Ok(file)
}

/// How a run of a unit ended.
enum End {
    Passed,
    /// Nothing of it can be run here.
    Skipped(String),
    /// The cases that failed.
    Failed(Vec<Case>),
}

impl End {
    fn of(cases: Vec<Case>) -> Self {
        let skipped = cases.iter().map(|case| match &case.outcome {
            Outcome::Skipped(why) => Some(why.clone()),
            _ => None,
        });
        let skipped = skipped.collect::<Option<Vec<_>>>();
        if let Some(why) = skipped.and_then(|why| why.into_iter().next()) {
            return Self::Skipped(why);
        }
        let failed: Vec<_> = cases.into_iter().filter(Case::failed).collect();
        if failed.is_empty() {
            Self::Passed
        } else {
            Self::Failed(failed)
        }
    }
}

/// Runs of a unit that are over.
struct Ran {
    unit: usize,
    result: failure::Outcome<Vec<End>>,
    time: Duration,
}

/// What those who run units share.
struct Crew<'a> {
    project: &'a Project,
    units: &'a [Unit],
    row: &'a Row,
    plan: Mutex<Plan>,
    /// Somebody has ended a run.
    freed: Condvar,
}

impl Crew<'_> {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs units until none is left.
    fn work(&self, ended: &Sender<Ran>) {
        loop {
            let mut plan = self.plan();
            let (unit, times) = loop {
                match plan.take() {
                    Next::Run(unit, times) => break (unit, times),
                    Next::Over => return,
                    Next::Wait => {
                        let waited = self.freed.wait(plan);
                        plan = waited.unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            drop(plan);
            let started = Instant::now();
            let result = self.units[unit].ends(self.project, self.row, times);
            let time = started.elapsed();
            self.plan().put_back(unit);
            self.freed.notify_all();
            if ended.send(Ran { unit, result, time }).is_err() {
                return;
            }
        }
    }
}

/// Runs the crew beside busy loops; `over` gets each run that is over.
fn under_load(
    crew: &Crew<'_>,
    over: &mut dyn FnMut(Ran) -> failure::Outcome<()>,
) -> failure::Outcome<()> {
    run::note_interrupts();
    let idle = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..LOOPS {
            scope.spawn(|| {
                while !idle.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let (sender, ended) = mpsc::channel();
        for _ in 0..AT_ONCE {
            let sender = sender.clone();
            scope.spawn(move || crew.work(&sender));
        }
        drop(sender);
        let mut result = Ok(());
        for ran in ended {
            if run::is_interrupted() {
                result = Err(Failure::new(
                    "broken off; the next run goes on where this was",
                ));
            }
            if result.is_ok() {
                result = over(ran);
            }
            if result.is_err() {
                crew.plan().stop();
                crew.freed.notify_all();
            }
        }
        idle.store(true, Ordering::Relaxed);
        result
    })
}

#[cfg(test)]
mod tests;
