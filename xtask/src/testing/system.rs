//! Whole systems: run as a user runs them, their verdict is the result. What is expected of each is in the
//! `expect.toml` of its folder.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::expect::{self, EXPECT, Expected, Machines, Verdict as Ending};
use super::long::LONG;
use super::matrix::since;
use super::power::Press;
use super::serial;
use super::spoil;
use super::{Case, Outcome, Row};
use super::{bring_up, differences};
use crate::disk::{self, Digest};
use crate::run::{self, Disks, End, Options, Verdict, Watch};
use crate::steps::{self, Built};
use crate::systems;
use planner::failure::{self, Failure};
use planner::project::Project;

/// A run of a system.
pub struct System {
    pub name: String,
    app: PathBuf,
    /// The folder of the file that says what is expected.
    folder: PathBuf,
    expected: Expected,
}

/// Folder of the systems that are tests as a whole.
const SYSTEMS: &str = "tests/systems";
/// Folder of everything that is tested, and the folders in it whose systems others run.
const TESTS: &str = "tests";
const OF_OTHERS: [&str; 2] = ["tests/suites", "tests/bench"];
/// Enough for the slowest on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// All runs of systems but the long ones.
///
/// # Errors
/// A system below `tests` that is no suite and no benchmark is named by no `expect.toml` of a folder below
/// `tests/systems`.
pub fn systems(root: &Path) -> failure::Outcome<Vec<System>> {
    let mut systems = all(root)?;
    systems.retain(|system| !system.expected.long);
    Ok(systems)
}

/// Systems that run long: by name only.
///
/// # Errors
/// As of [`systems()`].
pub fn long_systems(root: &Path) -> failure::Outcome<Vec<System>> {
    let mut systems = all(root)?;
    systems.retain(|system| system.expected.long);
    Ok(systems)
}

fn all(root: &Path) -> failure::Outcome<Vec<System>> {
    let root = &systems::tidy(root);
    let place = root.join(SYSTEMS);
    let mut found = Vec::new();
    for folder in systems::entries(&place)? {
        if folder.join(EXPECT).is_file() {
            for expected in expect::read(&folder)? {
                let systems = expected.systems.iter();
                found.extend(systems.map(|system| System::new(&folder, system, &expected)));
            }
        }
    }
    for app in systems::files(root)? {
        let app = systems::tidy(&app);
        let is_tested = app.starts_with(root.join(TESTS));
        let is_of_others = OF_OTHERS.iter().any(|of| app.starts_with(root.join(of)));
        let is_named = found.iter().any(|system: &System| system.app == app);
        if is_tested && !is_of_others && !is_named {
            return Err(expect::unnamed(&app));
        }
    }
    Ok(found)
}

impl System {
    /// `FOLDER` or `FOLDER::NAME`; a file that is not called `app.toml` gives its own name between.
    fn new(folder: &Path, system: &Path, expected: &Expected) -> Self {
        let text = |part: Option<&std::ffi::OsStr>| {
            part.unwrap_or_default().to_string_lossy().into_owned()
        };
        let mut parts = vec![text(folder.file_name())];
        if expected.long {
            parts.insert(0, LONG.to_owned());
        }
        let stem = text(system.file_stem());
        if stem != "app" {
            parts.push(stem);
        }
        parts.extend(expected.name.clone());
        Self {
            name: parts.join("::"),
            app: systems::tidy(&folder.join(system)),
            folder: folder.to_owned(),
            expected: expected.clone(),
        }
    }

    /// The first version of QEMU that has its machine; nothing if any has.
    pub fn since(&self, project: &Project) -> Option<(u32, u32)> {
        since(&project.on(self.expected.platform.as_deref()), &self.app)
    }

    /// Whether it is to be run on a machine: a new SMMU changes nothing for most.
    pub fn fits(&self, row: &Row) -> bool {
        let plain = row.variant.is_empty();
        match self.expected.machines {
            Machines::Usual => row.stage1 && plain,
            Machines::EverySmmu => row.stage1,
            Machines::WithoutStage1 => !row.stage1,
        }
    }

