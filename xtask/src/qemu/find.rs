//! Finding QEMU, or installing it where that needs no question.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};

const PROGRAM: &str = "qemu-system-aarch64";
/// The oldest version whose SMMU model is known to work.
const OLDEST: (u32, u32) = (7, 2);

/// A QEMU that can be used.
#[derive(Clone, Debug)]
pub struct Qemu {
    pub program: PathBuf,
}

/// The QEMU at `given`, or the one on the PATH; it is installed if it is missing and `apt-get` can do so
/// without asking.
pub fn find(given: Option<&Path>) -> Outcome<Qemu> {
    if let Some(program) = given {
        return check(program);
    }
    if let Some(program) = on_path(PROGRAM) {
        return check(&program);
    }
    install()?;
    match on_path(PROGRAM) {
        Some(program) => check(&program),
        None => Err(missing()),
    }
}

fn check(program: &Path) -> Outcome<Qemu> {
    let output = Command::new(program)
        .arg("--version")
        .output()
        .map_err(Failure::when(format!("cannot run {}", program.display())))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text
        .lines()
        .next()
        .and_then(|line| line.split("version ").nth(1))
        .and_then(|rest| rest.split_whitespace().next())
        .ok_or_else(|| Failure::new(format!("{} does not tell its version", program.display())))?;
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0u32));
    let found = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if found < OLDEST {
        return Err(Failure::new(format!(
            "{} is QEMU {version}; {}.{} or later is needed",
            program.display(),
            OLDEST.0,
            OLDEST.1
        )));
    }
    Ok(Qemu {
        program: program.to_path_buf(),
    })
}

/// The first file of that name in the folders of PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn install() -> Outcome<()> {
    if on_path("apt-get").is_none() {
        return Err(missing());
    }
    let quiet = |program: &str, arguments: &[&str]| {
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .output()
            .ok()
            .filter(|output| output.status.success())
    };
    let root = quiet("id", &["-u"]).is_some_and(|output| output.stdout.trim_ascii() == b"0");
    let prefix: &[&str] = if root {
        &["env"]
    } else if quiet("sudo", &["-n", "true"]).is_some() {
        &["sudo", "-n", "env"]
    } else {
        return Err(missing());
    };
    eprintln!("installing QEMU with apt-get");
    let run = |arguments: &[&str]| {
        let words: Vec<&str> = [
            prefix,
            &["DEBIAN_FRONTEND=noninteractive", "apt-get"],
            arguments,
        ]
        .concat();
        let (program, rest) = words.split_first()?;
        Command::new(program)
            .args(rest)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .ok()
            .filter(|status| status.success())
    };
    let packages = [
        "install",
        "-y",
        "-q",
        "--no-install-recommends",
        "qemu-system-arm",
    ];
    if run(&packages).is_none() {
        // The lists may be missing or old.
        run(&["update", "-q"]);
        run(&packages).ok_or_else(missing)?;
    }
    Ok(())
}

fn missing() -> Failure {
    Failure::new(format!(
        "{PROGRAM} is not installed; install it with one of\n  \
         sudo apt-get install qemu-system-arm\n  \
         sudo dnf install qemu-system-aarch64-core\n  \
         sudo pacman -S qemu-system-aarch64\n  \
         brew install qemu\n\
         or name one with --qemu PATH"
    ))
}
