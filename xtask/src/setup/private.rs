//! A Debian package and what it needs, unpacked beside what is installed: another version of a program without
//! a change to the system. apt works on a source, lists, a cache and a record of installed packages of its own,
//! which takes no root; proxies and keys are those that the system is configured with.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::archive;
use super::command::output;
use super::installed;

/// dpkg's record of what is installed.
const STATUS: &str = "/var/lib/dpkg/status";

/// The package to unpack.
pub struct Wanted<'a> {
    pub package: &'a str,
    /// The packages of its kind begin with this name. Whether any of them are installed makes no difference.
    pub family: &'a str,
    /// The package's program in `usr/bin`, and its data in `usr/share`.
    pub program: &'a str,
    pub data: &'a str,
}

/// The program of `wanted` as `suite` of the release `codename` has it: a script below `folder` that runs it with
/// its own libraries and data. It is made once.
pub fn unpacked(
    wanted: &Wanted<'_>,
    codename: &str,
    suite: &str,
    folder: &Path,
) -> Result<PathBuf, String> {
    let folder = folder.join(suite);
    let cannot = |error: std::io::Error| format!("cannot use {}: {error}", folder.display());
    std::fs::create_dir_all(&folder).map_err(cannot)?;
    // Of several runs at once one unpacks, and the others find what it made.
    let lock = std::fs::File::create(folder.join("lock")).map_err(cannot)?;
    lock.lock().map_err(cannot)?;
    let script = folder.join(wanted.program);
    if script.is_file() {
        return Ok(script);
    }
    let private = Private::new(folder.join("apt"))?;
    let mut why = format!("apt has no source of {codename}");
    for source in archive::sources(codename, suite, |targets| private.ask(targets))? {
        private.use_source(&source)?;
        match private.fetch(wanted, suite, !archive::is_of(suite, codename)) {
            Ok(()) => return private.unpack(wanted, &folder, &script),
            Err(reason) => why = reason,
        }
    }
    Err(why)
}

/// apt's state for one download.
struct Private {
    folder: PathBuf,
    /// The only source, if it exists; else those of the system.
    source: PathBuf,
    /// The status file of packages that count as installed, if it exists; else the system's own.
    status: PathBuf,
    configuration: PathBuf,
}

