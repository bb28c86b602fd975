//! Plans that differ, and what is said of it.

use std::path::{Path, PathBuf};

use super::compare::PLACED;
use super::*;
use planner::project::Project;
use planner::read;
use planner::report::Report;

const SAME: &str = "no device reaches anything else than before\n";

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

fn plan(text: &str) -> Plan {
    let report = Report::default();
    let project = Project::at(root());
    let app = read::from_text(&report, &project, "app.toml".as_ref(), text.to_owned());
    app.and_then(|app| Plan::new(&report, app))
        .unwrap_or_else(|_| panic!("{}", report.text()))
}

fn demo() -> String {
    std::fs::read_to_string(root().join("app.toml")).unwrap()
}

fn differences(old: &str, new: &str) -> String {
    let json = crate::show::json(&plan(old), None);
    diff(&json, &plan(new)).unwrap_or_else(|why| panic!("{why:?}"))
}

/// The lines about reach.
fn reach(old: &str, new: &str) -> Vec<String> {
    let text = differences(old, new);
    let lines = text.lines().filter(|line| !line.starts_with('~'));
    lines.map(str::to_owned).collect()
}

#[test]
fn a_client_that_may_lend_is_a_difference() {
    let with = demo();
    let without = with.replace(r#"["supervisor", "virtio-blk"]"#, r#"["supervisor"]"#);
    assert_eq!(differences(&with, &with), SAME);
    assert_eq!(
        reach(&without, &with),
        [
            "+ disk0: reaches up to 64 lent buffers at once, before 0",
            "+ disk0: can now reach buffers that `digest` lends"
        ]
    );
    assert_eq!(
        reach(&with, &without),
        [
            "- disk0: reaches up to 0 lent buffers at once, before 64",
            "- disk0: can no longer reach buffers that `digest` lends"
        ]
    );
}

#[test]
fn a_pool_that_grew_is_a_difference() {
    let old = demo();
    let new = old.replacen("dma-pool = \"256 KiB\"", "dma-pool = \"512 KiB\"", 1);
    assert_eq!(
        reach(&old, &new),
        ["+ disk0: reaches 512 KiB of pool `pool` of `virtio-blk`, before 256 KiB"]
    );
    assert_eq!(
        reach(&new, &old),
        ["- disk0: reaches 256 KiB of pool `pool` of `virtio-blk`, before 512 KiB"]
    );
}

#[test]
fn a_lazy_domain_is_a_difference() {
    let strict = demo();
    let with = |value: &str| {
        let device = "[devices.edu0]\n";
        assert!(strict.contains(device));
        strict.replace(device, &format!("{device}invalidation = {value}\n"))
    };
    let lazy = with("\"lazy\"");
    assert_eq!(
        reach(&strict, &lazy),
        ["+ edu0: now reaches 64 unmapped pages for up to 10 ms"]
    );
    assert_eq!(
        reach(&lazy, &strict),
        ["- edu0: no longer reaches 64 unmapped pages for up to 10 ms"]
    );
    // What is more in one way is more, whatever it is in the other.
    for (value, line) in [
        (
            "{ pages = 65 }",
            "+ edu0: reaches 65 unmapped pages for up to 10 ms",
        ),
        (
            "{ pages = 8, within = \"1 s\" }",
            "+ edu0: reaches 8 unmapped pages for up to 1 s",
        ),
        (
            "{ pages = 8 }",
            "- edu0: reaches 8 unmapped pages for up to 10 ms",
        ),
        (
            "{ within = \"9 ms\" }",
            "- edu0: reaches 64 unmapped pages for up to 9 ms",
        ),
    ] {
        let other = with(&format!("{{ lazy = {value} }}"));
        let before = ", before 64 unmapped pages for up to 10 ms";
        assert_eq!(reach(&lazy, &other), [format!("{line}{before}")]);
    }
    // The bounds of the word alone.
    let usual = with("{ lazy = {} }");
    assert_eq!(differences(&lazy, &usual), SAME);
}

#[test]
fn a_watcher_is_a_difference() {
    let old = demo();
    let digest = "[tasks.digest]\n";
    let driver = "drives = [\"disk0\"]\n";
    assert!(old.contains(digest) && old.contains(driver));
    let new = old
        .replace(digest, "[tasks.digest]\nwatches = [\"disk0\"]\n")
        .replace(driver, "drives = [\"disk0\"]\ntrusts = [\"digest\"]\n");
    assert_eq!(
        reach(&old, &new),
        ["+ disk0: `digest` now has its registers (watches)"]
    );
}

/// The ids that a device may use, the port that checks them, and whom they lead to.
#[test]
fn ids_of_others_are_a_difference() {
    let ids = |first: u8, last: u8, port: Option<&str>, devices: &[&str]| {
        serde_json::json!({
            "segment": 0, "first-bus": first, "last-bus": last, "checked-by": port, "devices": devices,
        })
    };
    let line = |old: Value| {
        let text = with(|plan| plan["reach"]["disk0"]["forges"] = old).unwrap();
        let lines = text.lines().map(str::to_owned);
        lines.collect::<Vec<String>>()
    };
    let now = "any id of bus 0000:01, as `rp1` checks";
    assert_eq!(line(Value::Null), [format!("+ disk0: can now use {now}")]);
    assert_eq!(
        line(ids(1, 4, Some("rp1"), &[])),
        [format!(
            "- disk0: can use {now}, before any id of buses 0000:01 to 0000:04, as `rp1` checks"
        )]
    );
    assert_eq!(
        line(ids(2, 2, Some("rp1"), &[])),
        [format!(
            "+ disk0: can use {now}, before any id of bus 0000:02, as `rp1` checks"
        )]
    );
    assert_eq!(
        line(ids(0, 255, None, &["edu0"])),
        [
            format!("- disk0: can use {now}, before any id of segment 0, as no port checks them"),
            "- disk0: can no longer reach under its id what is mapped for `edu0`".to_owned(),
        ]
    );
}

/// What no address of the plan's own shows before programs are placed.
#[test]
fn the_board_and_parameters_are_compared_without_addresses() {
    let text = with(|old| {
        let board = &mut old["board"];
        board["ram"]["base"] = "0x80000000".into();
        board["ram"]["bytes"] = 1.into();
        board["interrupt-controller"]["distributor"] = "0x1000".into();
        for block in board["registers"].as_array_mut().unwrap() {
            block["base"] = "0x2000".into();
        }
        for task in old["tasks"].as_array_mut().unwrap() {
            task["parameters"] = serde_json::json!([
                {"name": "address", "is": "number", "of": null, "number": 1}
            ]);
        }
    })
    .unwrap();
    for line in [
        "~ board.ram.base: \"0x80000000\" becomes ",
        "~ board.ram.bytes: 1 becomes ",
        "~ board.interrupt-controller.distributor: \"0x1000\" becomes ",
        "~ board.registers[uart].base: \"0x2000\" becomes ",
        "~ board.registers[smmu].base: \"0x2000\" becomes ",
        "~ board.registers[pci].base: \"0x2000\" becomes ",
        "~ tasks[digest].parameters[address] is gone: ",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
}

#[test]
fn another_budget_is_a_difference() {
    let old = demo();
    assert!(old.contains("budget = \"3 ms per 10 ms\"\n"));
    let time = |with: &str| {
        let new = old.replace("budget = \"3 ms per 10 ms\"\n", with);
        let lines = |text: String| {
            let told = text
                .lines()
                .filter(|line| line.contains("of processor time"));
            let all: Vec<String> = told
                .filter(|line| line.contains("digest"))
                .map(str::to_owned)
                .collect();
            all.join("\n")
        };
        [
            lines(differences(&old, &new)),
            lines(differences(&new, &old)),
        ]
    };
    assert_eq!(
        time("budget = \"6 ms per 20 ms\"\n"),
        [
            "+ digest: 6 ms per 20 ms of processor time, before 3 ms per 10 ms",
            "- digest: 3 ms per 10 ms of processor time, before 6 ms per 20 ms"
        ]
    );
    assert_eq!(
        time("budget = \"7 ms per 20 ms\"\n"),
        [
            "+ digest: 7 ms per 20 ms of processor time, before 3 ms per 10 ms",
            "- digest: 3 ms per 10 ms of processor time, before 7 ms per 20 ms"
        ]
    );
    assert_eq!(
        time("trusted-time = true\n"),
        [
            "+ digest: no limit of processor time, before 3 ms per 10 ms",
            "- digest: 3 ms per 10 ms of processor time, before no limit"
        ]
    );
    // However it is written.
    assert_eq!(time("budget = \"3000 us per 10000 us\"\n"), ["", ""]);
}

#[test]
fn a_plan_without_budgets_is_refused() {
    let why = with(|old| drop(old["tasks"][3].as_object_mut().unwrap().remove("budget")));
    assert!(
        why.unwrap_err()
            .to_string()
            .contains("`tasks`: missing field `budget`")
    );
}

/// A plan as JSON, changed by `change`, compared with the same plan.
fn with(change: impl FnOnce(&mut Value)) -> Result<String, Unreadable> {
    let plan = plan(&demo());
    let mut old: Value = serde_json::from_str(&crate::show::json(&plan, None)).unwrap();
    change(&mut old);
    diff(&old.to_string(), &plan)
}

#[test]
fn a_plan_of_another_version_is_refused_with_what_to_do() {
    let why = with(|old| old["version"] = 1.into()).unwrap_err();
    assert!(matches!(why, Unreadable::OlderVersion(1)), "{why}");
    let text = why.to_string();
    assert!(text.contains("plan the app.toml of then"), "{text}");
    let why = with(|old| old["version"] = 5.into()).unwrap_err();
    assert!(matches!(why, Unreadable::NewerVersion(5)), "{why}");
    let why = with(|old| drop(old.as_object_mut().unwrap().remove("version"))).unwrap_err();
    assert!(matches!(why, Unreadable::NoVersion), "{why}");
    let why = diff("name: demo", &plan(&demo())).unwrap_err();
    assert!(matches!(why, Unreadable::NotJson(_)), "{why}");
}

/// A key that is missing is no empty one: the device would seem to have reached nothing.
#[test]
fn a_plan_without_a_key_of_its_version_is_refused() {
    for key in TOLD {
        let why = with(|old| {
            let reach = old["reach"]["disk0"].as_object_mut().unwrap();
            reach.remove(key).unwrap();
        });
        let text = why.unwrap_err().to_string();
        assert!(
            text.contains("reach.disk0") && text.contains(key),
            "{key}: {text}"
        );
    }
    for key in ["reach", "registers"] {
        let why = with(|old| drop(old.as_object_mut().unwrap().remove(key).unwrap()));
        let text = why.unwrap_err().to_string();
        assert!(text.contains(&format!("`{key}`: it is missing")), "{text}");
    }
}

/// What has no meaning yet is compared all the same: a later tool fills it.
#[test]
fn names_that_are_kept_for_later_are_compared() {
    let text = with(|old| {
        old["cores"] = vec![0, 1].into();
        old["guests"] = serde_json::json!([{"name": "linux"}]);
        old["tasks"][0]["core"] = 1.into();
        old["interrupts"][0]["target"] = 1.into();
        old["domains"][0]["stage"] = 2.into();
        old["functions"][0]["owner"] = serde_json::json!({"kind": "guest", "name": "linux"});
        let owner = &mut old["reach"]["disk0"]["owners"][0];
        owner["kind"] = "guest".into();
    })
    .unwrap();
    for line in [
        "+ disk0: can now reach memory of `virtio-blk`",
        "- disk0: can no longer reach memory of `guest virtio-blk`",
        "~ cores: [0,1] becomes [0]",
        "~ guests[linux] is gone",
        "~ tasks[supervisor].core: 1 becomes 0",
        ".target: 1 becomes 0",
        ".stage: 2 becomes 1",
        ".owner: {\"kind\":\"guest\",\"name\":\"linux\"} becomes ",
    ] {
        assert!(text.contains(line), "{line}:\n{text}");
    }
}

/// Every leaf of a document: its path, and another value.
fn changes(value: &Value, path: &str, found: &mut Vec<(String, Value)>) {
    match value {
        Value::Array(list) => {
            for (index, item) in list.iter().enumerate() {
                changes(item, &format!("{path}/{index}"), found);
            }
        }
        Value::Object(map) => {
            for (key, item) in map {
                changes(item, &format!("{path}/{key}"), found);
            }
        }
        // What is not placed yet is null, and no difference.
        Value::Null if PLACED.iter().any(|key| path.ends_with(&format!("/{key}"))) => {}
        Value::Null => found.push((path.to_owned(), "x".into())),
        Value::Number(number) => {
            let other = number.as_u64().unwrap() + 1;
            found.push((path.to_owned(), other.into()));
        }
        Value::Bool(flag) => found.push((path.to_owned(), (!flag).into())),
        Value::String(text) => found.push((path.to_owned(), format!("{text}x").into())),
    }
}

/// Whatever the report says, a change of it is told, or the file is refused: in the demo, and where there are platform
/// devices, direct regions, identity domains, premapped pools, waivers and a bypass.
#[test]
fn no_change_of_any_word_is_silent() {
    let mut changed = 0;
    for file in [
        "app.toml",
        "tests/systems/non-pci/app.toml",
        "tests/suites/iommu/app.toml",
        "tests/systems/premapped/app.toml",
        "tests/systems/bypass/app.toml",
        "tests/systems/alias/app.toml",
    ] {
        let report = Report::default();
        let project = Project::at(root());
        let app = read::load(&report, &project, &root().join(file));
        let plan = app.and_then(|app| Plan::new(&report, app));
        let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
        let new: Value = serde_json::from_str(&crate::show::json(&plan, None)).unwrap();
        assert_eq!(compared(&new, &new).unwrap(), SAME);
        let mut all = Vec::new();
        changes(&new, "", &mut all);
        for (path, other) in &all {
            let mut old = new.clone();
            *old.pointer_mut(path).unwrap() = other.clone();
            let said = parse(&old.to_string()).and_then(|old| compared(&old, &new));
            assert!(said.is_err() || said.unwrap() != SAME, "{file}: {path}");
        }
        changed += all.len();
    }
    assert!(changed > 2000, "{changed} words");
}

/// Keys that are gone, and values of another type, are no plan of nothing.
#[test]
fn what_is_malformed_is_refused() {
    let plan = plan(&demo());
    let whole: Value = serde_json::from_str(&crate::show::json(&plan, None)).unwrap();
    for (path, value) in [
        ("/registers", Value::Null),
        ("/registers/0", Value::from(1)),
        ("/registers/0/task", Value::Null),
        ("/reach/disk0/pins", Value::from("64")),
        ("/reach/disk0/pins", Value::Null),
        ("/reach/disk0/untranslated", Value::from("yes")),
        ("/reach/disk0/streams", Value::from(256)),
        ("/reach/disk0/streams/0", Value::from("0x100")),
        ("/reach/disk0/pools", Value::from("pool")),
        ("/reach/disk0/pools/0/bytes", Value::from("1")),
    ] {
        let mut old = whole.clone();
        *old.pointer_mut(path).unwrap_or_else(|| panic!("no {path}")) = value.clone();
        assert!(diff(&old.to_string(), &plan).is_err(), "{path} is {value}");
    }
}
