//! QEMU: installed with apt where that needs no question.

use std::ffi::OsStr;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};
use crate::qemu::{PROGRAM, in_folders};

/// The Debian package of [`PROGRAM`].
pub const PACKAGE: &str = "qemu-system-arm";

/// How a program is run as root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    /// This process is root's.
    Root,
    /// `sudo` asks for no password.
    Sudo,
}

/// Installs QEMU, or says how to.
pub fn qemu() -> Outcome<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let way = way(&path, is_root(), || {
        quiet("sudo", &["-n", "true"]).is_some()
    })
    .ok_or_else(no_qemu)?;
    eprintln!("installing QEMU with apt-get");
    if apt(way, &install()).is_none() {
        // The lists of packages may be missing or old.
        let _ = apt(way, &["update", "-q"]);
        apt(way, &install()).ok_or_else(no_qemu)?;
    }
    Ok(())
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

fn install() -> [&'static str; 5] {
    ["install", "-y", "-q", "--no-install-recommends", PACKAGE]
}

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

/// What to do where QEMU cannot be installed from here.
pub fn no_qemu() -> Failure {
    Failure::new(format!(
        "{PROGRAM} is not installed; install it with one of\n  \
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
    fn commands_ask_nothing() {
        let root = words(Way::Root, &install()).join(" ");
        assert_eq!(
            root,
            "env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
             qemu-system-arm"
        );
        let sudo = words(Way::Sudo, &["update"]).join(" ");
        assert!(sudo.starts_with("sudo -n env"));
    }

    #[test]
    fn every_package_manager_is_named() {
        let Failure::Message(text) = no_qemu() else {
            panic!("it has a message");
        };
        for command in [
            "apt-get install",
            "dnf install",
            "pacman -S",
            "brew install",
        ] {
            assert!(text.contains(command), "{command}");
        }
    }
}