    /// Why an emulator cannot make its machine.
    fn lack(&self, row: &Row) -> Option<String> {
        let (since, lack) = self.expected.difference.as_ref()?.since.as_ref()?;
        let (major, minor) = since.split_once('.')?;
        let first = (major.parse().ok()?, minor.parse().ok()?);
        (row.qemu.version < first).then(|| format!("QEMU {} has {lack}", row.qemu.name()))
    }

    /// Judges the end of a run; `log` is what was said.
    fn judge(&self, run: Result<Verdict, String>, log: &[String]) -> Outcome {
        let silent = |said: &dyn Fn(&str) -> bool| {
            let unsaid = self.expected.tells.iter().find(|words| !said(words));
            unsaid.map(|words| Outcome::Failed(format!("it ended without saying `{words}`")))
        };
        let logged = |words: &str| log.iter().any(|line| line.contains(words));
        match (run, self.expected.verdict) {
            (Ok(Verdict { code: 0, .. }), Ending::Pass | Ending::SwitchedOff | Ending::Built)
            | (Ok(Verdict { code: 1.., .. }), Ending::Fail) => {
                silent(&logged).unwrap_or(Outcome::Passed)
            }
            (Err(why), Ending::Refused) => {
                let refused = silent(&|words| why.contains(words));
                refused.map_or(Outcome::Passed, |_| Outcome::Failed(why.clone()))
            }
            (Ok(_), Ending::Fail) => Outcome::Failed("it has to fail".to_owned()),
            (Ok(_), Ending::Refused) => Outcome::Failed("it was not refused".to_owned()),
            (Ok(verdict), Ending::Pass | Ending::SwitchedOff | Ending::Built) => {
                Outcome::Failed(format!("the verdict is exit code {}", verdict.code))
            }
            (Err(why), _) => Outcome::Failed(why),
        }
    }
}

/// Builds and runs one.
pub fn system(project: &Project, system: &System, row: &Row) -> failure::Outcome<Case> {
    let project = &project.on(system.expected.platform.as_deref());
    let lack = system.lack(row);
    if let Some(why) = lack.or_else(|| row.lacks(project, &system.app)) {
        return Ok(Case::new(system.name.as_str(), Outcome::Skipped(why)));
    }
    let started = Instant::now();
    let mut log = Vec::new();
    let run = match system.expected.verdict {
        Ending::Built => only_built(project, system),
        _ => execute(project, system, row, &mut log),
    };
    let run = match run {
        Ok(verdict) => Ok(verdict),
        Err(Failure::Shown) => return Err(Failure::Shown),
        Err(Failure::Message(why)) => Err(why),
    };
    let mut case = Case::new(system.name.as_str(), system.judge(run, &log));
    case.time = started.elapsed();
    if case.failed() {
        case.log = log;
    }
    Ok(case)
}

/// Makes the image, which is compared with its plan then, and does not run it.
fn only_built(project: &Project, system: &System) -> failure::Outcome<Verdict> {
    let passed = Verdict {
        code: 0,
        note: None,
    };
    steps::build(project, Some(&system.app)).map(|_| passed)
}

