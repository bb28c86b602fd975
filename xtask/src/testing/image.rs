//! Images of cases: systems below `tests/suites/` whose supervisor prints `case NAME ok`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use suite::protocol::ASKED;

use super::cases::{Listed, cases};
use super::expect::{self, EXPECT};
use super::matrix::since;
use super::{Case, Outcome, Row};
use crate::run::{self, End, Line, Observer, Options, Probe};
use crate::steps;
use crate::systems;
use planner::failure::{self, Failure};
use planner::project::Project;
use planner::read::{App, Parameter};
use planner::report::Spanned;

/// A suite: an `app.toml` and its name.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: String,
    pub app: PathBuf,
    /// The platform in place of that of the `app.toml`.
    platform: Option<String>,
    /// Further QEMU arguments.
    extra: Vec<String>,
}

/// Folder of the suites.
const SUITES: &str = "tests/suites";
/// How long an image may run; its own runner bounds every case.
const LIMIT: Duration = Duration::from_secs(600);
/// How often the tasks' logs are read: often enough that little is overwritten before.
const READING: Duration = Duration::from_millis(200);
/// Most lines of logs that are kept for a case that fails, and of them those shown of an image that hangs.
const KEPT: usize = 4096;
const SHOWN: usize = 40;

/// The suites there are: each run of the `expect.toml` of each folder below `tests/suites`, named `FOLDER` or
/// `FOLDER-NAME`.
///
/// # Errors
/// A system below `tests/suites` is no suite: its folder has no `expect.toml`, or the system is not in its `app.toml`.
/// Or an `expect.toml` asks for more than a suite has.
pub fn images(root: &Path) -> failure::Outcome<Vec<Suite>> {
    let place = systems::tidy(&root.join(SUITES));
    let mut suites: Vec<Suite> = Vec::new();
    for folder in systems::entries(&place)? {
        let app = folder.join("app.toml");
        if !app.is_file() && !folder.join(EXPECT).is_file() {
            continue;
        }
        for run in expect::read(&folder)? {
            if !run.is_suite() {
                return Err(Failure::new(format!(
                    "{}: a suite judges itself; its runs have `name`, `platform`, one of `systems` and `qemu` only",
                    folder.join(EXPECT).display()
                )));
            }
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            let system = run.systems.first();
            let suffix = run.name.map(|name| format!("-{name}")).unwrap_or_default();
            suites.push(Suite {
                name: format!("{name}{suffix}"),
                app: system
                    .map_or_else(|| app.clone(), |system| systems::tidy(&folder.join(system))),
                platform: run.platform,
                extra: run.qemu,
            });
        }
    }
    for app in systems::files(root)? {
        let app = systems::tidy(&app);
        if app.starts_with(&place) && !suites.iter().any(|suite| suite.app == app) {
            return Err(expect::unnamed(&app));
        }
    }
    Ok(suites)
}

/// Which cases of a suite are to be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    All,
    /// The cases with these numbers.
    Cases(Vec<usize>),
}

impl Asked {
    /// Tells the runner.
    fn tell(&self, app: &mut App) {
        let Self::Cases(numbers) = self else { return };
        let Some(runner) = app.tasks.first_mut() else {
            return;
        };
        let mut words = [0; ASKED.len()];
        for number in numbers {
            if let Some(word) = words.get_mut(number / 64) {
                *word |= 1 << (number % 64);
            }
        }
        let span = &runner.name.span;
        let told = ASKED.iter().zip(words).map(|(name, word)| {
            let value = Spanned::new(Parameter::Number(word), span.clone());
            (Spanned::new((*name).to_owned(), span.clone()), value)
        });
        runner.parameters.extend(told);
    }
}

impl Suite {
    #[cfg(test)]
    pub fn sample(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            app: PathBuf::new(),
            platform: None,
            extra: Vec::new(),
        }
    }

    /// The suite's cases, in their order.
    pub fn cases(&self) -> failure::Outcome<Vec<Listed>> {
        cases(self.app.parent().unwrap_or(Path::new("")))
    }

    /// The first version of QEMU that has its machine; nothing if any has.
    pub fn since(&self, project: &Project) -> Option<(u32, u32)> {
        since(&project.on(self.platform.as_deref()), &self.app)
    }

    /// Whether it is to be run on a machine: what another processor changes, another SMMU does not change again.
    pub fn fits(&self, row: &Row) -> bool {
        self.extra.is_empty() && self.platform.is_none() || row.variant.is_empty()
    }
}

