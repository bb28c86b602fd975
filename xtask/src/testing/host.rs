//! Host tests: cargo builds the workspace's test programs, which are then run one by one, so that each
//! result has a name, a time and what it printed. Examples in documentation are run the same way, by rustdoc.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Case, Outcome, examples};
use builder::compile::artifacts;
use planner::failure::{self, Failure};

/// A built test program.
#[derive(Clone, Debug)]
pub struct Program {
    /// Prefix of its tests' names: the package, and the file below `tests/`.
    pub prefix: String,
    kind: Kind,
    folder: PathBuf,
    /// Names without the prefix; none for a program that is one test as a whole.
    tests: Vec<String>,
}

/// The kind of program that is run, and how it tells its tests and results.
#[derive(Clone, Debug)]
enum Kind {
    /// A program of libtest's.
    Tests(PathBuf),
    /// A program that takes no names of tests: its exit code is the result.
    Whole(PathBuf),
    /// The examples in the documentation of the package: cargo has rustdoc build and run them, as libtest would.
    Examples(String),
}

/// Programs that are one test as a whole, by their names.
const WHOLE: [&str; 1] = ["histories"];

/// All test programs of the host.
pub struct Programs(Vec<Program>);

impl Programs {
    /// Builds the workspace's tests. What cargo says is shown as it says it.
    pub fn build(root: &Path) -> failure::Outcome<Self> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(root)
            .args(["test", "--workspace", "--lib", "--bins", "--tests"])
            .arg("--no-run")
            .stdin(Stdio::null());
        let mut programs = Vec::new();
        for built in artifacts::messages(command)? {
            if let Some(program) = Program::of(&built)? {
                programs.push(program);
            }
        }
        for (package, folder) in examples::packages(root)? {
            programs.push(Program::of_examples(package, folder)?);
        }
        programs.sort_by(|a, b| a.prefix.cmp(&b.prefix));
        Ok(Self(programs))
    }

    /// No programs at all.
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Names of all tests.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let programs = self.0.iter();
        programs.flat_map(|program| program.tests.iter().map(|test| program.name(test)))
    }

    /// The tests that `filter` selects: each program with the names of its tests, without the
    /// prefix.
    pub fn select(&self, filter: Option<&str>) -> Vec<(&Program, Vec<String>)> {
        self.0
            .iter()
            .filter_map(|program| {
                let tests = program.select(filter);
                (!tests.is_empty()).then_some((program, tests))
            })
            .collect()
    }
}

impl Program {
    fn of(message: &serde_json::Value) -> failure::Outcome<Option<Self>> {
        let Some((package, file)) = artifacts::program(message) else {
            return Ok(None);
        };
        let text = |value: Option<&serde_json::Value>| {
            value
                .and_then(serde_json::Value::as_str)
                .unwrap_or_default()
                .to_owned()
        };
        let target = message.get("target");
        let name = text(target.and_then(|target| target.get("name")));
        let kind = target
            .and_then(|target| target.get("kind"))
            .and_then(|kind| kind.get(0));
        let prefix = if text(kind) == "test" {
            format!("{package}::{name}")
        } else {
            package
        };
        let manifest = PathBuf::from(text(message.get("manifest_path")));
        let kind = match WHOLE.contains(&name.as_str()) {
            true => Kind::Whole(file),
            false => Kind::Tests(file),
        };
        let folder = manifest.parent().unwrap_or(Path::new("/")).to_path_buf();
        Self::listed(prefix, kind, folder).map(Some)
    }

    fn of_examples(package: String, folder: PathBuf) -> failure::Outcome<Self> {
        let program = Self::listed(format!("{package}::doc"), Kind::Examples(package), folder)?;
        if program.tests.is_empty() {
            // One that does not compile is listed; none is listed if rustdoc was not run.
            let folder = program.folder.display();
            let why = format!("the examples in the documentation of {folder} cannot be listed");
            return Err(Failure::new(why));
        }
        Ok(program)
    }

    fn listed(prefix: String, kind: Kind, folder: PathBuf) -> failure::Outcome<Self> {
        let mut program = Self {
            prefix,
            kind,
            folder,
            tests: Vec::new(),
        };
        program.tests = program.list()?;
        Ok(program)
    }