fn execute(
    project: &Project,
    system: &System,
    row: &Row,
    log: &mut Vec<String>,
) -> failure::Outcome<Verdict> {
    let expected = &system.expected;
    let build = || {
        let mut changed = Ok(());
        let built = steps::build_to_run_changed(project, Some(&system.app), |app| {
            changed = expected.change(&system.folder, app);
        });
        changed.and(built)
    };
    let mut built = build()?;
    if expected.built_once {
        built = build()?;
        let compiled = built.programs.compiled;
        if compiled != 0 {
            let why = format!("nothing changed, and {compiled} crates were compiled again");
            return Err(Failure::new(why));
        }
    }
    if let Some(spoil) = expected.spoil {
        spoil::spoil(&mut built, spoil)?;
    }
    let folder = project.target.join("test");
    let odd = expected
        .disk
        .map(|len| disk::sample(&folder, len))
        .transpose()?;
    let disks = run::disks(project, &built.plan, odd.as_ref())?;
    let digest = match &odd {
        // Not from the file that the emulator reads: what the tool makes of the user's file is on trial.
        Some(file) => Some(padded(file)?),
        None => run::watched(&built.plan, &disks.files).map(Digest::start),
    };
    let cannot = "cannot make a temporary file";
    let record = expected.serial_line.then(tempfile::NamedTempFile::new);
    let record = record.transpose().map_err(Failure::when(cannot))?;
    let options = Options {
        qemu: row.qemu.clone(),
        timeout: expected.limit.map_or(LIMIT, Duration::from_secs),
        extra: row
            .arguments
            .iter()
            .chain(&expected.qemu)
            .cloned()
            .collect(),
        variations: match &expected.difference {
            Some(difference) => differences::variations(difference, &built.plan)?,
            None => Vec::new(),
        },
        record: record.as_ref().map(|file| file.path().to_owned()),
    };
    if expected.verdict == Ending::SwitchedOff {
        return switched_off(&built, &disks, &options, log);
    }
    let mut watch = Watch::new(&built.plan);
    let end = run::run(&built, &disks.files, &options, |line| {
        watch.see(line);
        let task = line.task.as_deref().unwrap_or("kernel");
        log.push(format!("{task}  {}", line.text));
    })?;
    if let Some(record) = record {
        let bytes =
            std::fs::read(record.path()).map_err(Failure::when("cannot read the record"))?;
        serial::judge(&bytes, &built.dist.folder, log)?;
        bring_up::judge(record.path(), &built.dist.folder)?;
    }
    // What passes has said so: words that are lost are the ones that a failure would be told in.
    // Where other words are expected, those are looked for.
    let passes = expected.verdict == Ending::Pass && expected.tells.is_empty();
    let awaited = built.plan.app.tasks.iter().any(|task| task.verdict);
    if passes && awaited && watch.spoken().is_none() && end == End::Exit(0) {
        return Err(Failure::new("it passed without a word of its verdict"));
    }
    watch.verdict(&end, digest)
}

/// Runs a system whose power key is pressed.
fn switched_off(
    built: &Built,
    disks: &Disks,
    options: &Options,
    log: &mut Vec<String>,
) -> failure::Outcome<Verdict> {
    let mut press = Press::new(log);
    let end = run::observe(built, &disks.files, options, &mut press)?;
    let disk = disks.files.values().next();
    let disk = disk.ok_or_else(|| Failure::new("the system has no disk"))?;
    press.judge(&end, disk)?;
    Ok(Verdict {
        code: 0,
        note: None,
    })
}

