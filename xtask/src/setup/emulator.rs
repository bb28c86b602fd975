//! QEMU: the one on the PATH, else installed with apt where that asks nothing and removes nothing, else unpacked
//! from Debian's packages without being installed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use super::archive;
use super::command::output;
use super::private::{self, Wanted};
use crate::qemu::{PROGRAM, Qemu, in_folders, on_path};
use planner::failure::{Failure, Outcome};

/// The Debian package of [`PROGRAM`].
const PACKAGE: &str = "qemu-system-arm";
/// The packages that are unpacked for QEMU.
const WANTED: Wanted<'static> = Wanted {
    package: PACKAGE,
    family: "qemu",
    program: PROGRAM,
    data: "qemu",
};

/// How a program is run as root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// The process is root's.
    Root,
    /// `sudo` asks for no password.
    Sudo,
}

/// The emulator at `given`, or one that is there or can be had without a question; what is unpacked goes below
/// `target`.
pub fn emulator(given: Option<&Path>, target: &Path) -> Outcome<Qemu> {
    if let Some(program) = given {
        return Qemu::at(program);
    }
    if let Some(program) = on_path(PROGRAM) {
        return Qemu::at(&program);
    }
    let codename = archive::release();
    if let Some(codename) = &codename
        && let Some(qemu) = unpacked_before(codename, target)
    {
        return Ok(qemu);
    }
    let mut why = match install() {
        Ok(()) => match on_path(PROGRAM) {
            Some(program) => return Qemu::at(&program),
            None => format!("{PACKAGE} brings no {PROGRAM}"),
        },
        Err(why) => why,
    };
    if let Some(codename) = codename {
        let place = folder(target);
        eprintln!("{why}: unpacking QEMU to {} instead", place.display());
        // The release's own may be too old.
        for suite in [codename.clone(), backports(&codename)] {
            match private_emulator(&codename, &suite, target) {
                Ok(qemu) => return Ok(qemu),
                Err(reason) => why = format!("{why}\n  {reason}"),
            }
        }
    }
    Err(no_qemu(&why))
}

/// The suite of newer packages for a release.
pub fn backports(codename: &str) -> String {
    format!("{codename}-backports")
}

/// The suite of the newest packages there are.
pub const NEWEST: &str = "sid";

/// The emulator of `suite` of this Debian, unpacked below `target` and not installed.
pub fn private_emulator(codename: &str, suite: &str, target: &Path) -> Result<Qemu, String> {
    let program = private::unpacked(&WANTED, codename, suite, &folder(target))
        .map_err(|why| format!("no QEMU from {suite} ({why})"))?;
    Qemu::at(&program).map_err(|failure| match failure {
        Failure::Message(why) => why,
        Failure::Shown => format!("that of {suite} cannot be run"),
    })
}

fn folder(target: &Path) -> std::path::PathBuf {
    target.join("qemu")
}

/// A QEMU that an earlier run unpacked.
fn unpacked_before(codename: &str, target: &Path) -> Option<Qemu> {
    [codename.to_owned(), backports(codename)]
        .iter()
        .map(|suite| folder(target).join(suite).join(PROGRAM))
        .filter(|program| program.is_file())
        .find_map(|program| Qemu::at(&program).ok())
}

/// Installs QEMU, or says why not.
fn install() -> Result<(), String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let way = way(&path, is_root(), || {
        quiet("sudo", &["-n", "true"]).is_some()
    })
    .ok_or("QEMU cannot be installed without a question")?;
    // Tried without a change first: what is in the way is then told once and in one line.
    let attempt = || output(Command::new("apt-get").arg("--simulate").args(INSTALL));
    if attempt().is_err() {
        // The lists of packages may be missing or old.
        let _ = apt(way, &["update", "-q"]);
        attempt().map_err(|why| format!("QEMU cannot be installed ({why})"))?;
    }
    eprintln!("installing QEMU with apt-get");
    apt(way, &INSTALL).ok_or_else(|| "QEMU cannot be installed".to_owned())
}

/// Whether and how apt can install something without a question.
fn way(path: &OsStr, root: bool, sudo: impl FnOnce() -> bool) -> Option<Way> {
    in_folders(path, "apt-get")?;
    if root {
        Some(Way::Root)
    } else if in_folders(path, "sudo").is_some() && sudo() {
        Some(Way::Sudo)
    } else {
        None
    }
}

