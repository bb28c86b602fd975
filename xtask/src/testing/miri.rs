//! The portable kernel core, and the crates that read raw bytes and words, under Miri, an interpreter that finds
//! undefined behaviour and accesses outside their objects. It needs a nightly compiler, which is installed for this
//! run only when it is missing.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use super::host::{lines, result};
use super::{Case, Outcome};
use planner::failure::{self, Failure};

/// Pinned, so that a run today is a run tomorrow.
const NIGHTLY: &str = "nightly-2026-05-20";
/// The crates whose host tests are interpreted, and which tests of theirs.
const PACKAGES: [(&str, &[&str]); 3] = [
    ("plan", &["--features", "build", "--tests"]),
    ("smmu", &["--lib"]),
    ("kern", &["--lib"]),
];
/// Last lines of a process that are shown if it ends before its tests.
const LINES_SHOWN: usize = 40;

/// Runs the tests, as many at a time as there are processors; `show` gets each result as it comes.
pub fn miri(root: &Path, show: &mut dyn FnMut(Case)) -> failure::Outcome<()> {
    if !is_installed() {
        install()?;
    }
    for (package, which) in PACKAGES {
        let tests = list(root, package, which)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        // Neighbours in the list take about as long: each process gets every other one.
        let shares: Vec<Vec<&str>> = (0..processors)
            .map(|share| {
                let own = tests.iter().skip(share).step_by(processors);
                own.map(String::as_str).collect()
            })
            .filter(|share: &Vec<&str>| !share.is_empty())
            .collect();
        let (send, receive) = mpsc::channel();
        std::thread::scope(|scope| {
            for share in &shares {
                let send = send.clone();
                scope.spawn(move || {
                    let command = cargo(root, package, which);
                    interpret(command, package, share, &send);
                });
            }
            drop(send);
            for case in receive {
                show(case);
            }
        });
    }
    Ok(())
}

/// `cargo miri test` for tests of a package.
fn cargo(root: &Path, package: &str, which: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .arg(format!("+{NIGHTLY}"))
        .args(["miri", "test", "--quiet", "--package", package])
        .args(which)
        .arg("--")
        .current_dir(root)
        // They name the toolchain that runs this tool; the other one has to find its own.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .stdin(Stdio::null());
    command
}

/// Builds the tests of a package and gives their names.
fn list(root: &Path, package: &str, which: &[&str]) -> failure::Outcome<Vec<String>> {
    let output = cargo(root, package, which)
        .arg("--list")
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::when("cannot run cargo"))?;
    if !output.status.success() {
        return Err(Failure::new(format!(
            "the tests of {package} cannot be built for Miri"
        )));
    }
    Ok(String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| line.strip_suffix(": test"))
        .map(str::to_owned)
        .collect())
}

/// Runs these tests in one process, which ends at the first undefined behaviour.
fn interpret(mut command: Command, package: &str, tests: &[&str], send: &mpsc::Sender<Case>) {
    // With one thread the results come in order, and each as soon as it is there.
    command.args(["--format=pretty", "--test-threads=1", "--exact"]);
    command.args(tests);
    let mut seen = 0;
    let mut failed = false;
    let mut last = Instant::now();
    let mut printed: Vec<String> = Vec::new();
    let status = lines(command, |line| {
        let Some((test, outcome)) = result(line) else {
            printed.push(line.to_owned());
            return;
        };
        seen += 1;
        let mut case = Case::new(format!("miri::{package}::{test}"), outcome);
        failed |= case.failed();
        case.time = last.elapsed();
        last = Instant::now();
        let _ = send.send(case);
    });
    let success = matches!(status, Ok(true));
    if seen == tests.len() && (success || failed) {
        return;
    }
    // What Miri has to say is on the terminal already.
    let why = format!("ended after {seen} of {} tests", tests.len());
    let mut case = Case::new(format!("miri::{package}"), Outcome::Failed(why));
    let skip = printed.len().saturating_sub(LINES_SHOWN);
    case.log = printed.split_off(skip);
    let _ = send.send(case);
}

fn is_installed() -> bool {
    Command::new("cargo")
        .args([&format!("+{NIGHTLY}"), "miri", "--version"])
        .env_remove("RUSTUP_TOOLCHAIN")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn install() -> failure::Outcome<()> {
    let components = ["--component", "miri", "--component", "rust-src"];
    let status = Command::new("rustup")
        .args(["toolchain", "install", NIGHTLY, "--profile", "minimal"])
        .args(components)
        .status()
        .map_err(Failure::when("cannot run rustup"))?;
    if status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "rustup cannot install {NIGHTLY} with Miri\n  try `rustup toolchain install {NIGHTLY} --profile minimal {}`",
        components.join(" ")
    )))
}
