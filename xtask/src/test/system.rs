//! Whole systems: run as a user runs them, their verdict is the result.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::chaos::{self, CHAOS, Chaos};
use super::differences::{DIFFERENCES, Difference, POLICIES};
use super::image::NEWEST_AT_EL2;
use super::long::{self, LONG};
use super::spoil;
use super::{Case, Outcome, Row};
use crate::bench::{COUNTING, LONGEST_APP};
use crate::disk::{self, Digest};
use crate::project::{Built, Project};
use crate::run::{self, End, Options, Verdict, Watch};
use crate::systems;
use planner::failure::{self, Failure};
use planner::read::App;

/// One run.
pub struct System {
    pub name: String,
    app: PathBuf,
    /// Further QEMU arguments.
    extra: &'static [&'static str],
    expect: Expect,
    /// In what the machine differs from the plan, and whether that refuses the boot.
    difference: Option<(&'static Difference, bool)>,
    /// What is run instead of what the file says.
    change: Change,
    limit: Duration,
    /// What is made wrong in the image.
    spoil: Option<fn(&mut Built) -> failure::Outcome<()>>,
}

/// How the system that is run differs from its file.
#[derive(Clone, Copy)]
enum Change {
    None,
    By(fn(&mut App)),
    Chaos(&'static Chaos),
}

impl Change {
    fn apply(self, app: &mut App) {
        match self {
            Self::None => {}
            Self::By(change) => change(app),
            Self::Chaos(run) => run.change(app),
        }
    }
}

#[derive(Clone, Copy)]
enum Expect {
    /// The guest's verdict is pass.
    Pass,
    /// The same, and each of these words are in the log.
    PassTelling(&'static [&'static str]),
    /// The same, and building it once more compiles nothing: its tasks are of several workspaces.
    PassBuiltOnce,
    /// The same with a disk of this many bytes: no whole sectors.
    PassOn(usize),
    /// A verdict that is not pass, and these words in the log.
    Fail(&'static str),
    /// Refused before the guest starts, with these words.
    Refusal(&'static str),
}

/// Runs of the demo, of the guide and of servers that die: app below the root, further QEMU arguments, what is expected.
const RUNS: [(&str, &str, &[&str], Expect); 13] = [
    ("demo::entered-at-el1", "app.toml", &[], Expect::Pass),
    ("demo::entered-at-el2", "app.toml", AT_EL2, Expect::Pass),
    // Traps that older processors do not have, closed to EL1 unless they are turned off.
    (
        "demo::newest-processor-at-el2",
        "app.toml",
        NEWEST_AT_EL2,
        Expect::Pass,
    ),
    (
        "demo::disk-of-odd-size",
        "app.toml",
        &[],
        Expect::PassOn(1_000_003),
    ),
    (
        "demo::machine-without-smmu-is-refused",
        "app.toml",
        &["-machine", "iommu=none"],
        Expect::Refusal("the machine has no SMMUv3"),
    ),
    (
        "demo::bus-past-the-smmu-is-refused",
        "app.toml",
        &["-machine", "default-bus-bypass-iommu=on"],
        Expect::Refusal("the root bus bypasses the SMMU"),
    ),
    (
        "demo::device-past-the-smmu-is-refused",
        "app.toml",
        &["-device", "virtio-rng-pci,bus=pcie.0,addr=9.0"],
        Expect::Refusal("bypasses the SMMU"),
    ),
    (
        WITHOUT_STAGE1,
        "app.toml",
        &[],
        Expect::Fail("not used: no stage 1"),
    ),
    ("sweep::entered-at-el1", SWEEP, &[], Expect::Pass),
    ("sweep::entered-at-el2", SWEEP, AT_EL2, Expect::Pass),
    ("sweep::newest-processor", SWEEP, NEWEST, Expect::Pass),
    (
        "sweep::newest-processor-at-el2",
        SWEEP,
        NEWEST_AT_EL2,
        Expect::Pass,
    ),
    (
        "guide::first-driver",
        "docs/guide/first-driver/app.toml",
        &[],
        Expect::PassBuiltOnce,
    ),
];

const AT_EL2: &[&str] = &["-machine", "virtualization=on"];
const NEWEST: &[&str] = &["-cpu", "max"];
/// Every instruction that could reach beyond its task.
const SWEEP: &str = "tests/systems/sweep/app.toml";

/// What is run where the SMMU lacks what the server needs, and nowhere else.
const WITHOUT_STAGE1: &str = "demo::without-stage-1-is-refused";
/// What is run with every SMMU that an emulator can be given; a new SMMU changes nothing for the others.
const ANY_SMMU: [&str; 1] = ["demo::entered-at-el1"];

/// The kernel's fast path beside its core; the judge is the supervisor, and has the console for its words.
const FAST_PATH: &str = "fast-path";
const AGREED: &str = "fast path: all calls agree";

/// Folders below `tests/systems/` that are one run each.
const VERDICTS: [(&str, Expect); 10] = [
    ("alias", Expect::Pass),
    ("unit", Expect::Pass),
    ("non-pci", Expect::Pass),
    ("bypass", Expect::Pass),
    ("persistent", Expect::Pass),
    ("disk", Expect::Pass),
    ("hostile", Expect::Pass),
    (FAST_PATH, Expect::PassTelling(&[AGREED])),
    ("supervisor-crash", Expect::Fail("the supervisor died")),
    (
        "refused-boot",
        Expect::Fail("the machine is not the one planned for"),
    ),
];
/// What counts the longest times with interrupts masked.
const LONGEST: &str = "masked-time";
/// Folder of the systems that are tests as a whole.
const SYSTEMS: &str = "tests/systems";
/// Folder of the systems whose machine is another one than planned.
const DIFFERENT: &str = "differences";

impl System {
    /// As its file says.
    fn new(name: String, app: PathBuf, expect: Expect) -> Self {
        Self {
            name,
            app,
            extra: &[],
            expect,
            difference: None,
            change: Change::None,
            limit: LIMIT,
            spoil: None,
        }
    }
}

/// All systems there are: those of the tables, whether their files are there or not, and whatever else declares
/// tasks below `tests/systems/`, which has to pass.
pub fn systems(root: &Path) -> failure::Outcome<Vec<System>> {
    let tests = root.join(SYSTEMS);
    let mut systems: Vec<System> = RUNS
        .iter()
        .map(|&(name, app, extra, expect)| System {
            extra,
            ..System::new(name.to_owned(), root.join(app), expect)
        })
        .collect();
    systems.push(System {
        extra: NEWEST_AT_EL2,
        change: Change::By(|app| app.name.push_str("-spoiled")),
        spoil: Some(spoil::trap_authentication),
        ..System::new(
            "sweep::a-trap-to-el2-is-told".to_owned(),
            root.join(SWEEP),
            Expect::Fail("exception at EL2, vector 0x0000000000000400 esr 0x0000000026000000"),
        )
    });
    for (name, expect) in VERDICTS {
        let app = tests.join(name).join("app.toml");
        systems.push(System::new(name.to_owned(), app, expect));
    }
    systems.push(System {
        extra: &COUNTING,
        ..System::new(LONGEST.to_owned(), root.join(LONGEST_APP), Expect::Pass)
    });
    for (policy, refuses) in POLICIES {
        let app = tests.join(DIFFERENT).join(format!("{policy}.toml"));
        systems.extend(DIFFERENCES.iter().map(|difference| System {
            extra: difference.extra,
            difference: Some((difference, refuses)),
            ..System::new(
                format!("{DIFFERENT}::{policy}::{}", difference.name),
                app.clone(),
                Expect::PassTelling(difference.told),
            )
        }));
    }
    systems.extend(chaos_systems(&tests.join(CHAOS)));
    for app in systems::files(root)? {
        let Ok(place) = app.strip_prefix(&tests) else {
            continue;
        };
        if !systems.iter().any(|system| system.app == app) {
            systems.push(System::new(name(place), app, Expect::Pass));
        }
    }
    Ok(systems)
}

/// The runs of `tests/systems/chaos`: the image as it stands, with each choice of victims, and a storm of faults.
fn chaos_systems(folder: &Path) -> Vec<System> {
    let app = folder.join("app.toml");
    let run = |name: &str, change| System {
        change,
        ..System::new(format!("{CHAOS}::{name}"), app.clone(), Expect::Pass)
    };
    let storm = System {
        // So many faults within a time: that must not depend on how busy the host is.
        extra: &COUNTING,
        ..System::new(
            format!("{CHAOS}::storm"),
            folder.join("storm.toml"),
            Expect::Pass,
        )
    };
    let chosen = chaos::RUNS.iter();
    [run("everybody-dies", Change::None), storm]
        .into_iter()
        .chain(chosen.map(|chosen| run(chosen.name, Change::Chaos(chosen))))
        .collect()
}

/// `folder` for its `app.toml`, `folder::file` for others.
fn name(place: &Path) -> String {
    let folder = place.parent().unwrap_or(Path::new("")).display();
    match place.file_stem().unwrap_or_default().to_string_lossy() {
        file if file == "app" => folder.to_string(),
        file => format!("{folder}::{file}"),
    }
}

/// Systems that run long: by name only.
pub fn long_systems(root: &Path) -> Vec<System> {
    let longer = |name: &str, change, expect| {
        let app = root.join(SYSTEMS).join(name).join("app.toml");
        System {
            change: Change::By(change),
            limit: 12 * LIMIT,
            ..System::new(format!("{LONG}::{name}"), app, expect)
        }
    };
    let sweeps = RUNS.iter().filter(|(_, app, ..)| *app == SWEEP);
    let sweeps = sweeps.map(|&(name, app, extra, expect)| System {
        extra,
        change: Change::By(long::try_all),
        limit: 12 * LIMIT,
        ..System::new(format!("{LONG}::{name}"), root.join(app), expect)
    });
    [
        longer("hostile", long::hostile, Expect::Pass),
        longer(CHAOS, chaos::lengthen, Expect::Pass),
        longer(FAST_PATH, long::fast_path, Expect::PassTelling(&[AGREED])),
    ]
    .into_iter()
    .chain(sweeps)
    .collect()
}

impl System {
    /// Whether it is to be run on a machine.
    pub fn fits(&self, row: &Row) -> bool {
        let name = self.name.as_str();
        let usual = name != WITHOUT_STAGE1;
        usual == row.stage1 && (row.variant.is_empty() || !usual || ANY_SMMU.contains(&name))
    }
}

/// Enough for the slowest on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// Builds and runs one.
pub fn system(project: &Project, system: &System, row: &Row) -> failure::Outcome<Case> {
    let since = system
        .difference
        .and_then(|(difference, _)| difference.since);
    if let Some((_, lack)) = since.filter(|(first, _)| row.qemu.version < *first) {
        let why = format!("QEMU {} has {lack}", row.qemu.name());
        return Ok(Case::new(system.name.as_str(), Outcome::Skipped(why)));
    }
    let started = Instant::now();
    let mut log = Vec::new();
    let run = execute(project, system, row, &mut log);
    let outcome = match (run, &system.expect) {
        (Err(Failure::Shown), _) => return Err(Failure::Shown),
        (Ok(Verdict { code: 0, .. }), Expect::Pass | Expect::PassOn(_) | Expect::PassBuiltOnce) => {
            Outcome::Passed
        }
        (Ok(Verdict { code: 0, .. }), Expect::PassTelling(told)) => {
            let silent = |words: &&&str| !log.iter().any(|line| line.contains(**words));
            match told.iter().find(silent) {
                None => Outcome::Passed,
                Some(words) => Outcome::Failed(format!("it passed without saying `{words}`")),
            }
        }
        (Err(Failure::Message(why)), Expect::Refusal(words)) if why.contains(words) => {
            Outcome::Passed
        }
        (Ok(Verdict { code: 1.., .. }), Expect::Fail(words)) => {
            if log.iter().any(|line| line.contains(words)) {
                Outcome::Passed
            } else {
                Outcome::Failed(format!("it failed without saying `{words}`"))
            }
        }
        (Ok(_), Expect::Fail(_)) => Outcome::Failed("it has to fail".to_owned()),
        (Ok(_), Expect::Refusal(_)) => Outcome::Failed("it was not refused".to_owned()),
        (Ok(verdict), _) => Outcome::Failed(format!("the verdict is exit code {}", verdict.code)),
        (Err(Failure::Message(why)), _) => Outcome::Failed(why),
    };
    let mut case = Case::new(system.name.as_str(), outcome);
    case.time = started.elapsed();
    if case.failed() {
        case.log = log;
    }
    Ok(case)
}

fn execute(
    project: &Project,
    system: &System,
    row: &Row,
    log: &mut Vec<String>,
) -> failure::Outcome<Verdict> {
    let build = || project.build_to_run_changed(Some(&system.app), |app| system.change.apply(app));
    let mut built = build()?;
    if matches!(system.expect, Expect::PassBuiltOnce) {
        built = build()?;
        let compiled = built.programs.compiled;
        if compiled != 0 {
            let why = format!("nothing changed, and {compiled} crates were compiled again");
            return Err(Failure::new(why));
        }
    }
    if let Some(spoil) = system.spoil {
        spoil(&mut built)?;
    }
    let folder = project.target.join("test");
    let odd = match system.expect {
        Expect::PassOn(len) => Some(disk::sample(&folder, len)?),
        _ => None,
    };
    let disks = run::drives(project, &built.plan, odd.as_ref())?;
    let digest = match &odd {
        // Not from the file that the emulator reads: what the tool makes of the user's file is on trial.
        Some(file) => Some(padded(file)?),
        None => run::watched(&built.plan, &disks.drives).map(Digest::start),
    };
    let own = system.extra.iter().map(|word| (*word).to_owned());
    let options = Options {
        qemu: row.qemu.clone(),
        timeout: system.limit,
        extra: row.arguments.iter().cloned().chain(own).collect(),
        changes: match system.difference {
            Some((difference, refuses)) => difference.changes(&built.plan, refuses)?,
            None => Vec::new(),
        },
    };
    let mut watch = Watch::new(&built.plan);
    let end = run::run(&built, &disks.drives, &options, |line| {
        watch.see(line);
        let task = line.task.as_deref().unwrap_or("kernel");
        log.push(format!("{task}  {}", line.text));
    })?;
    // What passes has said so: words that are lost are the ones that a failure would be told in.
    // Where other words are expected, those are looked for.
    let passes = matches!(system.expect, Expect::Pass | Expect::PassOn(_));
    let awaited = built.plan.app.tasks.iter().any(|task| task.verdict);
    if passes && awaited && watch.spoken().is_none() && end == End::Exit(0) {
        return Err(Failure::new("it passed without a word of its verdict"));
    }
    watch.verdict(&end, digest)
}

/// The digest of a file's bytes and the zeros up to the sector's end.
fn padded(file: &Path) -> failure::Outcome<Digest> {
    let mut bytes =
        std::fs::read(file).map_err(Failure::when(format!("cannot read {}", file.display())))?;
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    Ok(Digest::of_bytes(bytes))
}
