//! The target's core library.

use std::process::{Command, Stdio};

use builder::compile::TARGET;
use planner::failure::{Failure, Outcome};

/// Installs the target's core library when it is missing. `rustup` does not do so by itself where
/// automatic installation is off.
pub fn target() -> Outcome<()> {
    let installed = Command::new("rustup")
        .args(["target", "list", "--installed"])
        .stdin(Stdio::null())
        .output();
    let Ok(installed) = installed else {
        // A toolchain without rustup, a distribution's for example.
        return if has_core() { Ok(()) } else { Err(missing()) };
    };
    if lists(&String::from_utf8_lossy(&installed.stdout)) {
        return Ok(());
    }
    eprintln!("installing the Rust target {TARGET}");
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .stdin(Stdio::null())
        .status()
        .map_err(Failure::when("cannot run rustup"))?;
    if status.success() {
        Ok(())
    } else {
        Err(missing())
    }
}

fn lists(installed: &str) -> bool {
    installed.lines().any(|line| line.trim() == TARGET)
}

/// Whether the compiler's own folder holds the target's libraries.
fn has_core() -> bool {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .is_ok_and(|output| {
            let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            output.status.success() && std::path::Path::new(&folder).is_dir()
        })
}

fn missing() -> Failure {
    Failure::new(format!(
        "the Rust target {TARGET} is missing; install it with\n  rustup target add {TARGET}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_as_a_whole_word() {
        assert!(lists(&format!("x86_64-unknown-linux-gnu\n{TARGET}\n")));
        assert!(!lists("aarch64-unknown-none\n"));
        assert!(!lists(""));
    }
}
