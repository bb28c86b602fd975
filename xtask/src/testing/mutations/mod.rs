//! Changes one expression of the source at a time and looks whether the host tests of the crate notice. What is changed of the
//! kernel's core and of the servers that the promises rest on, and nothing there notices, is a failed case here, unless the record
//! has a reason.
//!
//! cargo-mutants says which changes there are. It would build the crate anew for each, which takes ten times as long as its tests. So
//! all changes are woven into one copy of the crate, each behind a switch ([`weave`]); what is no matter of switching is left to
//! cargo-mutants ([`classic`]). What was found is kept in [`RECORD`], file by file, so that a run that was broken off goes on where it
//! was, and a file that is as it was is not run again.
//!
//! What was judged to change nothing that anybody can see is left out by `.cargo/mutants.toml`, each with its reason.

mod classic;
mod judge;
mod list;
mod record;
mod sites;
mod weave;
mod woven;

use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest as _, Sha256};

use self::judge::{Tests, Verdict};
use self::list::{Change, Changes};
use self::record::{Missed, Of, Record};
use self::woven::{Switch, Woven};
use super::{Case, Outcome};
use planner::failure::{self, Failure};

/// The beginning of the names of these runs.
pub const MUTATIONS: &str = "mutations";
const PACKAGES: [&str; 3] = ["kern", "iommu", "pci"];
/// Where the records are.
const RECORD: &str = "tests/data/mutations";

/// Runs what the filter means: `mutations`, `mutations::kern`, or `mutations::kern::send` for the files whose names contain
/// `send`; `show` gets each file, and each change that was missed.
///
/// # Errors
/// If no package is meant, or something cannot be run.
pub fn mutations(
    root: &Path,
    target: &Path,
    filter: &str,
    show: &mut dyn FnMut(Case),
) -> failure::Outcome<()> {
    let meant: Vec<_> = PACKAGES
        .iter()
        .filter_map(|package| Some((package, meant(package, filter)?)))
        .collect();
    if meant.is_empty() {
        return Err(Failure::new(format!(
            "there is no run `{filter}`; known are {MUTATIONS}, {MUTATIONS}:: with {}, and behind that :: with a part of a file's name",
            PACKAGES.join(", ")
        )));
    }
    if !classic::is_installed() {
        classic::install()?;
    }
    for (package, part) in meant {
        let mut run = Run::new(root, target, package)?;
        run.files(&part, show)?;
    }
    Ok(())
}

/// The part of files' names that the filter asks for in a package, if it means the package.
fn meant(package: &str, filter: &str) -> Option<String> {
    let name = format!("{MUTATIONS}::{package}");
    if name.starts_with(filter) {
        return Some(String::new());
    }
    let part = filter.strip_prefix(&name)?.strip_prefix("::")?;
    Some(part.to_owned())
}

/// The run of a package.
struct Run<'r> {
    root: &'r Path,
    package: &'r str,
    folder: PathBuf,
    changes: Changes,
    record: Record,
    /// Built when the first file needs it.
    built: Option<(Woven, Tests)>,
}

impl<'r> Run<'r> {
    fn new(root: &'r Path, target: &Path, package: &'r str) -> failure::Outcome<Self> {
        let folder = target.join(MUTATIONS).join(package);
        std::fs::create_dir_all(&folder)
            .map_err(Failure::when(format!("cannot make {}", folder.display())))?;
        let mut run = Self {
            root,
            package,
            folder,
            changes: list::changes(root, package)?,
            record: Record::new(),
            built: None,
        };
        if let Ok(text) = std::fs::read_to_string(run.kept()) {
            run.record = record::read(&text)?;
        }
        let changes = &run.changes;
        run.record.retain(|file, _| changes.contains_key(file));
        Ok(run)
    }

    fn kept(&self) -> PathBuf {
        self.root
            .join(RECORD)
            .join(format!("{}.toml", self.package))
    }

    /// Runs the files that are not as they were when they were run, and again what was missed in others for no reason; what only
    /// cargo-mutants can do comes in the end, since it takes longest.
    fn files(&mut self, part: &str, show: &mut dyn FnMut(Case)) -> failure::Outcome<()> {
        let files = self.changes.keys().filter(|file| file.contains(part));
        let files: Vec<String> = files.cloned().collect();
        for file in &files {
            self.file(file)?;
        }
        for file in &files {
            self.left(file)?;
            let of = self.record.get(file).cloned().unwrap_or_default();
            self.cases(file, &of, show);
        }
        Ok(())
    }