/// The arguments of apt for an installation that never removes an installed package.
const INSTALL: [&str; 6] = [
    "install",
    "-y",
    "-q",
    "--no-remove",
    "--no-install-recommends",
    PACKAGE,
];

/// The words of an `apt-get` command that asks nothing.
fn words(way: Way, arguments: &[&'static str]) -> Vec<&'static str> {
    let prefix: &[&str] = match way {
        Way::Root => &[],
        Way::Sudo => &["sudo", "-n"],
    };
    let apt = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"];
    [prefix, &apt, arguments].concat()
}

fn apt(way: Way, arguments: &[&'static str]) -> Option<()> {
    let words = words(way, arguments);
    let (program, rest) = words.split_first()?;
    // What apt tells goes to standard error, like cargo's progress: standard output is the log's.
    let status = Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .status()
        .ok()?;
    status.success().then_some(())
}

fn is_root() -> bool {
    quiet("id", &["-u"]).is_some_and(|output| output.trim_ascii() == b"0")
}

/// Standard output of a program that succeeds.
fn quiet(program: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}

/// The failure where QEMU cannot be installed from here, with what to do.
fn no_qemu(why: &str) -> Failure {
    Failure::new(format!(
        "{PROGRAM} is missing: {why}\n\
         install it with one of\n  \
         sudo apt-get install {PACKAGE}\n  \
         sudo dnf install qemu-system-aarch64-core\n  \
         sudo pacman -S qemu-system-aarch64\n  \
         brew install qemu\n\
         or name one with --qemu PATH"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A PATH with these programs and no others.
    fn path(programs: &[&str]) -> (tempfile::TempDir, std::ffi::OsString) {
        let folder = tempfile::tempdir().unwrap();
        for program in programs {
            let file = folder.path().join(program);
            std::fs::write(&file, "#!/bin/sh\n").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let path = folder.path().as_os_str().to_owned();
        (folder, path)
    }

    #[test]
    fn only_where_it_needs_no_question() {
        let (_folder, bare) = path(&[]);
        assert_eq!(way(&bare, true, || true), None);
        let (_folder, apt) = path(&["apt-get"]);
        assert_eq!(way(&apt, true, || false), Some(Way::Root));
        assert_eq!(way(&apt, false, || true), None, "there is no sudo");
        let (_folder, both) = path(&["apt-get", "sudo"]);
        assert_eq!(way(&both, false, || true), Some(Way::Sudo));
        assert_eq!(way(&both, false, || false), None, "it would ask");
    }

    #[test]
    fn commands_ask_nothing_and_remove_nothing() {
        let root = words(Way::Root, &INSTALL).join(" ");
        assert_eq!(
            root,
            "env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-remove \
             --no-install-recommends qemu-system-arm"
        );
        let sudo = words(Way::Sudo, &["update"]).join(" ");
        assert!(sudo.starts_with("sudo -n env"));
    }

    #[test]
    fn what_an_earlier_run_unpacked_is_used() {
        let target = tempfile::tempdir().unwrap();
        assert!(unpacked_before("bookworm", target.path()).is_none());
        let says = |suite: &str, version: &str| {
            let folder = folder(target.path()).join(suite);
            std::fs::create_dir_all(&folder).unwrap();
            let file = folder.join(PROGRAM);
            let script = format!("#!/bin/sh\necho QEMU emulator version {version}\n");
            std::fs::write(&file, script).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        };
        says("bookworm", "5.2.0");
        assert!(
            unpacked_before("bookworm", target.path()).is_none(),
            "it is too old"
        );
        says("bookworm-backports", "10.0.2");
        let found = unpacked_before("bookworm", target.path());
        assert_eq!(found.map(|qemu| qemu.version), Some((10, 0)));
    }

    #[test]
    fn every_package_manager_is_named() {
        let Failure::Message(text) = no_qemu("no reason") else {
            panic!("it has a message");
        };
        for command in [
            "no reason",
            "apt-get install",
            "dnf install",
            "pacman -S",
            "brew install",
        ] {
            assert!(text.contains(command), "{command}");
        }
    }
}