/// The digest of a file's bytes and the zeros up to the sector's end.
fn padded(file: &Path) -> failure::Outcome<Digest> {
    let mut bytes =
        std::fs::read(file).map_err(Failure::when(format!("cannot read {}", file.display())))?;
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    Ok(Digest::of_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use planner::project::Project;
    use planner::read;
    use planner::report::Report;

    fn root() -> PathBuf {
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        own.join("..").canonicalize().unwrap()
    }

    /// A repository of one folder of systems, with these files.
    fn found(files: &[(&str, &str)]) -> failure::Outcome<Vec<String>> {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("docs/guide")).unwrap();
        for (file, text) in files {
            let file = root.path().join("tests/systems/one").join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let systems = systems(root.path())?;
        Ok(systems.into_iter().map(|system| system.name).collect())
    }

    #[test]
    fn a_system_that_nothing_is_expected_of_is_a_mistake() {
        let app = ("app.toml", "[tasks.a]\n");
        assert!(found(&[app]).is_err());
        let more = ("more.toml", "[tasks.a]\n");
        assert!(found(&[app, more, (EXPECT, "[[run]]\n")]).is_err());
        assert_eq!(
            found(&[app, (EXPECT, "[[run]]\n")]).ok(),
            Some(vec!["one".to_owned()])
        );
        let both = "[[run]]\n[[run]]\nname = \"twice\"\nsystems = [\"more.toml\"]\n";
        let names = found(&[app, more, (EXPECT, both)]).ok();
        assert_eq!(
            names,
            Some(vec!["one".to_owned(), "one::more::twice".to_owned()])
        );
        // Wherever it is: deeper, or in a folder that nobody thought of.
        for place in [
            "deeper/app.toml",
            "../../app.toml",
            "../../new/one/other.toml",
        ] {
            let strange = (place, "[tasks.a]\n");
            assert!(
                found(&[app, (EXPECT, "[[run]]\n"), strange]).is_err(),
                "{place}"
            );
        }
        let named = (EXPECT, "[[run]]\nsystems = [\"deeper/app.toml\"]\n");
        assert!(found(&[("deeper/app.toml", "[tasks.a]\n"), named]).is_ok());
        for place in ["../../suites/one/app.toml", "../../bench/one/app.toml"] {
            let of_others = (place, "[tasks.a]\n");
            assert!(
                found(&[app, (EXPECT, "[[run]]\n"), of_others]).is_ok(),
                "{place}"
            );
        }
        // A run of a file that is gone is not silently none: it fails when it is run.
        assert!(found(&[(EXPECT, "[[run]]\n")]).is_ok_and(|names| names == ["one"]));
    }

    #[test]
    fn what_runs_change_is_there() {
        let project = Project::at(root());
        let all = all(&root()).unwrap_or_else(|_| panic!("they can be read"));
        let mut names: Vec<&str> = all.iter().map(|system| system.name.as_str()).collect();
        assert!(names.len() > 90, "runs are missing: {}", names.len());
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all.len(), "two runs have one name");
        for system in &all {
            let report = Report::default();
            let app = read::load(&report, &project, &system.app);
            let mut app = app.unwrap_or_else(|_| panic!("{}: {}", system.name, report.text()));
            let changed = system.expected.change(&system.folder, &mut app);
            assert!(changed.is_ok(), "{}", system.name);
            for task in &app.tasks {
                assert!(task.folder.join("Cargo.toml").is_file(), "{}", system.name);
            }
        }
    }

    /// The lines of each table of a file, without comments; folders of crates are the last parts of their paths.
    fn tables(text: &str) -> BTreeMap<&str, Vec<String>> {
        let mut tables = BTreeMap::new();
        let mut table = "";
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if line.starts_with('[') {
                table = line;
            } else if !line.is_empty() {
                let lines: &mut Vec<String> = tables.entry(table).or_default();
                lines.push(line.replace("../", ""));
            }
        }
        tables
    }

    /// Its tasks and devices are those of the demo, and there is one driver more.
    #[test]
    fn the_demo_on_two_smmus_is_the_demo() {
        let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
        let demo = read("app.toml");
        let other = read("tests/systems/demo/two-smmus.toml");
        let (demo, mut other) = (tables(&demo), tables(&other));
        let own = |table: &str| {
            table.is_empty() || table == "[tasks.iommu]" || table.starts_with("[pci.")
        };
        for (table, lines) in demo.iter().filter(|(table, _)| !own(table)) {
            assert_eq!(other.remove(table).as_ref(), Some(lines), "{table}");
        }
        let more: Vec<&str> = other.into_keys().filter(|table| !own(table)).collect();
        assert_eq!(more, ["[devices.edu2]", "[tasks.edu-beside]"]);
    }

    #[test]
    fn an_end_is_what_is_expected_or_a_failure() {
        let system = |text: &str| {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(EXPECT), text).unwrap();
            let expected = expect::read(folder.path()).ok().unwrap().swap_remove(0);
            System::new(folder.path(), Path::new("app.toml"), &expected)
        };
        let end = |code| Ok(Verdict { code, note: None });
        let log = ["kernel  the supervisor died".to_owned()];
        let passes = system("[[run]]\n");
        assert_eq!(passes.judge(end(0), &log), Outcome::Passed);
        assert!(matches!(passes.judge(end(1), &log), Outcome::Failed(_)));
        assert!(matches!(
            passes.judge(Err("refused".into()), &log),
            Outcome::Failed(_)
        ));
        let dies = system("[[run]]\nverdict = \"fail\"\ntells = [\"supervisor died\"]\n");
        assert_eq!(dies.judge(end(1), &log), Outcome::Passed);
        assert!(matches!(dies.judge(end(1), &[]), Outcome::Failed(_)));
        assert!(matches!(dies.judge(end(0), &log), Outcome::Failed(_)));
        let refused = system("[[run]]\nverdict = \"refused\"\ntells = [\"no SMMU\"]\n");
        assert_eq!(
            refused.judge(Err("it has no SMMUv3".into()), &[]),
            Outcome::Passed
        );
        assert!(matches!(
            refused.judge(Err("another reason".into()), &[]),
            Outcome::Failed(_)
        ));
        assert!(matches!(refused.judge(end(0), &[]), Outcome::Failed(_)));
    }
}
