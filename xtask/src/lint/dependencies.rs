//! Checks of other people's crates: `cargo deny` by the repository's `deny.toml`.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::setup;
use planner::failure::{Failure, Outcome};
use planner::project::Project;

/// How long the database of advisories is waited for: a network that drops everything answers after minutes.
const PATIENCE: Duration = Duration::from_secs(60);
/// The command that a person types where the database can be reached.
const BY_HAND: &str = "cargo deny --locked check advisories";

/// Whether known advisories were compared.
pub enum Advisories {
    Compared,
    /// The advisories' database cannot be reached, for this reason.
    Unreachable(String),
}

impl Advisories {
    /// How it ends a line.
    pub fn note(&self) -> String {
        match self {
            Self::Compared => "no advisory is known against any".to_owned(),
            Self::Unreachable(why) => format!(
                "advisories SKIPPED, since their database cannot be reached ({why}); where it can, run\n  {BY_HAND}"
            ),
        }
    }
}

/// Fails if a dependency has a licence, a source or a form that `deny.toml` does not allow, or if an advisory is known
/// against it. `cargo-deny` shows what it finds.
pub fn dependencies(project: &Project) -> Outcome<Advisories> {
    let program = setup::cargo_deny(&project.target)?;
    check(&program, &project.root)
}

fn check(program: &Path, root: &Path) -> Outcome<Advisories> {
    let ask = |arguments: &[&str]| {
        let mut deny = Command::new(program);
        deny.current_dir(root).stdin(Stdio::null());
        deny.args(["--locked", "check", "--hide-inclusion-graph"]);
        let status = deny.args(arguments).status();
        match status.map_err(Failure::when("cannot run cargo-deny"))? {
            status if status.success() => Ok(()),
            _ => Err(Failure::Shown),
        }
    };
    ask(&["bans", "licenses", "sources"])?;
    if let Err(why) = fetch(program, root, PATIENCE) {
        return Ok(Advisories::Unreachable(why));
    }
    // This asks the registry as well, which crates were taken back: without a network it could not.
    ask(&["advisories"])?;
    Ok(Advisories::Compared)
}

/// Brings the database up to date.
fn fetch(program: &Path, root: &Path, patience: Duration) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    // What it says goes into a file: nobody would read a pipe while it is waited for.
    let mut said = tempfile::tempfile().map_err(text)?;
    let mut child = Command::new(program)
        .current_dir(root)
        .args(["fetch", "db"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(said.try_clone().map_err(text)?)
        .spawn()
        .map_err(text)?;
    let begun = Instant::now();
    loop {
        match child.try_wait().map_err(text)? {
            Some(status) if status.success() => return Ok(()),
            Some(_) => return Err(last_line(&mut said)),
            None if begun.elapsed() >= patience => {
                // The git that it started gives up by itself.
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("no answer in {} s", patience.as_secs()));
            }
            None => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn last_line(said: &mut std::fs::File) -> String {
    use std::io::{Read, Seek};
    let mut text = String::new();
    // What cannot be read is not said: the reason is for a person only.
    let _ = said.rewind().and_then(|()| said.read_to_string(&mut text));
    let last = text.lines().map(str::trim).rfind(|line| !line.is_empty());
    last.unwrap_or("it says nothing").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A `cargo-deny` that ends with these codes for bans, for the database and for advisories.
    fn deny(folder: &Path, bans: u8, database: &str, advisories: u8) -> std::path::PathBuf {
        let program = folder.join("cargo-deny");
        let text = format!(
            "#!/bin/sh\ncase \"$*\" in\n*bans*) exit {bans};;\n'fetch db') {database};;\n\
             '--locked check --hide-inclusion-graph advisories') exit {advisories};;\nesac\nexit 9\n"
        );
        std::fs::write(&program, text).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        program
    }

    #[test]
    fn what_is_found_fails_and_no_database_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let run = |bans, database, advisories| {
            let program = deny(folder.path(), bans, database, advisories);
            check(&program, folder.path())
        };
        assert!(matches!(run(0, "exit 0", 0), Ok(Advisories::Compared)));
        assert!(matches!(run(1, "exit 0", 0), Err(Failure::Shown)));
        assert!(matches!(run(0, "exit 0", 1), Err(Failure::Shown)));
        // A licence that is not allowed is one with or without a network.
        assert!(matches!(run(1, "exit 1", 0), Err(Failure::Shown)));
        let unreachable = run(0, "echo first >&2; echo no host >&2; echo >&2; exit 1", 1);
        let note = unreachable.ok().map(|found| found.note()).unwrap();
        assert!(
            note.contains("SKIPPED") && note.contains("(no host)"),
            "{note}"
        );
        assert!(note.ends_with(BY_HAND), "{note}");
    }

    #[test]
    fn a_database_that_never_comes() {
        let folder = tempfile::tempdir().unwrap();
        let program = deny(folder.path(), 0, "exec sleep 30", 0);
        let none = fetch(&program, folder.path(), Duration::from_millis(100));
        assert_eq!(none, Err("no answer in 0 s".to_owned()));
    }
}