    fn command(&self) -> Command {
        let mut command = match &self.kind {
            Kind::Tests(file) | Kind::Whole(file) => Command::new(file),
            Kind::Examples(package) => {
                let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
                let mut command = Command::new(cargo);
                command.args(["test", "--doc", "--package", package, "--"]);
                // What cargo says of building; with `--quiet` results have no names.
                command.stderr(Stdio::null());
                command
            }
        };
        command
            .current_dir(&self.folder)
            .env("CARGO_MANIFEST_DIR", &self.folder)
            .stdin(Stdio::null());
        command
    }

    /// A program without libtest either lists like it or is one test.
    fn list(&self) -> failure::Outcome<Vec<String>> {
        if matches!(self.kind, Kind::Whole(_)) {
            return Ok(vec![String::new()]);
        }
        let output = self
            .command()
            .arg("--list")
            .output()
            .map_err(Failure::when(format!("cannot run {}", self.prefix)))?;
        Ok(String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.strip_suffix(": test"))
            .map(str::to_owned)
            .collect())
    }

    /// The full name of one of its tests.
    pub fn name(&self, test: &str) -> String {
        if test.is_empty() {
            self.prefix.clone()
        } else {
            format!("{}::{test}", self.prefix)
        }
    }

    fn select(&self, filter: Option<&str>) -> Vec<String> {
        let asked = |name: &str| filter.is_none_or(|filter| name.contains(filter));
        let tests = self.tests.iter();
        tests
            .filter(|test| asked(&self.name(test)))
            .cloned()
            .collect()
    }

    /// Runs these of its tests; `show` gets each result as it comes.
    pub fn run(&self, tests: &[String], show: &mut dyn FnMut(Case)) -> failure::Outcome<()> {
        if matches!(self.kind, Kind::Whole(_)) {
            return self.run_whole(show);
        }
        let mut command = self.command();
        if tests.len() < self.tests.len() {
            command.arg("--exact").args(tests);
        }
        let started = Instant::now();
        let mut last = started;
        let mut seen = 0;
        let mut failed: Vec<Case> = Vec::new();
        let mut details = Details::default();
        let status = lines(command, |line| {
            let Some((test, outcome)) = result(line).or_else(|| mutant(line)) else {
                details.line(line);
                return;
            };
            if !tests.iter().any(|name| name == test) {
                return;
            }
            seen += 1;
            let mut case = Case::new(self.name(test), outcome);
            case.time = last.elapsed();
            last = Instant::now();
            if case.failed() {
                failed.push(case);
            } else {
                show(case);
            }
        })?;
        let any = !failed.is_empty();
        for mut case in failed {
            case.log = details.of(&case.name, &self.prefix);
            show(case);
        }
        // A program that died in the middle has shown which tests it finished, and no others.
        if seen < tests.len() || (!status && !any) {
            let why = format!("ended after {seen} of {} tests", tests.len());
            let mut case = Case::new(self.prefix.clone(), Outcome::Failed(why));
            case.log = details.rest;
            show(case);
        }
        Ok(())
    }

    fn run_whole(&self, show: &mut dyn FnMut(Case)) -> failure::Outcome<()> {
        let started = Instant::now();
        let output = self
            .command()
            .output()
            .map_err(Failure::when(format!("cannot run {}", self.prefix)))?;
        let mut case = Case::new(self.prefix.clone(), Outcome::Passed);
        if !output.status.success() {
            case.outcome = Outcome::Failed(output.status.to_string());
            for bytes in [&output.stdout, &output.stderr] {
                let text = String::from_utf8_lossy(bytes);
                case.log.extend(text.lines().map(str::to_owned));
            }
        }
        case.time = started.elapsed();
        show(case);
        Ok(())
    }
}

