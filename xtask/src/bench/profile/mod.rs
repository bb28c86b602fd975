//! A row's instructions by task, function and line: what ran between the two looks at the counter that made its
//! figure.

mod source;
mod spaces;
mod stretch;
mod trace;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use super::counted::Counted;
use super::rows::Row;
use crate::qemu::Qemu;
use crate::run;
use crate::steps::Built;
use crate::testing::{Case, Outcome as End};
use builder::compile::Program;
use planner::failure::{Failure, Outcome};
use planner::project::Project;
use source::{Line, Source};
use spaces::Owner;
use trace::Trace;

/// The function that a task enters when a row is complete.
const REPORT: &str = "bench_protocol::row::report";
/// The name of the test, and the row that it shows.
pub const CASE: &str = "bench::profile";
const ROW_OF_CASE: &str = "longest-masked-console";
/// What has the instructions of no program.
const NOBODY: &str = "nobody";
/// The kernel's table of exceptions.
const VECTORS: &str = "vectors";

/// How many instructions of a row each part took.
#[derive(Debug)]
pub struct Profile {
    pub row: &'static Row,
    /// The row's figure in the run that was traced.
    pub figure: u64,
    /// The instructions of that figure; of a row for each of many, those of all.
    pub executed: usize,
    /// By task and line.
    parts: BTreeMap<(String, Line), usize>,
}

/// Runs a row's image with every instruction logged.
pub fn profile(
    project: &Project,
    qemu: &Qemu,
    row: &'static Row,
    mut show: impl FnMut(&run::Line),
) -> Outcome<Profile> {
    if row.counted == Counted::Apart {
        return Err(Failure::new(format!(
            "row `{}` is not what lies between two looks at the counter: there are no instructions of it to show",
            row.name
        )));
    }
    let built = super::build(project, row.app)?;
    let log = Log::start()?;
    let extra = trace::arguments(qemu.version, &log.path());
    let counted = super::execute(qemu, &built, &extra, &mut show)?;
    let trace = log.end()?;
    of(&built, trace, &counted, row)
}

/// What the trace of a run says about a row.
fn of(
    built: &Built,
    mut trace: Trace,
    counted: &[(String, u64)],
    row: &'static Row,
) -> Outcome<Profile> {
    let kernel = Source::new(&built.programs.kernel.elf)?;
    let missing = |what: &str| Failure::new(format!("no program has a symbol `{what}`"));
    trace.drop_stopped(kernel.function(VECTORS).ok_or_else(|| missing(VECTORS))?);
    let (programs, names) = programs(built);
    let sources: Vec<Source> = programs
        .iter()
        .map(|program| Source::new(&program.elf))
        .collect::<Outcome<_>>()?;
    let owners = spaces::owners(&trace, &programs);

    let position = counted.iter().position(|(name, _)| name == row.name);
    let position = position.ok_or_else(|| Failure::new(format!("no figure for: {}", row.name)))?;
    let (_, figure) = counted.get(position).ok_or(Failure::Shown)?;
    let entries: Vec<Option<u64>> = sources
        .iter()
        .map(|source| source.function(REPORT))
        .collect();
    let reports: Vec<bool> = trace
        .places
        .iter()
        .zip(&owners)
        .map(|(place, owner)| match owner {
            Owner::Program(number) => entries.get(*number) == Some(&Some(place.address)),
            _ => false,
        })
        .collect();
    let steps = trace.steps.iter().enumerate();
    let mut reported = steps.filter(|(_, place)| reports.get(**place as usize) == Some(&true));
    let report = reported.nth(position).ok_or_else(|| missing(REPORT))?.0;
    let looks = stretch::looks(&trace);
    let stretch = stretch::find(&looks, report, row.counted, *figure).ok_or_else(|| {
        Failure::new(format!(
            "no stretch of the trace between two looks at the counter has the {figure} instructions of row `{}`",
            row.name
        ))
    })?;

    let mut counts: BTreeMap<u32, usize> = BTreeMap::new();
    for place in trace.steps.get(stretch.clone()).unwrap_or_default() {
        *counts.entry(*place).or_default() += 1;
    }
    let mut parts = BTreeMap::new();
    for (number, count) in counts {
        let place = trace.places.get(number as usize).ok_or(Failure::Shown)?;
        let (task, line) = match owners.get(number as usize) {
            Some(Owner::Kernel) => ("kernel", kernel.line(place.address)),
            Some(Owner::Program(program)) => (
                names.get(*program).map_or("?", String::as_str),
                sources
                    .get(*program)
                    .map_or_else(Line::default, |source| source.line(place.address)),
            ),
            Some(Owner::Nobody) | None => (NOBODY, Line::default()),
        };
        *parts.entry((task.to_owned(), line)).or_default() += count;
    }
    Ok(Profile {
        row,
        figure: *figure,
        executed: stretch.len(),
        parts,
    })
}