    /// Makes the changes of a file that can be switched.
    fn file(&mut self, file: &str) -> failure::Outcome<()> {
        let text = std::fs::read(self.root.join(file))
            .map_err(Failure::when(format!("cannot read {file}")))?;
        let source = digest(&text);
        let known = self.record.get(file).cloned().unwrap_or_default();
        let is_same = known.source == source;
        let changes = self.changes.get(file).cloned().unwrap_or_default();
        let again = |change: &Change| !is_same || known.reason(change) == Some("");
        if is_same && !changes.iter().any(again) {
            return Ok(());
        }
        let mut of = match is_same {
            true => known.clone(),
            false => Of::default(),
        };
        (of.source, of.commit) = (source, commit(self.root));
        of.missed.retain(|missed| !missed.reason.is_empty());
        for (number, change) in changes.iter().enumerate() {
            if !again(change) {
                continue;
            }
            let (woven, tests) = self.built()?;
            let verdict = match woven.switch(file, number) {
                Switch::Unbuildable => Verdict::Unbuildable,
                Switch::Number { own, place } => tests.judge(woven, own, place)?,
                Switch::Constant => {
                    of.left.push(Missed::new(change));
                    continue;
                }
            };
            of.add(change, verdict, &known);
        }
        self.record.insert(file.to_owned(), of);
        self.keep()
    }

    /// Has cargo-mutants make the changes of a file that are left.
    fn left(&mut self, file: &str) -> failure::Outcome<()> {
        let known = self.record.get(file).cloned().unwrap_or_default();
        let changes = self.changes.get(file).cloned().unwrap_or_default();
        let is_left = |change: &&Change| known.left.iter().any(|left| left.is(change));
        let left: Vec<&Change> = changes.iter().filter(is_left).collect();
        if left.is_empty() {
            return Ok(());
        }
        let mut of = known.clone();
        of.left.clear();
        for (change, verdict) in classic::run(self.root, self.package, &self.folder, &left)? {
            of.add(change, verdict, &known);
        }
        self.record.insert(file.to_owned(), of);
        self.keep()
    }

    fn built(&mut self) -> failure::Outcome<&(Woven, Tests)> {
        let built = match self.built.take() {
            Some(built) => built,
            None => {
                let woven = Woven::build(self.root, self.package, &self.changes, &self.folder)?;
                let tests = Tests::measure(&woven, &self.folder)?;
                (woven, tests)
            }
        };
        Ok(self.built.insert(built))
    }

    fn keep(&self) -> failure::Outcome<()> {
        let file = self.kept();
        let cannot = || format!("cannot write {}", file.display());
        std::fs::create_dir_all(self.root.join(RECORD)).map_err(Failure::when(cannot()))?;
        std::fs::write(&file, record::write(&self.record)).map_err(Failure::when(cannot()))
    }

    fn cases(&self, file: &str, of: &Of, show: &mut dyn FnMut(Case)) {
        let name = format!("{MUTATIONS}::{}::{file}", self.package);
        for missed in &of.missed {
            let outcome = match missed.reason.as_str() {
                "" => Outcome::Failed(format!("no test notices, in `{}`", missed.line)),
                reason => Outcome::Skipped(reason.to_owned()),
            };
            show(Case::new(format!("{name}: {}", missed.change), outcome));
        }
        show(Case::new(name, Outcome::Passed));
    }
}

fn digest(text: &[u8]) -> String {
    let digest = Sha256::digest(text);
    let bytes = digest.iter().take(8);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

fn commit(root: &Path) -> String {
    let output = Command::new("git")
        .args(["rev-parse", "--short=7", "HEAD"])
        .current_dir(root)
        .output();
    output.map_or(String::new(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_named_by_their_packages_and_files() {
        let of = |filter: &str| PACKAGES.map(|package| meant(package, filter));
        let all = Some(String::new());
        assert_eq!(of("mutations"), [all.clone(), all.clone(), all.clone()]);
        assert_eq!(of("mutations::iommu"), [None, all, None]);
        let part = Some("src/send".to_owned());
        assert_eq!(of("mutations::kern::src/send"), [part, None, None]);
        assert_eq!(of("mutations::xtask"), [None, None, None]);
    }

    #[test]
    fn a_run_that_is_unknown_is_an_error() {
        let path = Path::new("/nonexistent");
        let run = mutations(path, path, "mutations::xtask", &mut |_| ());
        let Err(Failure::Message(why)) = run else {
            panic!("{run:?}");
        };
        assert!(why.contains("mutations::xtask") && why.contains("kern, iommu, pci"));
    }
}