/// Runs a program and reads its output line by line: whether it succeeded.
pub(super) fn lines(mut command: Command, mut each: impl FnMut(&str)) -> failure::Outcome<bool> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::when("cannot run a test program"))?;
    let output = child.stdout.take();
    for line in output
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        each(&line.map_err(Failure::when("cannot read a test program's output"))?);
    }
    let status = child
        .wait()
        .map_err(Failure::when("cannot wait for a test program"))?;
    Ok(status.success())
}

/// The output of failed tests: libtest repeats it in the end, below `---- NAME stdout ----`.
#[derive(Default)]
struct Details {
    by_test: BTreeMap<String, Vec<String>>,
    current: Option<String>,
    rest: Vec<String>,
}

impl Details {
    fn line(&mut self, line: &str) {
        let heading = line
            .strip_prefix("---- ")
            .and_then(|line| line.strip_suffix(" stdout ----"));
        if let Some(test) = heading {
            self.current = Some(test.to_owned());
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.current = None;
        } else if let Some(test) = &self.current {
            if !line.is_empty() {
                let of = self.by_test.entry(test.clone()).or_default();
                of.push(line.to_owned());
            }
        } else if !line.is_empty() && !line.starts_with("running ") {
            self.rest.push(line.to_owned());
        }
    }

    fn of(&mut self, name: &str, prefix: &str) -> Vec<String> {
        let test = name.strip_prefix(prefix).unwrap_or(name);
        let test = test.trim_start_matches("::");
        self.by_test.remove(test).unwrap_or_default()
    }
}

/// What libtest puts behind the name of a test that is not simply run; a list of tests has the bare names.
const MANNERS: [&str; 3] = [" - should panic", " - compile", " - compile fail"];

/// A result as libtest prints it: `test NAME ... ok`.
pub(super) fn result(line: &str) -> Option<(&str, Outcome)> {
    let (name, word) = line.strip_prefix("test ")?.rsplit_once(" ... ")?;
    let (word, why) = word.split_once(", ").unwrap_or((word, ""));
    let outcome = match word.trim() {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed(why.to_owned()),
        "ignored" => Outcome::Skipped(why.to_owned()),
        _ => return None,
    };
    let bare = MANNERS.iter().find_map(|manner| name.strip_suffix(manner));
    Some((bare.unwrap_or(name), outcome))
}

/// A seeded fault: `NAME RULE caught by …`, or it escaped.
fn mutant(line: &str) -> Option<(&str, Outcome)> {
    let name = line.split_whitespace().next()?;
    if line.contains(" caught by ") {
        Some((name, Outcome::Passed))
    } else {
        let (_, why) = line.split_once("ESCAPED ")?;
        Some((name, Outcome::Failed(format!("escaped {why}"))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_libtest() {
        assert_eq!(result("test a::b ... ok"), Some(("a::b", Outcome::Passed)));
        assert_eq!(
            result("test a ... FAILED"),
            Some(("a", Outcome::Failed(String::new())))
        );
        assert_eq!(
            result("test a ... ignored, needs a board"),
            Some(("a", Outcome::Skipped("needs a board".to_owned())))
        );
        assert_eq!(result("test result: ok. 3 passed"), None);
        for manner in MANNERS {
            assert_eq!(
                result(&format!("test a (line 3){manner} ... ok")),
                Some(("a (line 3)", Outcome::Passed))
            );
        }
    }

    #[test]
    fn lines_of_mutants() {
        let caught = "no-sync       V12   caught by Audit (seed 1, step 7): stale";
        assert_eq!(mutant(caught), Some(("no-sync", Outcome::Passed)));
        let escaped = mutant("no-sync  V12  ESCAPED after striking 3 times");
        assert!(matches!(escaped, Some(("no-sync", Outcome::Failed(_)))));
        assert_eq!(mutant("12 caught, 0 escaped"), None);
    }

    #[test]
    fn output_of_failed_tests() {
        let mut details = Details::default();
        for line in [
            "running 2 tests",
            "",
            "failures:",
            "",
            "---- a::b stdout ----",
            "left is not right",
            "",
            "failures:",
            "    a::b",
        ] {
            details.line(line);
        }
        assert_eq!(details.of("crate::a::b", "crate"), ["left is not right"]);
        assert_eq!(details.rest, ["    a::b"]);
    }
}
