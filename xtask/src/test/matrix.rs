//! The emulators to test with.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Outcome;
use crate::qemu::{self, Qemu};

/// Debian packages that make up an emulator.
const PACKAGES: [&str; 3] = ["qemu-system-arm", "qemu-system-common", "qemu-system-data"];
/// A version from here on counts as the second of the matrix.
const SECOND: (u32, u32) = (10, 0);

/// The emulators named by `given`, or the one that is found; with `matrix` also a second version, or why
/// there is none.
pub fn emulators(
    given: &[PathBuf],
    matrix: bool,
    target: &Path,
) -> Outcome<(Vec<Qemu>, Option<String>)> {
    let mut found: Vec<Qemu> = if given.is_empty() {
        vec![qemu::find(None)?]
    } else {
        given
            .iter()
            .map(|program| qemu::find(Some(program)))
            .collect::<Outcome<_>>()?
    };
    if !matrix || both(&found) {
        return Ok((found, None));
    }
    match backport(&target.join("qemu")) {
        Ok(second) if found.iter().all(|qemu| qemu.version != second.version) => {
            found.push(second);
            Ok((found, None))
        }
        Ok(second) => Ok((
            found,
            Some(format!("the backport is {} as well", second.name())),
        )),
        Err(why) => Ok((found, Some(why))),
    }
}

/// Whether there is one from before the second version and one from after it.
fn both(found: &[Qemu]) -> bool {
    let new = |qemu: &Qemu| qemu.version >= SECOND;
    found.iter().any(new) && !found.iter().all(new)
}

/// Debian's backport, unpacked below `folder` without being installed.
fn backport(folder: &Path) -> Result<Qemu, String> {
    let program = folder.join("usr/bin").join(qemu::PROGRAM);
    let data = folder.join("usr/share/qemu");
    if !program.is_file() {
        fetch(folder)?;
    }
    Qemu::at(&program, Some(data)).map_err(|failure| match failure {
        crate::failure::Failure::Message(why) => why,
        crate::failure::Failure::Shown => "it cannot be run".to_owned(),
    })
}

fn fetch(folder: &Path) -> Result<(), String> {
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = codename(&release).ok_or(
        "a second QEMU comes from Debian's backports, and this is no Debian; name one with --qemu",
    )?;
    std::fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let mut command = Command::new("apt-get");
    command.current_dir(folder).args(["-q", "download"]);
    command.args(PACKAGES.map(|package| format!("{package}/{codename}-backports")));
    quiet(&mut command)
        .map_err(|why| format!("apt-get offers no QEMU in {codename}-backports: {why}"))?;
    let entries = std::fs::read_dir(folder).map_err(|error| error.to_string())?;
    for file in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if file.extension().is_some_and(|extension| extension == "deb") {
            quiet(Command::new("dpkg").arg("-x").arg(&file).arg(folder))?;
        }
    }
    Ok(())
}

/// Runs a program; its last line if it fails.
fn quiet(command: &mut Command) -> Result<(), String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    Err(text.trim().lines().last().unwrap_or("it failed").to_owned())
}

/// Debian's name of its release; none on another system.
fn codename(release: &str) -> Option<&str> {
    let value = |key: &str| {
        let mut lines = release.lines();
        lines.find_map(|line| Some(line.strip_prefix(key)?.trim_matches('"')))
    };
    value("ID=").filter(|id| *id == "debian")?;
    value("VERSION_CODENAME=")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        let debian = "VERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(debian), Some("bookworm"));
        assert_eq!(codename("ID=fedora\nVERSION_CODENAME=\"\"\n"), None);
        assert_eq!(codename(""), None);
    }

    #[test]
    fn one_of_each() {
        let qemu = |version| Qemu {
            program: PathBuf::new(),
            version,
            data: None,
        };
        assert!(both(&[qemu((7, 2)), qemu((10, 0))]));
        assert!(!both(&[qemu((7, 2)), qemu((8, 0))]));
        assert!(!both(&[qemu((10, 0))]));
    }
}