/// Builds and runs an image; `show` gets each result as it comes.
pub fn image(
    project: &Project,
    suite: &Suite,
    asked: &Asked,
    row: &Row,
    show: &mut dyn FnMut(Case),
) -> failure::Outcome<()> {
    repeated(project, suite, asked, row, 1, &mut |_, case| show(case))
}

/// Builds an image and runs it `times` times; `show` gets each result as it comes, and the number of its run, from 0 on.
pub fn repeated(
    project: &Project,
    suite: &Suite,
    asked: &Asked,
    row: &Row,
    times: u32,
    show: &mut dyn FnMut(u32, Case),
) -> failure::Outcome<()> {
    let project = &project.on(suite.platform.as_deref());
    if let Some(why) = row.lacks(project, &suite.app) {
        let name = format!("{}::*", suite.name);
        show(0, Case::new(name, Outcome::Skipped(why)));
        return Ok(());
    }
    let built = steps::build_to_run_changed(project, Some(&suite.app), |app| asked.tell(app))?;
    let options = Options {
        qemu: row.qemu.clone(),
        timeout: LIMIT,
        extra: row.arguments.iter().chain(&suite.extra).cloned().collect(),
        variations: Vec::new(),
        record: None,
    };
    for run in 0..times {
        let disks = run::disks(project, &built.plan, None)?;
        let mut show = |case| show(run, case);
        let mut follower = Follower::new(&suite.name, &mut show);
        let end = run::observe(&built, &disks.files, &options, &mut follower)?;
        follower.finish(&end);
    }
    Ok(())
}

/// Turns the runner's lines into results.
struct Follower<'a> {
    suite: &'a str,
    show: &'a mut dyn FnMut(Case),
    /// The time when the case under way began.
    begun: Instant,
    /// The kernel's lines since then.
    console: Vec<String>,
    /// The lines that tasks logged, with their times.
    logged: VecDeque<(u64, String)>,
    /// The time when the logs were read.
    read: Instant,
    /// The times between which the case ran that will be told next.
    between: Option<(u64, u64)>,
    failed: bool,
    complete: bool,
}

impl Observer for Follower<'_> {
    fn line(&mut self, line: &Line, probe: &mut Probe<'_>) {
        // Cases are the runner's word, on the kernel's console; what tasks log is read from their rings.
        if line.task.is_some() {
            return;
        }
        if line.text.starts_with("suite ") {
            self.complete = true;
        }
        if let Some(times) = between(&line.text) {
            self.between = Some(times);
            return;
        }
        let Some(mut case) = case(self.suite, &line.text) else {
            self.console.push(format!("kernel  {}", line.text));
            return;
        };
        case.time = self.begun.elapsed();
        let console = std::mem::take(&mut self.console);
        let times = self.between.take();
        if case.failed() {
            self.failed = true;
            // The runner waits before it goes on.
            let current = self.read(probe);
            case.log = console;
            case.log.extend(self.log_between(times));
            if !current {
                case.log
                    .push("(the guest ended before its tasks' logs were read)".to_owned());
            }
        }
        (self.show)(case);
        self.begun = Instant::now();
    }

    fn tick(&mut self, probe: &mut Probe<'_>) {
        if self.read.elapsed() >= READING {
            self.read(probe);
        }
    }
}

impl<'a> Follower<'a> {
    fn new(suite: &'a str, show: &'a mut dyn FnMut(Case)) -> Self {
        Self {
            suite,
            show,
            begun: Instant::now(),
            console: Vec::new(),
            logged: VecDeque::new(),
            read: Instant::now(),
            between: None,
            failed: false,
            complete: false,
        }
    }

    /// Reads what the tasks have logged; false if they are gone.
    fn read(&mut self, probe: &mut Probe<'_>) -> bool {
        self.read = Instant::now();
        let Some(lines) = probe.news() else {
            return false;
        };
        for (time, line) in lines {
            let task = line.task.unwrap_or_default();
            self.logged
                .push_back((time, format!("{task}  {}", line.text)));
        }
        let excess = self.logged.len().saturating_sub(KEPT);
        self.logged.drain(..excess);
        true
    }

    /// Lines with times in `times`, both included; all if none are given. Lines without a time are in no case.
    fn log_between(&self, times: Option<(u64, u64)>) -> Vec<String> {
        let (first, last) = times.unwrap_or((0, u64::MAX));
        self.logged
            .iter()
            .filter(|(time, _)| (first..=last).contains(time))
            .map(|(_, line)| line.clone())
            .collect()
    }

