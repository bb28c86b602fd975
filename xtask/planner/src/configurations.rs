//! `tests/data/configs`: one file for each mistake, with the diagnostic it must give beside it.

use std::path::Path;

use crate::planning::Plan;
use crate::project::Project;
use crate::read::{self, Parameter};
use crate::report::Report;

/// The diagnostics of reading, planning and the demands of an image for
/// `tests/data/configs/NAME.toml`.
fn diagnose(root: &Path, file: &Path) -> String {
    let project = Project::at(root.to_path_buf());
    let report = Report::default();
    let plan = read::load(&report, &project, file).and_then(|app| Plan::new(&report, app));
    let plan = plan.and_then(|plan| {
        plan.check_buildable(&report)?;
        plan.check_runnable(&report)
    });
    let outcome = if plan.is_ok() { "accepted\n" } else { "" };
    let text = format!("{}{outcome}", report.text());
    text.replace(&format!("{}/", root.display()), "")
}

/// Each file with a mistake gives the text beside it. With `BLESS=1` the expectations are written instead of
/// compared; the difference is then reviewed.
#[test]
fn every_mistake_gives_its_diagnostic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let folder = root.join("tests/data/configs");
    let mut cases: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    cases.sort();
    assert!(cases.len() >= 100, "cases are missing");
    let mut wrong = Vec::new();
    for case in cases {
        let found = diagnose(&root, &case);
        assert_ne!(found, "accepted\n", "{} is no mistake", case.display());
        let diagnostics = found.trim_end_matches("accepted\n").split("\n\n");
        for diagnostic in diagnostics.filter(|text| !text.trim().is_empty()) {
            let has = |what: &str| diagnostic.contains(what);
            let code = has("error[P") || has("warning[P");
            assert!(
                code && has("┌─ ") && has("= remedy: "),
                "{}:\n{diagnostic}",
                case.display()
            );
        }
        let expectation = case.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&expectation, &found).unwrap();
        }
        if std::fs::read_to_string(&expectation).unwrap_or_default() != found {
            wrong.push(format!("{}:\n{found}", case.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The text of a file three folders down, as `read::from_text` takes it: as if it lay in the root. Its `include` is not
/// found otherwise, and nothing behind that is read.
fn text_at_root(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    text.replace("../../../", "")
}

/// A file may say already that a task is on core 0, and is then the same system.
#[test]
fn core_0_is_where_a_task_is_anyway() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let file = root.join("tests/data/configs/core-not-yet.toml");
    let text = text_at_root(&file);
    let project = Project::at(root);
    for line in ["", "core = 0\n"] {
        let report = Report::default();
        let text = text.replace("core = 1\n", line);
        let app = read::from_text(&report, &project, &file, text);
        let app = app.unwrap_or_else(|_| panic!("{}", report.text()));
        assert!(app.tasks.iter().all(|task| task.core == 0));
        assert_eq!(app.cores().into_iter().collect::<Vec<_>>(), [0]);
    }
}

/// The place of the first byte that is of no character, in a file of another encoding and in one that begins so.
#[test]
fn what_is_not_utf_8_is_told_with_its_place() {
    let file = std::env::temp_dir().join(format!("portcullis-{}.toml", std::process::id()));
    let said = [b"name = \"caf\xe9\"\n".as_slice(), b"\xff\xfen\0"].map(|bytes| {
        std::fs::write(&file, bytes).unwrap();
        diagnose(Path::new("/nowhere"), &file)
    });
    std::fs::remove_file(&file).unwrap();
    for (text, place) in said.iter().zip([".toml:1:12\n", ".toml:1:1\n"]) {
        assert!(
            text.starts_with("error[P0001]: this is not UTF-8"),
            "{text}"
        );
        assert!(text.contains(place), "{text}");
        assert!(text.contains("= remedy: save the file as UTF-8"), "{text}");
    }
}

/// The numbers worked out by hand in `tests/systems/topologies`, which the prober compares with the machine, are the
/// plan's too: the requester id, and the StreamID behind the last bridge that puts its own in place.
#[test]
fn the_topologies_are_planned_as_worked_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let project = Project::at(root);
    let folder = project.root.join("tests/systems/topologies");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        // What the runs have to come to is no system.
        let system = file.extension().is_some_and(|kind| kind == "toml")
            && file.file_name().is_none_or(|name| name != "expect.toml");
        if !system {
            continue;
        }
        let report = Report::default();
        let app = read::load(&report, &project, &file).and_then(|app| Plan::new(&report, app));
        let plan = app.unwrap_or_else(|_| panic!("{}", report.text()));
        let (_, task) = plan.app.task("prober").unwrap();
        let functions = plan.fabric.functions.iter().zip(&plan.domains.devices);
        for (function, device) in functions {
            if !task.drives.iter().any(|name| name.value == function.name) {
                continue;
            }
            let stream = device.streams.last().copied().unwrap();
            for (what, planned) in [("requester", function.rid().into()), ("stream", stream)] {
                let name = format!("{what}-{}", function.name);
                let by_hand = task.parameters.iter().find(|(key, _)| key.value == name);
                let by_hand = by_hand.map(|(_, value)| &value.value);
                assert!(
                    matches!(by_hand, Some(Parameter::Number(number)) if *number == u64::from(planned)),
                    "{}: {name} is planned as {planned:#x}, but {by_hand:x?}",
                    file.display()
                );
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 48, "devices are missing");
}

/// `docs/reference/app.md` has every key that the reader asks a table for, and no row for one it does not know.
#[test]
fn the_reference_has_every_key() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../../docs/reference/app.md")).unwrap();
    let mut asked = std::collections::BTreeSet::new();
    // Below `fields` keys are passed on, not asked for.
    for entry in std::fs::read_dir(root.join("src/read")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            asked.extend(keys(&std::fs::read_to_string(path).unwrap()));
        }
    }
    assert!(asked.len() > 80, "keys of the reader: {asked:?}");
    let missing: Vec<&String> = asked
        .iter()
        // Of sys/platform/devices.toml.
        .filter(|key| *key != "name" && !word(&text, key))
        .collect();
    assert!(missing.is_empty(), "not in app.md: {missing:?}");
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let unknown: Vec<&str> = rows
        .map(|(key, _)| key)
        .filter(|key| !asked.contains(*key))
        .collect();
    assert!(unknown.is_empty(), "only in app.md: {unknown:?}");
}

