//! The portable kernel core under Miri, an interpreter that finds undefined behaviour and accesses outside their
//! objects. It needs a nightly compiler, which is installed for this run only when it is missing.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::failure::{self, Failure};

/// Pinned, so that a run today is a run tomorrow.
const NIGHTLY: &str = "nightly-2026-05-20";
/// The crate whose host tests are interpreted.
const PACKAGE: &str = "kern";

/// Runs the tests, which print as cargo's do; whether all passed.
pub fn miri(root: &Path) -> failure::Outcome<bool> {
    if !is_installed() {
        install()?;
    }
    let status = Command::new("cargo")
        .arg(format!("+{NIGHTLY}"))
        .args(["miri", "test", "--package", PACKAGE, "--lib"])
        .current_dir(root)
        // They name the toolchain that runs this tool; the other one has to find its own.
        .env_remove("RUSTUP_TOOLCHAIN")
        .env_remove("CARGO")
        .env_remove("RUSTC")
        .stdin(Stdio::null())
        .status()
        .map_err(Failure::when("cannot run cargo"))?;
    Ok(status.success())
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