    /// An image that did not come to its end, or whose exit code and cases do not agree, has failed as well.
    fn finish(self, end: &End) {
        if self.complete && (*end == End::Exit(0) || self.failed) {
            return;
        }
        let name = format!("{}::image", self.suite);
        let mut case = Case::new(name, Outcome::Failed(end.to_string()));
        case.log = self.console;
        let newest = self.logged.len().saturating_sub(SHOWN);
        let lines = self.logged.into_iter().skip(newest);
        case.log.extend(lines.map(|(_, line)| line));
        (self.show)(case);
    }
}

/// `between 123456 and 234567 us`: when the case ran that is told next, by the clock of the logs.
fn between(line: &str) -> Option<(u64, u64)> {
    let (first, rest) = line.strip_prefix("between ")?.split_once(" and ")?;
    let last = rest.strip_suffix(" us")?;
    Some((first.parse().ok()?, last.parse().ok()?))
}

/// `case NAME ok`, `case NAME FAILED why`, `case NAME skipped why`.
fn case(suite: &str, line: &str) -> Option<Case> {
    let mut words = line.strip_prefix("case ")?.splitn(3, ' ');
    let name = format!("{suite}::{}", words.next()?);
    let word = words.next()?;
    let why = words.next().unwrap_or_default().to_owned();
    let outcome = match word {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed(why),
        "skipped" => Outcome::Skipped(why),
        _ => return None,
    };
    Some(Case::new(name, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_runner() {
        let outcome = |line| case("kernel", line).map(|case| case.outcome);
        assert_eq!(outcome("case a ok"), Some(Outcome::Passed));
        assert_eq!(
            outcome("case a FAILED server: lived on"),
            Some(Outcome::Failed("server: lived on".to_owned()))
        );
        assert_eq!(outcome("suite kernel: 1 passed"), None);
    }

    fn finished(complete: bool, failed: bool, end: &End) -> Vec<Case> {
        let mut cases = Vec::new();
        let mut show = |case| cases.push(case);
        let mut follower = Follower::new("kernel", &mut show);
        (follower.complete, follower.failed) = (complete, failed);
        follower.finish(end);
        cases
    }

    #[test]
    fn a_suite_that_nothing_runs_is_a_mistake() {
        let found = |files: &[(&str, &str)]| {
            let root = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(root.path().join("docs/guide")).unwrap();
            for (file, text) in files {
                let file = root.path().join("tests/suites").join(file);
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, text).unwrap();
            }
            let suites = images(root.path()).ok()?;
            Some(suites.into_iter().map(|suite| suite.name).collect())
        };
        let none: Option<Vec<String>> = None;
        let (app, run) = (
            ("one/app.toml", "[tasks.a]\n"),
            ("one/expect.toml", "[[run]]\n"),
        );
        assert_eq!(found(&[app, run]), Some(vec!["one".to_owned()]));
        assert_eq!(found(&[app]), none);
        assert_eq!(found(&[app, ("one/expect.toml", "run = []\n")]), none);
        assert_eq!(found(&[app, run, ("two/other.toml", "[tasks.a]\n")]), none);
        assert_eq!(
            found(&[app, run, ("one/deeper/app.toml", "[tasks.a]\n")]),
            none
        );
        // A library is none.
        assert!(found(&[app, run, ("suite/Cargo.toml", "[package]\n")]).is_some());
    }

    #[test]
    fn images_that_end_badly() {
        assert!(finished(true, false, &End::Exit(0)).is_empty());
        assert!(finished(true, true, &End::Exit(1)).is_empty());
        assert_eq!(finished(true, false, &End::Exit(1)).len(), 1);
        assert_eq!(finished(false, true, &End::Killed).len(), 1);
    }

    #[test]
    fn logs_of_a_case() {
        let mut show = |_| ();
        let mut follower = Follower::new("kernel", &mut show);
        for time in [10, 20, 30, 40] {
            follower.logged.push_back((time, format!("task  {time}")));
        }
        let times = between("between 20 and 30 us");
        assert_eq!(times, Some((20, 30)));
        assert_eq!(follower.log_between(times), ["task  20", "task  30"]);
        assert_eq!(follower.log_between(None).len(), 4);
        assert_eq!(between("between 20 and 30"), None);
        assert_eq!(between("case between-two ok"), None);
    }

    #[test]
    fn a_hanging_image_shows_the_newest_lines() {
        let mut cases = Vec::new();
        let mut show = |case| cases.push(case);
        let mut follower = Follower::new("kernel", &mut show);
        for time in 0..100 {
            follower.logged.push_back((time, time.to_string()));
        }
        follower.finish(&End::Killed);
        assert_eq!(cases[0].log.len(), SHOWN);
        assert_eq!(cases[0].log.last().unwrap(), "99");
    }
}
