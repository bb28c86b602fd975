//! A Debian package and what it needs, unpacked beside what is installed: another version of a program without
//! a change to the system. apt works on a source, lists and a cache of its own, which takes no root; mirror,
//! proxies and keys are those that the system is configured with.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What signs Debian's archive, as its package of keys installs it.
const KEYS: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// What is asked of every index that apt would fetch, in this order.
const FIELDS: &str = "$(CREATED_BY)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(ORIGIN)|$(REPO_URI)";

/// Debian's name of the release that runs here; none on another system.
pub fn release() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    codename(&text).map(str::to_owned)
}

fn codename(release: &str) -> Option<&str> {
    let value = |key: &str| {
        let mut lines = release.lines();
        lines.find_map(|line| Some(line.strip_prefix(key)?.trim_matches('"')))
    };
    value("ID=").filter(|id| *id == "debian")?;
    value("VERSION_CODENAME=").filter(|name| !name.is_empty())
}

/// `package` as `suite` of the release `codename` has it, with whatever it needs that is not installed: the
/// root of a file tree below `folder`, made once.
pub fn unpacked(
    package: &str,
    codename: &str,
    suite: &str,
    folder: &Path,
) -> Result<PathBuf, String> {
    let folder = folder.join(suite);
    let root = folder.join("root");
    if root.is_dir() {
        return Ok(root);
    }
    let mut why = format!("apt has no source of {codename}");
    for repository in configured(&folder, codename)? {
        let private = Private::new(&folder)?;
        let source = source(&repository, codename, suite, Path::new(KEYS).is_file());
        write(&private.source, &source)?;
        match private.fetch(package, suite) {
            Ok(()) => return private.unpack(&root),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

/// The archives that the system's own sources name. apt tells of sources only what it has lists of, and images of
/// containers often come without: they are then fetched beside the system's.
fn configured(folder: &Path, codename: &str) -> Result<Vec<String>, String> {
    let ask = |mut apt: Command| output(apt.args(["indextargets", "--format", FIELDS]));
    let found = repositories(&ask(Command::new("apt-get"))?, codename);
    if !found.is_empty() {
        return Ok(found);
    }
    let private = Private::new(&folder.join("configured"))?;
    // One source that cannot be reached does not take the others away.
    let updated = output(private.apt().arg("update"));
    let found = repositories(&ask(private.apt())?, codename);
    if found.is_empty() {
        updated?;
    }
    Ok(found)
}

/// The archives that may have other suites of the release: those with its main component, Debian's own first.
/// Who an archive is of, apt knows only after an update.
fn repositories(targets: &str, codename: &str) -> Vec<String> {
    let mut found: Vec<(bool, String)> = Vec::new();
    for line in targets.lines() {
        let fields: Vec<&str> = line.split('|').collect();
        let &[creator, release, name, component, origin, repository] = fields.as_slice() else {
            continue;
        };
        let fits = creator == "Packages"
            && component == "main"
            && (release == codename || release == "stable" && name == codename);
        if fits && !found.iter().any(|(_, known)| known == repository) {
            found.push((origin != "Debian", repository.to_owned()));
        }
    }
    found.sort_by_key(|(foreign, _)| *foreign);
    found
        .into_iter()
        .map(|(_, repository)| repository)
        .collect()
}

/// A source of the release and of `suite`.
fn source(repository: &str, codename: &str, suite: &str, signed: bool) -> String {
    let further = if suite == codename { "" } else { suite };
    let keys = if signed {
        format!("Signed-By: {KEYS}\n")
    } else {
        String::new()
    };
    format!(
        "Types: deb\nURIs: {repository}\nSuites: {codename} {further}\nComponents: main\n{keys}"
    )
}

/// apt's state for one download.
struct Private {
    folder: PathBuf,
    /// The only source, if it exists; else those of the system.
    source: PathBuf,
}

impl Private {
    fn new(folder: &Path) -> Result<Self, String> {
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part)
                .map_err(|error| format!("cannot make {}: {error}", part.display()))?;
        }
        Ok(Self {
            folder: folder.to_path_buf(),
            source: folder.join("debian.sources"),
        })
    }

    /// `apt-get` with lists and a cache of its own.
    fn apt(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.args(["-q", "-y"]);
        let mut places = vec![
            ("Dir::State::Lists", self.folder.join("lists")),
            ("Dir::Cache", self.folder.join("cache")),
        ];
        if self.source.is_file() {
            places.push(("Dir::Etc::SourceList", self.source.clone()));
            places.push(("Dir::Etc::SourceParts", PathBuf::from("/dev/null")));
        }
        for (key, place) in places {
            let mut option = OsString::from(format!("{key}="));
            option.push(place);
            command.arg("-o").arg(option);
        }
        // The lock is that of the installed packages, which are only read.
        command.args(["-o", "Debug::NoLocking=1"]);
        command.args(["-o", "Acquire::Languages=none"]);
        command
    }

    /// Downloads it, and what it needs that is not installed, as if to install it.
    fn fetch(&self, package: &str, suite: &str) -> Result<(), String> {
        output(self.apt().arg("update"))?;
        let mut install = self.apt();
        install.args(["install", "--download-only", "--no-install-recommends"]);
        install.arg("--allow-downgrades");
        install.arg(format!("{package}/{suite}"));
        output(&mut install).map(drop)
    }

    /// Unpacks what was downloaded; `root` is there only if all of it was.
    fn unpack(&self, root: &Path) -> Result<PathBuf, String> {
        let part = root.with_extension("part");
        let failed = |error: std::io::Error| format!("cannot unpack: {error}");
        let archives = std::fs::read_dir(self.folder.join("cache/archives")).map_err(failed)?;
        for file in archives.filter_map(|entry| Some(entry.ok()?.path())) {
            if file.extension().is_some_and(|extension| extension == "deb") {
                output(Command::new("dpkg").arg("-x").arg(&file).arg(&part))?;
            }
        }
        std::fs::rename(&part, root).map_err(failed)?;
        Ok(root.to_path_buf())
    }
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// Standard output of a program; the last thing it said if it fails.
fn output(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("cannot run {}: {error}", command.get_program().display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        return Ok(text(&output.stdout));
    }
    let said = text(&output.stderr);
    let last = said.trim().lines().last().unwrap_or("it failed");
    Err(format!("{}: {last}", command.get_program().display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases() {
        let debian = "VERSION_CODENAME=bookworm\nID=debian\n";
        assert_eq!(codename(debian), Some("bookworm"));
        assert_eq!(codename("ID=fedora\nVERSION_CODENAME=\"\"\n"), None);
        assert_eq!(codename("ID=debian\nVERSION_CODENAME=\"\"\n"), None);
        assert_eq!(codename(""), None);
    }

    #[test]
    fn archives_of_the_release() {
        let targets = "\
            Packages|bookworm|$(CODENAME)|main|$(ORIGIN)|http://other.example/\n\
            Packages|bookworm|bookworm|main|Debian|http://mirror.example/debian/\n\
            DEP-11|bookworm|bookworm|main|Debian|http://dep11.example/debian/\n\
            Packages|bookworm-security|bookworm-security|main|Debian|http://security.example/\n\
            Packages|bookworm|bookworm|contrib|Debian|http://contrib.example/\n\
            Packages|bookworm|bookworm|main|Debian|http://mirror.example/debian/\n\
            Packages|stable|trixie|main|Debian|http://newer.example/\n";
        assert_eq!(
            repositories(targets, "bookworm"),
            ["http://mirror.example/debian/", "http://other.example/"]
        );
        assert_eq!(repositories(targets, "trixie"), ["http://newer.example/"]);
        assert_eq!(repositories("", "bookworm"), Vec::<String>::new());
    }

    #[test]
    fn sources() {
        let text = source(
            "http://mirror.example/",
            "bookworm",
            "bookworm-backports",
            true,
        );
        assert!(
            text.contains("URIs: http://mirror.example/\nSuites: bookworm bookworm-backports\n")
        );
        assert!(text.contains("Signed-By: /usr/share/keyrings/"));
        let text = source("http://mirror.example/", "bookworm", "bookworm", false);
        assert!(text.contains("Suites: bookworm \n") && !text.contains("Signed-By"));
    }

    #[test]
    fn what_a_program_said_last() {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out; echo first >&2; echo last >&2; exit 3"]);
        assert_eq!(output(&mut shell), Err("sh: last".to_owned()));
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo out"]);
        assert_eq!(output(&mut shell), Ok("out\n".to_owned()));
        assert!(output(&mut Command::new("/nonexistent/program")).is_err());
    }
}
