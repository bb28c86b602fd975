//! Long runs: what every test run does a little of, a few hundred times as long. By name only.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Case, Outcome};
use planner::failure::{self, Failure};
use planner::read::{App, Parameter};

/// What their names begin with.
pub const LONG: &str = "long";

/// A program of the host.
pub struct Program {
    pub name: &'static str,
    /// Arguments of cargo.
    arguments: &'static [&'static str],
    environment: &'static [(&'static str, &'static str)],
}

/// Other seeds than every run has.
pub const PROGRAMS: [Program; 3] = [
    Program {
        name: "long::smmu-histories",
        arguments: &[
            "test",
            "--package",
            "iommu-histories",
            "--test",
            "histories",
            "--",
            "--steps",
            "10000000",
            "--seed",
            "1000000",
        ],
        environment: &[],
    },
    Program {
        name: "long::decoders",
        // Optimised, and overflow is still a panic.
        arguments: &[
            "test",
            "--profile",
            "fuzz",
            "--package",
            "fuzz",
            "--test",
            "seeded",
        ],
        environment: &[("FUZZ_FACTOR", "100"), ("FUZZ_SEED", "1000000")],
    },
    Program {
        name: "long::lengths",
        arguments: &[
            "test",
            "--package",
            "kern",
            "--lib",
            "--",
            "--ignored",
            "--exact",
            "tests::fast::every_length_with_every_capacity",
        ],
        environment: &[],
    },
];

/// Runs one; what it prints is shown as it prints it.
pub fn program(root: &Path, program: &Program) -> failure::Outcome<Case> {
    let started = Instant::now();
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(program.arguments)
        .envs(program.environment.iter().copied())
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .map_err(Failure::when("cannot run cargo"))?;
    let outcome = if status.success() {
        Outcome::Passed
    } else {
        Outcome::Failed(status.to_string())
    };
    let mut case = Case::new(program.name, outcome);
    case.time = started.elapsed();
    Ok(case)
}

/// `tests/systems/sweep` with every instruction.
pub fn try_all(app: &mut App) {
    app.name.push_str("-long");
    let parameters = app.tasks.iter_mut().flat_map(|task| &mut task.parameters);
    for (_, parameter) in parameters.filter(|(name, _)| name.value == "one-in") {
        parameter.value = Parameter::Number(1);
    }
}

/// `tests/systems/hostile` with another seed, and enough to do for those beside the fuzzer.
pub fn hostile(app: &mut App) {
    const PARAMETERS: [(&str, &str, Parameter); 7] = [
        ("fuzzer", "rounds", Parameter::Number(500_000)),
        ("fuzzer", "seed", Parameter::Number(4)),
        ("judge", "rounds", Parameter::Number(500_000)),
        ("judge", "lives", Parameter::Number(240)),
        ("judge", "patience", Parameter::Nanoseconds(600_000_000_000)),
        ("victim", "lives", Parameter::Number(240)),
        ("edu", "repeat", Parameter::Number(60)),
    ];
    set(app, &PARAMETERS);
    for drive in &mut app.drives {
        drive.len *= 5;
    }
}

/// `tests/systems/fast-path` with another seed, and a hundred times as many calls.
pub fn fast_path(app: &mut App) {
    const PARAMETERS: [(&str, &str, Parameter); 2] = [
        ("judge", "calls", Parameter::Number(10_000_000)),
        ("judge", "seed", Parameter::Number(2)),
    ];
    set(app, &PARAMETERS);
}

/// Gives parameters of tasks other values, and the app another name.
fn set(app: &mut App, parameters: &[(&str, &str, Parameter)]) {
    app.name.push_str("-long");
    for (task, name, value) in parameters {
        let tasks = app.tasks.iter_mut();
        let parameters = tasks
            .filter(|of| of.name.value == *task)
            .flat_map(|of| &mut of.parameters);
        for (_, parameter) in parameters.filter(|(of, _)| of.value == *name) {
            parameter.value = value.clone();
        }
    }
}
