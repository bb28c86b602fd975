//! Long runs: what every test run does a little of, a few hundred times as long. By name only.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::{Case, Outcome};
use planner::failure::{self, Failure};

/// The beginning of the names of long runs.
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