impl Private {
    /// Begins anew: an archive that an interrupted run left behind could be of another version.
    fn new(folder: PathBuf) -> Result<Self, String> {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)
                .map_err(|error| format!("cannot remove {}: {error}", folder.display()))?;
        }
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = folder.join(part);
            std::fs::create_dir_all(&part)
                .map_err(|error| format!("cannot make {}: {error}", part.display()))?;
        }
        let private = Self {
            source: folder.join("debian.sources"),
            status: folder.join("status"),
            configuration: folder.join("apt.conf"),
            folder,
        };
        let own = output(Command::new("apt-config").arg("dump"))?;
        write(&private.configuration, &configuration(&own))?;
        Ok(private)
    }

    /// `apt-get` with a state of its own.
    fn apt(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.env("APT_CONFIG", &self.configuration);
        command.args(["-q", "-y"]);
        let mut places = vec![
            ("Dir::State::Lists", self.folder.join("lists")),
            ("Dir::Cache", self.folder.join("cache")),
        ];
        if self.source.is_file() {
            places.push(("Dir::Etc::SourceList", self.source.clone()));
            places.push(("Dir::Etc::SourceParts", PathBuf::from("/dev/null")));
        }
        if self.status.is_file() {
            places.push(("Dir::State::status", self.status.clone()));
        }
        for (key, place) in places {
            let mut option = OsString::from(format!("{key}="));
            option.push(place);
            command.arg("-o").arg(option);
        }
        // The lock is that of the installed packages, which are only read.
        command.args(["-o", "Debug::NoLocking=1"]);
        command.args(["-o", "Acquire::Languages=none"]);
        // Images of containers are often set to delete what was downloaded.
        command.args(["-o", "APT::Keep-Downloaded-Packages=1"]);
        command
    }

    /// The answer of apt with its own state, and after an update of the sources that it uses.
    fn ask(&self, targets: &[&str]) -> Result<String, String> {
        // One source that cannot be reached does not take the others away.
        let updated = output(self.apt().arg("update"));
        let answer = output(self.apt().args(targets))?;
        if answer.is_empty() {
            updated?;
        }
        Ok(answer)
    }

    fn use_source(&self, source: &str) -> Result<(), String> {
        write(&self.source, source)
    }

    /// Downloads it, and what it needs that is not installed, as if to install it; `alone` if nothing that is installed
    /// counts.
    fn fetch(&self, wanted: &Wanted<'_>, suite: &str, alone: bool) -> Result<(), String> {
        let status = std::fs::read_to_string(STATUS)
            .map_err(|error| format!("cannot read {STATUS}: {error}"))?;
        // Libraries of another release are not mixed with those that are installed: all that it needs comes along.
        let counted = if alone {
            String::new()
        } else {
            installed::without(&status, wanted.family)
        };
        write(&self.status, &counted)?;
        output(self.apt().arg("update"))?;
        let mut install = self.apt();
        install.args(["install", "--download-only", "--no-install-recommends"]);
        // What it needs comes from that suite as well, backports included.
        install.args(["--target-release", suite, wanted.package]);
        output(&mut install).map(drop)
    }

    /// Unpacks what was downloaded and writes `script`, which is there only if all of it was.
    fn unpack(&self, wanted: &Wanted<'_>, folder: &Path, script: &Path) -> Result<PathBuf, String> {
        let failed = |error: std::io::Error| format!("cannot unpack: {error}");
        let root = folder.join("root");
        if root.exists() {
            std::fs::remove_dir_all(&root).map_err(failed)?;
        }
        let archives = std::fs::read_dir(self.folder.join("cache/archives")).map_err(failed)?;
        for file in archives.filter_map(|entry| Some(entry.ok()?.path())) {
            if file.extension().is_some_and(|extension| extension == "deb") {
                output(Command::new("dpkg").arg("-x").arg(&file).arg(&root))?;
            }
        }
        let text = wrapper(wanted, &libraries(&root), loader(&root).as_deref());
        let part = script.with_extension("part");
        write(&part, &text)?;
        make_executable(&part).map_err(failed)?;
        std::fs::rename(&part, script).map_err(failed)?;
        // Lists and archives are a multiple of what is left; that they stay does no harm.
        let _ = std::fs::remove_dir_all(&self.folder);
        Ok(script.to_path_buf())
    }
}

/// The system's configuration without the commands that it runs before and after: those delete files of its own
/// cache and tell other programs of an update that it has not had. No further file of configuration is read.
fn configuration(dumped: &str) -> String {
    let is_command = |line: &&str| {
        let key = line.split(' ').next().unwrap_or_default();
        key.contains("-Invoke") || key.contains("-Install-Pkgs")
    };
    let settings = dumped.lines().filter(|line| !is_command(line));
    let own = [
        "Dir::Etc::Main \"/dev/null\";",
        "Dir::Etc::Parts \"/dev/null\";",
    ];
    settings
        .chain(own)
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Folders of the tree at `root` that are for the libraries of one architecture, seen from there.
fn libraries(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["lib", "usr/lib"] {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
        let folders = entries.flatten().filter(|entry| entry.path().is_dir());
        let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let of_one = names.filter(|name| name.contains("-linux-"));
        found.extend(of_one.map(|name| format!("{folder}/{name}")));
    }
    found.sort();
    found
}

/// The program in the tree at `root` that loads programs and their libraries, seen from there: it is there if the C
/// library is, and fits no other.
fn loader(root: &Path) -> Option<String> {
    for folder in ["lib64", "usr/lib64", "lib", "usr/lib"] {
        let entries = std::fs::read_dir(root.join(folder)).into_iter().flatten();
        let names = entries
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned());
        if let Some(name) = names.filter(|name| name.starts_with("ld-linux")).min() {
            return Some(format!("{folder}/{name}"));
        }
    }
    None
}