/// The first string of every call that asks for a key.
fn keys(source: &str) -> Vec<String> {
    const ASKS: [&str; 27] = [
        "required(",
        "flag(",
        "string(",
        "line(",
        "boolean(",
        "integer(",
        "word(",
        "parsed(",
        "size(",
        "duration(",
        "choice(",
        "strings(",
        "names(",
        "pair(",
        "table(",
        "tables(",
        "entries(",
        "numbers(",
        "rows(",
        "read_sizes(&fields, ",
        "read_sizes(fields, ",
        "read_window(&fields, ",
        "part(",
        "at_least(",
        "time(",
        "read_parts(&fields, ",
        "not_yet(",
    ];
    let mut found = Vec::new();
    for ask in ASKS {
        for (at, _) in source.match_indices(ask) {
            let rest = source[at + ask.len()..].trim_start();
            if let Some(rest) = rest.strip_prefix('"')
                && let Some((key, _)) = rest.split_once('"')
                && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
            {
                found.push(key.to_owned());
            }
        }
    }
    found
}

/// Whether the text has `key` as a word of its own inside code.
fn word(text: &str, key: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-';
    text.match_indices(key).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + key.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// Any text gets a report, never a panic: cases and systems with bytes, lines and words changed at random.
#[test]
fn no_text_panics() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let mut files: Vec<_> = [
        "tests/data/configs",
        "tests/systems/topologies",
        "tests/systems/alias",
        "docs/mailing-list",
        ".",
    ]
    .into_iter()
    .flat_map(|folder| std::fs::read_dir(root.join(folder)).unwrap())
    .map(|entry| entry.unwrap().path())
    .filter(|path| path.extension().is_some_and(|kind| kind == "toml"))
    .collect();
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| text_at_root(file)).collect();
    let words: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split_whitespace())
        .collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    let project = Project::at(root);
    let mut random = oorandom::Rand32::new(0x0707_7c01);
    for round in 0..ROUNDS {
        let index = random.rand_range(0..texts.len() as u32) as usize;
        let mut text = texts[index].clone();
        for _ in 0..=random.rand_range(0..4) {
            mutate(&mut random, &mut text, &words, &lines);
        }
        let report = Report::default();
        let name = Path::new("mutated.toml");
        let app = read::from_text(&report, &project, name, text.clone());
        let planned = app.and_then(|app| Plan::new(&report, app));
        if planned.is_err() {
            assert!(
                report.errors() > 0,
                "round {round}: refused without a word:\n{text}"
            );
        }
        assert!(
            report.text().len() < 1 << 20,
            "round {round}: a flood of words"
        );
    }
}

/// Changed texts; each is read and solved, which takes a few milliseconds.
const ROUNDS: u32 = 1500;

