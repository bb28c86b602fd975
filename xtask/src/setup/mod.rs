//! What a machine needs before anything can be built.

use std::process::Command;

use crate::compile::TARGET;
use crate::failure::{Failure, Outcome};

/// Installs the target's core library when it is missing. `rustup` does not do so by itself where
/// automatic installation is off.
pub fn target() -> Outcome<()> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .output();
    let Ok(installed) = installed else {
        // A toolchain without rustup: cargo will say whether the target is there.
        return Ok(());
    };
    let list = String::from_utf8_lossy(&installed.stdout);
    if list.lines().any(|line| line.trim() == TARGET) {
        return Ok(());
    }
    eprintln!("installing target {TARGET}");
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .status()
        .map_err(Failure::when("cannot run rustup"))?;
    if status.success() {
        Ok(())
    } else {
        Err(Failure::new(format!(
            "target {TARGET} is missing; install it with\n  rustup target add {TARGET}"
        )))
    }
}