/// The programs that differ, and whose each is: tasks with one program cannot be told apart by their code.
fn programs(built: &Built) -> (Vec<&Program>, Vec<String>) {
    let mut programs: Vec<&Program> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    for (task, program) in built.plan.app.tasks.iter().zip(&built.programs.tasks) {
        let name = &task.name.value;
        match programs.iter().position(|known| known.elf == program.elf) {
            Some(known) => {
                if let Some(names) = names.get_mut(known) {
                    names.push('/');
                    names.push_str(name);
                }
            }
            None => {
                programs.push(program);
                names.push(name.clone());
            }
        }
    }
    (programs, names)
}

impl Profile {
    /// What is wrong with it: it must have the instructions of the figure and of the looks at the counter and no others, and
    /// each must be of a program.
    pub fn complaint(&self) -> Option<String> {
        let parts: usize = self.parts.values().sum();
        let counts = |looking| {
            let taken = (self.executed + 1).checked_sub(looking)?;
            self.row.counted.figure(taken as u64)
        };
        let mut looking = 0..=stretch::LOOKS_MAX;
        if parts != self.executed || !looking.any(|looking| counts(looking) == Some(self.figure)) {
            let Self {
                figure, executed, ..
            } = self;
            return Some(format!(
                "{figure} counted, {executed} executed, {parts} told apart"
            ));
        }
        let mut tasks = self.parts.keys();
        let nobody = tasks.find(|(task, _)| task == NOBODY);
        nobody.map(|_| "instructions of no program".to_owned())
    }

    /// The table for a person: functions, or lines, the largest first.
    pub fn table(&self, lines: bool) -> String {
        let Self {
            row,
            figure,
            executed,
            ..
        } = self;
        let mut text = format!(
            "{}: {figure} instructions; {executed} were executed between the looks at the counter\n",
            row.name
        );
        text += &self.section("task", |task, _| format!("{task:<16}"));
        text += &self.section("task             function", |task, line| {
            format!("{task:<16} {}", line.function)
        });
        if lines {
            text += &self.section(
                "task             line, function, and what it is inlined into",
                |task, line| {
                    let Line {
                        function,
                        line,
                        symbol,
                    } = line;
                    let whole = if symbol == function {
                        String::new()
                    } else {
                        format!(" in {symbol}")
                    };
                    format!("{task:<16} {line} {function}{whole}")
                },
            );
        }
        text
    }

    /// The sums of all parts that have one name.
    fn section(&self, head: &str, name: impl Fn(&str, &Line) -> String) -> String {
        let mut sums: BTreeMap<String, usize> = BTreeMap::new();
        for ((task, line), count) in &self.parts {
            *sums.entry(name(task, line)).or_default() += count;
        }
        let mut sums: Vec<(String, usize)> = sums.into_iter().collect();
        sums.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let mut text = format!("\n{:>9} {:>7}  {head}\n", "executed", "share");
        for (name, count) in sums {
            let share = 100.0 * count as f64 / self.executed.max(1) as f64;
            text += &format!("{count:>9} {share:>6.1}%  {}\n", name.trim_end());
        }
        text
    }
}

/// A case: a row of the image that is over soonest can be shown, and its instructions are those of its figure.
pub fn case(project: &Project, qemu: &Qemu) -> Outcome<Case> {
    let row = Row::named(ROW_OF_CASE)?;
    let outcome = match profile(project, qemu, row, |_| ()) {
        Ok(profile) => profile.complaint().map_or(End::Passed, End::Failed),
        Err(Failure::Message(why)) => End::Failed(why),
        Err(Failure::Shown) => return Err(Failure::Shown),
    };
    Ok(Case::new(CASE, outcome))
}

/// QEMU's log of a run, read while it is written: it has a gigabyte and more.
struct Log {
    folder: tempfile::TempDir,
    /// Reads the pipe, so that what waits for QEMU to open it can be ended.
    pipe: Child,
    reader: Option<JoinHandle<Outcome<Trace>>>,
}

impl Log {
    fn start() -> Outcome<Self> {
        let folder =
            tempfile::tempdir().map_err(Failure::when("cannot make a temporary folder"))?;
        let pipe = folder.path().join("log");
        let made = Command::new("mkfifo").arg(&pipe).status();
        if !made.map_err(Failure::when("cannot run mkfifo"))?.success() {
            return Err(Failure::new("cannot make a named pipe"));
        }
        let mut pipe = Command::new("cat")
            .arg(&pipe)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(Failure::when("cannot run cat"))?;
        let log = pipe.stdout.take().ok_or(Failure::Shown)?;
        let reader = std::thread::spawn(|| Trace::read(BufReader::with_capacity(1 << 20, log)));
        Ok(Self {
            folder,
            pipe,
            reader: Some(reader),
        })
    }

    fn path(&self) -> String {
        self.folder.path().join("log").display().to_string()
    }

    /// All of it, after QEMU has ended.
    fn end(mut self) -> Outcome<Trace> {
        let reader = self.reader.take().ok_or(Failure::Shown)?;
        reader
            .join()
            .map_err(|_| Failure::new("reading QEMU's log failed"))?
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to kill.
        let _ = self.pipe.kill();
        let _ = self.pipe.wait();
    }
}
