//! What the tests say to each change: which tests come by its place is known from a run of each with nothing changed; they run with
//! the change until the first fails, the fast ones first. Where all pass, the package's random histories are run, if it has some.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::woven::{Program, Woven};
use crate::testing::Outcome;
use crate::testing::host::result;
use planner::failure::{self, Failure};

/// Tests that are faster run as one process, so many at once: a longer row would have to be given more time before it counts
/// as hung.
const FAST: Duration = Duration::from_millis(100);
const ROW: usize = 25;
/// How much longer tests may take with a change before they count as hung, and what a process has at least: seconds of processor
/// time, so that a busy machine makes no difference.
const SLOWER: u32 = 5;
const LIMIT: u64 = 2;
/// What a process may have of the address space, in KiB.
const SPACE: &str = "8388608";

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Caught,
    Hung,
    Missed,
    Unbuildable,
}

/// Steps of histories that a change has to pass.
const STEPS: &str = "30000";

/// The tests of a package, from the fastest on, and the run of its histories.
pub struct Tests {
    tests: Vec<Test>,
    histories: Option<Test>,
}

/// A run with nothing changed: how long it took, and the places that it came by.
struct Test {
    name: String,
    time: Duration,
    places: BTreeSet<u32>,
}

impl Tests {
    /// Runs each test with nothing changed.
    ///
    /// # Errors
    /// If one fails: then it says nothing about a change.
    pub fn measure(woven: &Woven, folder: &Path) -> failure::Outcome<Self> {
        let output = Command::new(&woven.tests.file)
            .args(["--list"])
            .output()
            .map_err(Failure::when("cannot list the tests"))?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = listed
            .lines()
            .filter_map(|line| line.strip_suffix(": test"));
        let trace = folder.join("trace");
        let mut tests = Vec::new();
        for name in names {
            tests.push(unchanged(&woven.tests, name, &of_library(&[name]), &trace)?);
        }
        tests.sort_by_key(|test| test.time);
        let histories = woven
            .histories
            .as_ref()
            .map(|program| unchanged(program, "a history", &["--steps", STEPS], &trace));
        Ok(Self {
            tests,
            histories: histories.transpose()?,
        })
    }

    /// Makes one change and runs the tests that come by its place.
    ///
    /// # Errors
    /// If they cannot be run.
    pub fn judge(&self, woven: &Woven, own: u32, place: u32) -> failure::Outcome<Verdict> {
        let environment = [("MUTATION", own.to_string())];
        let limit = |time: Duration| LIMIT + (time * SLOWER).as_secs();
        let coming = self
            .tests
            .iter()
            .filter(|test| test.places.contains(&place));
        let (fast, slow): (Vec<_>, Vec<_>) = coming.partition(|test| test.time < FAST);
        for group in fast.chunks(ROW).chain(slow.chunks(1)) {
            let time: Duration = group.iter().map(|test| test.time).sum();
            let names: Vec<&str> = group.iter().map(|test| test.name.as_str()).collect();
            let arguments = of_library(&names);
            let verdict = run(&woven.tests, &arguments, limit(time), &environment)?;
            if verdict != Verdict::Missed {
                return Ok(verdict);
            }
        }
        match (&self.histories, &woven.histories) {
            (Some(histories), Some(program)) if histories.places.contains(&place) => {
                let limit = limit(histories.time);
                run(program, &["--steps", STEPS], limit, &environment)
            }
            _ => Ok(Verdict::Missed),
        }
    }
}

/// What the program of a library's tests is told, to run some of them.
fn of_library<'n>(names: &[&'n str]) -> Vec<&'n str> {
    let mut arguments = vec!["--test-threads", "1", "--exact"];
    arguments.extend(names);
    arguments
}

/// Runs something with nothing changed.
fn unchanged(
    program: &Program,
    name: &str,
    arguments: &[&str],
    trace: &Path,
) -> failure::Outcome<Test> {
    let _ = std::fs::remove_file(trace);
    let started = Instant::now();
    let environment = [
        ("MUTATION", "trace".to_owned()),
        ("MUTATION_TRACE", trace.display().to_string()),
    ];
    if run(program, arguments, 3600, &environment)? != Verdict::Missed {
        return Err(Failure::new(format!("{name} fails with nothing changed")));
    }
    let time = started.elapsed();
    let places = std::fs::read_to_string(trace).unwrap_or_default();
    let places = places.lines().filter_map(|line| line.parse().ok());
    Ok(Test {
        name: name.to_owned(),
        time,
        places: places.collect(),
    })
}

