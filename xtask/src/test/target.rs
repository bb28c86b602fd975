//! Images that are tests: systems below `tests/` whose supervisor prints `case NAME ok`, and those that
//! are one case each, whose verdict is the exit code.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Outcome, Result};
use crate::failure;
use crate::project::Project;
use crate::qemu::Qemu;
use crate::run::{self, End, Options};

/// A suite: an `app.toml` and its name.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: String,
    pub app: PathBuf,
    /// One case: the verdict.
    pub verdict_only: bool,
    /// The run has to fail, and a line to say this.
    pub fails_with: Option<&'static str>,
}

/// Folders below `tests/` that are images of cases.
const SUITES: [&str; 2] = ["kernel", "iommu"];
/// How long an image may run; its own runner bounds every case.
const LIMIT: Duration = Duration::from_secs(600);

/// Folders below `tests/` that are images of one case.
const VERDICTS: [&str; 2] = ["alias", "hostile"];
/// Folders of images whose run has to fail, and what has to be said then.
const FAILURES: [(&str, &str); 2] = [
    ("supervisor-crash", "the supervisor died"),
    ("refused-boot", "the machine is not the one planned for"),
];
/// Folder of one image for each shape of fabric.
const TOPOLOGIES: &str = "topologies";

/// The suites there are.
pub fn images(root: &Path) -> Vec<Suite> {
    let tests = root.join("tests");
    let folder = |name: &&str, verdict_only| Suite {
        name: (*name).to_owned(),
        app: tests.join(name).join("app.toml"),
        verdict_only,
        fails_with: None,
    };
    let suites = SUITES.iter().map(|name| folder(name, false));
    let verdicts = VERDICTS.iter().map(|name| folder(name, true));
    let failures = FAILURES.iter().map(|(name, why)| Suite {
        fails_with: Some(why),
        ..folder(name, true)
    });
    let mut all: Vec<Suite> = suites.chain(verdicts).chain(failures).collect();
    let mut files: Vec<PathBuf> = std::fs::read_dir(tests.join(TOPOLOGIES))
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
        .collect();
    files.sort();
    all.extend(files.into_iter().map(|app| Suite {
        name: format!(
            "{TOPOLOGIES}::{}",
            app.file_stem().unwrap_or_default().to_string_lossy()
        ),
        app,
        verdict_only: true,
        fails_with: None,
    }));
    all.retain(|suite| suite.app.is_file());
    all
}

/// Builds and runs an image; `show` gets each result as it comes.
pub fn image(
    project: &Project,
    suite: &Suite,
    qemu: &Qemu,
    mut show: impl FnMut(&Result),
) -> failure::Outcome<Vec<Result>> {
    let built = project.build(Some(&suite.app))?;
    let drives = run::drives(project, &built.plan, None)?;
    let options = Options {
        qemu: qemu.clone(),
        timeout: LIMIT,
        extra: Vec::new(),
    };
    let mut results: Vec<Result> = Vec::new();
    let mut summary = None;
    let mut tail: Vec<String> = Vec::new();
    let mut said_why = false;
    let end = run::run(&built, &drives, &options, |line| {
        said_why |= suite.fails_with.is_some_and(|why| line.text.contains(why));
        // Cases are the runner's word, on the kernel's console; what tasks log is not.
        if line.task.is_some() {
            return;
        }
        if let Some(found) = case(&suite.name, &line.text) {
            show(&found);
            results.push(found);
        } else if line.text.starts_with("suite ") {
            summary = Some(line.text.clone());
        } else {
            tail.push(line.text.clone());
        }
    })?;
    let as_it_should = match (suite.fails_with, &end) {
        (None, End::Exit(code)) => *code == 0,
        (Some(_), End::Exit(code)) => *code != 0 && said_why,
        _ => false,
    };
    if suite.verdict_only && as_it_should {
        let result = Result {
            name: suite.name.clone(),
            outcome: Outcome::Passed,
        };
        show(&result);
        return Ok(vec![result]);
    }
    let failed = results
        .iter()
        .any(|result| matches!(result.outcome, Outcome::Failed(_)));
    if summary.is_none() || (end != End::Exit(0) && !failed) {
        let said = tail
            .last()
            .map_or(String::new(), |line| format!("; it last said: {line}"));
        let result = Result {
            name: format!("{}: the image", suite.name),
            outcome: Outcome::Failed(format!("ended with {end:?}{said}")),
        };
        show(&result);
        results.push(result);
    }
    Ok(results)
}

/// `case NAME ok`, `case NAME FAILED why`, `case NAME skipped why`.
fn case(suite: &str, line: &str) -> Option<Result> {
    let mut words = line.strip_prefix("case ")?.splitn(3, ' ');
    let name = format!("{suite}::{}", words.next()?);
    let word = words.next()?;
    let why = words.next().unwrap_or_default().to_owned();
    let outcome = match word {
        "ok" => Outcome::Passed,
        "FAILED" => Outcome::Failed(why),
        "skipped" => Outcome::Skipped(why),
        _ => return None,
    };
    Some(Result { name, outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_runner() {
        let outcome = |line| case("kernel", line).map(|result| result.outcome);
        assert_eq!(outcome("case a ok"), Some(Outcome::Passed));
        assert_eq!(
            outcome("case a FAILED server: lived on"),
            Some(Outcome::Failed("server: lived on".to_owned()))
        );
        assert_eq!(outcome("suite kernel: 1 passed"), None);
    }
}