/// Runs the program in the tree beside the script, wherever both are moved; by the tree's own loader if it has one.
fn wrapper(wanted: &Wanted<'_>, libraries: &[String], loader: Option<&str>) -> String {
    let (program, data) = (wanted.program, wanted.data);
    let libraries: Vec<String> = libraries
        .iter()
        .map(|path| format!("$root/{path}"))
        .collect();
    let libraries = libraries.join(":");
    let run = format!("\"$root/usr/bin/{program}\" -L \"$root/usr/share/{data}\" \"$@\"");
    let start = match loader {
        // The libraries only for this program: what it runs has those of the system.
        Some(loader) => format!("exec \"$root/{loader}\" --library-path \"{libraries}\" {run}\n"),
        None => format!(
            "LD_LIBRARY_PATH=\"{libraries}${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}\"\n\
             export LD_LIBRARY_PATH\n\
             exec {run}\n"
        ),
    };
    format!(
        "#!/bin/sh\n\
         # {} of Debian, unpacked here and not installed.\n\
         root=$(dirname \"$(readlink -f \"$0\")\")/root\n\
         {start}",
        wanted.package
    )
}

fn make_executable(file: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755))
}

fn write(file: &Path, text: &str) -> Result<(), String> {
    std::fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WANTED: Wanted<'_> = Wanted {
        package: "emulator-arm",
        family: "emulator",
        program: "emulate",
        data: "emulator",
    };

    #[test]
    fn commands_of_the_system_are_not_run() {
        let dumped = "APT::Architecture \"amd64\";\nAPT::Update::Post-Invoke-Success:: \"notify\";\n\
            DPkg::Post-Invoke:: \"rm -f /var/cache/apt/archives/*.deb\";\n\
            DPkg::Pre-Install-Pkgs:: \"list\";\nAcquire::http::Proxy \"http://proxy.example/\";\n";
        let text = configuration(dumped);
        let lines: Vec<&str> = text.lines().collect();
        let own = [
            "Dir::Etc::Main \"/dev/null\";",
            "Dir::Etc::Parts \"/dev/null\";",
        ];
        let kept = [
            "APT::Architecture \"amd64\";",
            "Acquire::http::Proxy \"http://proxy.example/\";",
        ];
        assert_eq!(lines, [kept, own].concat());
    }

    #[test]
    fn the_script_runs_what_is_beside_it() {
        let folder = tempfile::Builder::new()
            .prefix("with space")
            .tempdir()
            .unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("usr/lib/any-linux-gnu")).unwrap();
        std::fs::create_dir_all(root.join("usr/lib/unrelated")).unwrap();
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        let program = root.join("usr/bin/emulate");
        std::fs::write(&program, "#!/bin/sh\necho \"$LD_LIBRARY_PATH\" \"$@\"\n").unwrap();
        make_executable(&program).unwrap();
        let script = folder.path().join("emulate");
        assert_eq!(libraries(&root), ["usr/lib/any-linux-gnu"]);
        std::fs::write(&script, wrapper(&WANTED, &libraries(&root), None)).unwrap();
        make_executable(&script).unwrap();
        let mut run = Command::new(&script);
        run.arg("two words").env("LD_LIBRARY_PATH", "/before");
        let root = root.canonicalize().unwrap();
        let expected = format!(
            "{0}/usr/lib/any-linux-gnu:/before -L {0}/usr/share/emulator two words\n",
            root.display()
        );
        assert_eq!(output(&mut run), Ok(expected));
    }

    #[test]
    fn a_tree_with_a_loader_is_run_by_it() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("root");
        std::fs::create_dir_all(root.join("usr/lib64")).unwrap();
        std::fs::create_dir_all(root.join("usr/lib/any-linux-gnu")).unwrap();
        assert_eq!(loader(&root), None);
        let file = root.join("usr/lib64/ld-linux-any.so.2");
        std::fs::write(&file, "#!/bin/sh\necho loader \"$@\"\n").unwrap();
        make_executable(&file).unwrap();
        let found = loader(&root);
        assert_eq!(found.as_deref(), Some("usr/lib64/ld-linux-any.so.2"));
        let script = folder.path().join("emulate");
        let text = wrapper(&WANTED, &libraries(&root), found.as_deref());
        std::fs::write(&script, text).unwrap();
        make_executable(&script).unwrap();
        let root = root.canonicalize().unwrap();
        let expected = format!(
            "loader --library-path {0}/usr/lib/any-linux-gnu {0}/usr/bin/emulate -L {0}/usr/share/emulator word\n",
            root.display()
        );
        assert_eq!(output(Command::new(&script).arg("word")), Ok(expected));
    }
}