fn mutate(random: &mut oorandom::Rand32, text: &mut String, words: &[&str], lines: &[&str]) {
    let mut pick = |count: usize| random.rand_range(0..count.max(1) as u32) as usize;
    let mut own: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = pick(own.len());
    match pick(6) {
        0 => {
            own.insert(at, lines[pick(lines.len())].to_owned());
        }
        1 if !own.is_empty() => drop(own.remove(at)),
        2 if !own.is_empty() => {
            let other = pick(own.len());
            own.swap(at, other);
        }
        3 if !own.is_empty() => {
            let mut parts: Vec<&str> = own[at].split(' ').collect();
            let part = pick(parts.len());
            parts[part] = words[pick(words.len())];
            own[at] = parts.join(" ");
        }
        4 if !own.is_empty() => {
            let mut characters: Vec<char> = own[at].chars().collect();
            let place = pick(characters.len() + 1);
            let odd = [
                '"', '[', ']', '{', '}', '=', '0', '-', '.', '\u{0}', 'é', '\u{2028}',
            ];
            characters.insert(place.min(characters.len()), odd[pick(odd.len())]);
            own[at] = characters.into_iter().collect();
        }
        _ => own.truncate(at),
    }
    *text = own.join("\n");
}

/// A machine with more functions than an image serves can be planned: what nobody drives needs nothing. What an image has
/// no room for is said where one is to be built.
#[test]
fn a_machine_of_many_functions_can_be_planned() {
    use std::fmt::Write;
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap();
    let project = Project::at(root);
    let file = project.root.join("tests/data/configs/many-devices.toml");
    for (ports, builds) in [(7, true), (8, false), (16, false), (31, false)] {
        let mut text = String::from(
            "name = \"case\"\nplatform = \"qemu-virt\"\ninclude = \"task/servers.toml\"\n\
             [tasks.disk]\ncrate = \"drv/edu\"\npriority = 5\ncalls = [\"pci\", \"iommu\"]\ndrives = [\"d1-0\"]\n\
             dma-pool = \"16 KiB\"\n[iommu]\nunowned = \"block\"\n",
        );
        for port in 1..=ports {
            writeln!(
                text,
                "[pci.p{port}]\nkind = \"root-port\"\nslot = \"{port}\"\nacs = true"
            )
            .unwrap();
            for number in 0..8 {
                let (id, rest) = match (port, number) {
                    (1, 0) => ("1234:11e8", "quiesce = \"flr\""),
                    _ => ("15b3:101d", "bars.0 = { size = \"unknown\" }"),
                };
                let at = format!("at = \"p{port}\"\nslot = \"0.{number}\"");
                writeln!(
                    text,
                    "[devices.d{port}-{number}]\n{at}\nid = \"{id}\"\n{rest}"
                )
                .unwrap();
            }
        }
        let report = Report::default();
        let app = read::from_text(&report, &project, &file, text);
        let plan = app.and_then(|app| Plan::new(&report, app));
        let plan = plan.unwrap_or_else(|_| panic!("{ports}: {}", report.text()));
        assert_eq!(plan.fabric.functions.len(), 1 + 9 * ports);
        assert_eq!(
            plan.check_buildable(&report).is_ok(),
            builds,
            "{}",
            report.text()
        );
        assert_eq!(
            report.text().contains("error[P0022]"),
            !builds,
            "{}",
            report.text()
        );
    }
}

/// `docs/reference/app.md` has every limit, with its number.
#[test]
fn the_reference_has_every_limit() {
    use plan::limits::{
        DEVICES_MAX, DOMAINS_MAX, FUNCTIONS_MAX, HOLDS_MAX, LENT_POOLS_MAX, MAPPED_LEASES_MAX,
        MEMBERS_MAX, MESSAGES_MAX, PARTED_MAX, PINS_MAX, PREMAPPED_MAX, SMMUS_MAX, STREAMS_MAX,
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("../../docs/reference/app.md")).unwrap();
    let limits = [
        ("tasks", abi::TASKS_MAX),
        ("SMMUs", SMMUS_MAX),
        ("devices, bridges included", DEVICES_MAX),
        ("domains", DOMAINS_MAX),
        ("streams", STREAMS_MAX),
        ("devices in one domain", MEMBERS_MAX),
        ("premapped ranges", PREMAPPED_MAX),
        ("leases mapped at once", MAPPED_LEASES_MAX),
        ("pools lent as a whole", LENT_POOLS_MAX),
        ("pages that wait for a flush", PARTED_MAX),
        ("functions", FUNCTIONS_MAX),
        ("message interrupts", MESSAGES_MAX),
        ("holds", HOLDS_MAX),
        ("pinned leases", PINS_MAX),
    ];
    for (what, most) in limits {
        assert!(
            text.contains(&format!("\n| {what} | {most} | ")),
            "{what} {most}"
        );
    }
    let limits_of = std::fs::read_to_string(root.join("../../sys/plan/src/limits.rs")).unwrap();
    // Three constants are about numbers of interrupts, one of which is no more there; tasks are counted elsewhere.
    assert_eq!(limits_of.matches("pub const").count(), limits.len() + 2);
}
