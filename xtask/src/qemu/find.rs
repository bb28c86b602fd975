//! Which QEMU there is.

use std::path::{Path, PathBuf};
use std::process::Command;

use planner::failure::{Failure, Outcome};
use planner::read::Platform;

pub const PROGRAM: &str = "qemu-system-aarch64";
/// The oldest version whose SMMU model is known to work.
pub const OLDEST: (u32, u32) = (7, 2);

/// A QEMU that can be used.
#[derive(Clone, Debug)]
pub struct Qemu {
    pub program: PathBuf,
    /// Major and minor.
    pub version: (u32, u32),
}

impl Qemu {
    /// The one at `program`, which is asked for its version.
    pub fn at(program: &Path) -> Outcome<Self> {
        let output = Command::new(program)
            .arg("--version")
            .output()
            .map_err(Failure::when(format!("cannot run {}", program.display())))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = version(&text).ok_or_else(|| {
            // A missing library, for one, shows here.
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said
                .lines()
                .last()
                .unwrap_or("it does not tell its version");
            Failure::new(format!("cannot use {}: {said}", program.display()))
        })?;
        if version < OLDEST {
            return Err(Failure::new(format!(
                "{} is QEMU {}.{}; {}.{} or later is needed",
                program.display(),
                version.0,
                version.1,
                OLDEST.0,
                OLDEST.1
            )));
        }
        Ok(Self {
            program: program.to_path_buf(),
            version,
        })
    }

    /// Why this version cannot make a platform's machine; nothing if it can.
    pub fn lacks(&self, platform: &Platform) -> Option<String> {
        let (first, lack) = platform.qemu.since.as_ref()?;
        (self.version < *first).then(|| format!("QEMU {} has {lack}", self.name()))
    }

    /// A command without arguments.
    pub fn command(&self) -> Command {
        Command::new(&self.program)
    }

    /// `7.2`.
    pub fn name(&self) -> String {
        format!("{}.{}", self.version.0, self.version.1)
    }
}

/// `QEMU emulator version 7.2.22 (Debian …)`.
fn version(text: &str) -> Option<(u32, u32)> {
    let rest = text.lines().next()?.split("version ").nth(1)?;
    let mut numbers = rest.split(|c: char| !c.is_ascii_digit());
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers.next()?.parse().ok()?;
    Some((major, minor))
}

/// The first program of that name in the folders of PATH.
pub fn on_path(program: &str) -> Option<PathBuf> {
    in_folders(&std::env::var_os("PATH")?, program)
}

/// Looks for a program in the folders of `path`.
pub fn in_folders(path: &std::ffi::OsStr, program: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    std::env::split_paths(path)
        .map(|folder| folder.join(program))
        .find(|file| {
            file.metadata()
                .is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        let debian = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)\nCopyright";
        assert_eq!(version(debian), Some((7, 2)));
        assert_eq!(
            version("QEMU emulator version 10.0.2 (Debian)"),
            Some((10, 0))
        );
        assert_eq!(version("QEMU emulator version 9.0-rc1"), Some((9, 0)));
        assert_eq!(version("something else"), None);
    }

    #[test]
    fn programs_are_executable_files() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::create_dir_all(&first).unwrap();
        std::fs::create_dir_all(&second).unwrap();
        let path = std::env::join_paths([&first, &second]).unwrap();
        std::fs::create_dir(first.join("tool")).unwrap();
        assert_eq!(in_folders(&path, "tool"), None);
        let file = second.join("tool");
        std::fs::write(&file, "").unwrap();
        assert_eq!(in_folders(&path, "tool"), None);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(in_folders(&path, "tool"), Some(file));
    }
}
