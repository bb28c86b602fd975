//! Images of cases: systems below `tests/` whose supervisor prints `case NAME ok`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{Case, Outcome, Row};
use crate::failure;
use crate::project::Project;
use crate::run::{self, End, Line, Observer, Options, Probe};

/// A suite: an `app.toml` and its name.
#[derive(Clone, Debug)]
pub struct Suite {
    pub name: String,
    pub app: PathBuf,
}

/// Folders below `tests/` that are images of cases.
const SUITES: [&str; 3] = ["kernel", "iommu", "raw-smmu"];
/// How long an image may run; its own runner bounds every case.
const LIMIT: Duration = Duration::from_secs(600);

/// The suites there are.
pub fn images(root: &Path) -> Vec<Suite> {
    SUITES
        .iter()
        .map(|name| Suite {
            name: (*name).to_owned(),
            app: root.join("tests").join(name).join("app.toml"),
        })
        .filter(|suite| suite.app.is_file())
        .collect()
}

/// Builds and runs an image; `show` gets each result as it comes.
pub fn image(
    project: &Project,
    suite: &Suite,
    row: &Row,
    show: &mut dyn FnMut(Case),
) -> failure::Outcome<()> {
    let built = project.build(Some(&suite.app))?;
    let drives = run::drives(project, &built.plan, None)?;
    let options = Options {
        qemu: row.qemu.clone(),
        timeout: LIMIT,
        extra: row.arguments.clone(),
    };
    let mut follower = Follower {
        suite: &suite.name,
        show,
        begun: Instant::now(),
        console: Vec::new(),
        failed: false,
        complete: false,
    };
    let end = run::observe(&built, &drives, &options, &mut follower)?;
    follower.finish(&end);
    Ok(())
}

/// Turns the runner's lines into results.
struct Follower<'a> {
    suite: &'a str,
    show: &'a mut dyn FnMut(Case),
    /// When the case under way began.
    begun: Instant,
    /// The kernel's lines since then.
    console: Vec<String>,
    failed: bool,
    complete: bool,
}

impl Observer for Follower<'_> {
    fn line(&mut self, line: &Line, probe: &mut Probe<'_>) {
        // Cases are the runner's word, on the kernel's console; what tasks log is read from their rings.
        if line.task.is_some() {
            return;
        }
        if line.text.starts_with("suite ") {
            self.complete = true;
        }
        let Some(mut case) = case(self.suite, &line.text) else {
            self.console.push(format!("kernel  {}", line.text));
            return;
        };
        case.time = self.begun.elapsed();
        let logged = probe.news();
        let console = std::mem::take(&mut self.console);
        if case.failed() {
            self.failed = true;
            let logged = logged
                .into_iter()
                .map(|line| format!("{}  {}", line.task.unwrap_or_default(), line.text));
            case.log = console.into_iter().chain(logged).collect();
        }
        (self.show)(case);
        self.begun = Instant::now();
    }
}

impl Follower<'_> {
    /// An image that did not come to its end, or whose exit code and cases do not agree, has failed as well.
    fn finish(self, end: &End) {
        if self.complete && (*end == End::Exit(0) || self.failed) {
            return;
        }
        let name = format!("{}::image", self.suite);
        let mut case = Case::new(name, Outcome::Failed(end.to_string()));
        case.log = self.console;
        (self.show)(case);
    }
}

/// `case NAME ok`, `case NAME FAILED why`, `case NAME skipped why`.
fn case(suite: &str, line: &str) -> Option<Case> {
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
    Some(Case::new(name, outcome))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_a_runner() {
        let outcome = |line| case("kernel", line).map(|case| case.outcome);
        assert_eq!(outcome("case a ok"), Some(Outcome::Passed));
        assert_eq!(
            outcome("case a FAILED server: lived on"),
            Some(Outcome::Failed("server: lived on".to_owned()))
        );
        assert_eq!(outcome("suite kernel: 1 passed"), None);
    }

    fn finished(complete: bool, failed: bool, end: &End) -> Vec<Case> {
        let mut cases = Vec::new();
        let follower = Follower {
            suite: "kernel",
            show: &mut |case| cases.push(case),
            begun: Instant::now(),
            console: Vec::new(),
            failed,
            complete,
        };
        follower.finish(end);
        cases
    }

    #[test]
    fn images_that_end_badly() {
        assert!(finished(true, false, &End::Exit(0)).is_empty());
        assert!(finished(true, true, &End::Exit(1)).is_empty());
        assert_eq!(finished(true, false, &End::Exit(1)).len(), 1);
        assert_eq!(finished(false, true, &End::Killed).len(), 1);
    }
}
