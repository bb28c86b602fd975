//! Systems are found, named and judged as their `expect.toml` says.

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
    let own =
        |table: &str| table.is_empty() || table == "[tasks.iommu]" || table.starts_with("[pci.");
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