/// Runs a program until a test fails.
fn run(
    program: &Program,
    arguments: &[&str],
    limit: u64,
    environment: &[(&str, String)],
) -> failure::Outcome<Verdict> {
    let script = format!("ulimit -c 0; ulimit -t {limit}; ulimit -v {SPACE}; exec \"$@\"");
    let environment: BTreeMap<_, _> = environment.iter().cloned().collect();
    let mut child = Command::new("sh")
        .args(["-c", &script, "sh"])
        .arg(&program.file)
        .args(arguments)
        .envs(environment)
        // An input that a change made fail is kept for nobody, nor made smaller.
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1")
        .env("PROPTEST_MAX_SHRINK_ITERS", "0")
        .env("RUST_BACKTRACE", "0")
        .env("CARGO_MANIFEST_DIR", &program.folder)
        .current_dir(&program.folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(Failure::when("cannot run the tests"))?;
    let output = child.stdout.take().into_iter();
    for line in output.flat_map(|output| BufReader::new(output).lines()) {
        let line = line.unwrap_or_default();
        if let Some((_, Outcome::Failed(_))) = result(&line) {
            let _ = child.kill();
            let _ = child.wait();
            return Ok(Verdict::Caught);
        }
    }
    let status = child
        .wait()
        .map_err(Failure::when("cannot wait for the tests"))?;
    Ok(match status.signal() {
        None if status.success() => Verdict::Missed,
        // What the limit of processor time ends a process with.
        Some(9 | 24) => Verdict::Hung,
        _ => Verdict::Caught,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::mutations::list::{Changes, Genre, sample};
    use crate::testing::mutations::woven::Switch;

    const MANIFEST: &str = "[package]\nname = \"small\"\nedition = \"2024\"\n[workspace]\n";
    const SOURCE: &str = "#![no_std]
#[cfg(test)]
extern crate std;
pub const LENGTH: usize = 1 + 2;
pub const fn used(a: usize) -> usize { a - LENGTH }
pub const fn asked(a: usize) -> bool { a > 3 && a > 2 }
pub fn steps(mut left: usize) -> usize { let mut n = 0; while left != 0 { left -= 1; n += 1; } n }
pub fn never() -> bool { true }
pub static USED: [u8; used(5)] = [0; 2];
#[test] fn an_edge() { assert!(asked(4) && !asked(3)); }
#[test] fn all_steps() { assert_eq!(steps(3), 3); }
";

    #[test]
    fn a_small_crate_is_judged() {
        let folder = tempfile::tempdir().expect("there is room");
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("src")).expect("there is room");
        std::fs::write(root.join("Cargo.toml"), MANIFEST).expect("there is room");
        std::fs::write(root.join("src/lib.rs"), SOURCE).expect("there is room");
        let git = Command::new("git")
            .args(["init", "--quiet"])
            .current_dir(&root)
            .status();
        assert!(git.is_ok_and(|status| status.success()));
        let operator = |line, column, end, text| {
            sample(Genre::BinaryOperator, (line, column), (line, end), text)
        };
        let changes = vec![
            operator(4, 29, 30, "*"),
            operator(5, 42, 43, "+"),
            operator(6, 42, 43, ">="),
            operator(6, 46, 48, "||"),
            operator(6, 51, 52, ">="),
            sample(Genre::FnValue, (7, 42), (7, 43), "\"a\""),
            operator(7, 80, 82, "+="),
            sample(Genre::FnValue, (8, 26), (8, 30), "false"),
        ];
        let count = changes.len();
        let changes = Changes::from([("src/lib.rs".to_owned(), changes)]);
        let built = folder.path().join("built");
        let woven = Woven::build(&root, "small", &changes, &built).expect("it builds");
        let tests = Tests::measure(&woven, &built).expect("they pass");
        let verdict = |number| match woven.switch("src/lib.rs", number) {
            Switch::Constant => None,
            Switch::Unbuildable => Some(Verdict::Unbuildable),
            Switch::Number { own, place } => tests.judge(&woven, own, place).ok(),
        };
        let verdicts: Vec<Option<Verdict>> = (0..count).map(verdict).collect();
        // `used` has to be constant, `asked` has not; its second part does not matter; no test comes by `never`.
        let wanted = [
            None,
            None,
            Some(Verdict::Caught),
            Some(Verdict::Caught),
            Some(Verdict::Missed),
            Some(Verdict::Unbuildable),
            Some(Verdict::Hung),
            Some(Verdict::Missed),
        ];
        assert_eq!(verdicts, wanted);
    }
}
