//! `docs/reference/plan-json.md` against what is written: every key is there, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::json;
use planner::planning::Plan;
use planner::project::Project;
use planner::read;
use planner::report::Report;

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// The demo, a platform device, and every shape of fabric.
fn plans() -> Vec<(PathBuf, Value)> {
    let mut files = vec![
        root().join("app.toml"),
        root().join("tests/systems/non-pci/app.toml"),
    ];
    let shapes = std::fs::read_dir(root().join("tests/systems/topologies")).unwrap();
    files.extend(shapes.map(|entry| entry.unwrap().path()).filter(|path| {
        let is_toml = path
            .extension()
            .is_some_and(|extension| extension == "toml");
        // What a run of them must come to is no fabric.
        is_toml && path.file_name().is_some_and(|name| name != "expect.toml")
    }));
    let plan = |file: &Path| {
        let report = Report::default();
        let project = Project::at(root());
        let app = read::load(&report, &project, file);
        let plan = app.and_then(|app| Plan::new(&report, app));
        let plan = plan.unwrap_or_else(|_| panic!("{}", report.text()));
        serde_json::from_str(&json(&plan, None)).unwrap()
    };
    files
        .iter()
        .map(|file| (file.clone(), plan(file)))
        .collect()
}

/// Rows of the table: where a key is (`groups[].edges[]`), and the words in backquotes that explain it.
fn rows() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/reference/plan-json.md")).unwrap();
    let words = |text: &str| -> Vec<String> {
        text.split('`')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    };
    let mut rows = BTreeMap::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let (places, meaning) = line.trim_start_matches('|').split_once('|').unwrap();
        for place in words(places) {
            rows.insert(place, words(meaning).into_iter().collect());
        }
    }
    rows
}

/// Every object in `value`, by where it is; names of devices are no keys.
fn objects(place: &str, value: &Value, found: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Array(list) => {
            for item in list {
                objects(&format!("{place}[]"), item, found);
            }
        }
        Value::Object(map) if place == "reach" => {
            for reach in map.values() {
                objects("reach[]", reach, found);
            }
        }
        Value::Object(map) => {
            let keys = found.entry(place.to_owned()).or_default();
            keys.extend(map.keys().cloned());
            for (key, item) in map {
                let dot = if place.is_empty() { "" } else { "." };
                objects(&format!("{place}{dot}{key}"), item, found);
            }
        }
        _ => {}
    }
}

#[test]
fn every_key_is_documented_and_no_other() {
    let rows = rows();
    let top: BTreeSet<String> = rows
        .keys()
        .filter(|row| !row.contains(['[', '.']))
        .cloned()
        .collect();
    let mut written: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (file, plan) in plans() {
        let keys: BTreeSet<String> = plan.as_object().unwrap().keys().cloned().collect();
        assert_eq!(keys, top, "{}", file.display());
        objects("", &plan, &mut written);
    }
    for (place, keys) in written {
        if place.is_empty() {
            continue;
        }
        // A list is explained in its own row, or in that of the key it is.
        let own = rows
            .get(&place)
            .or_else(|| rows.get(place.trim_end_matches("[]")));
        let explained = own.unwrap_or_else(|| panic!("no row for `{place}`"));
        let missing: Vec<_> = keys.difference(explained).collect();
        assert!(
            missing.is_empty(),
            "`{place}` has {missing:?} beside {explained:?}"
        );
    }
}

/// All keys are spelled as in `app.toml`; names of devices are no keys.
#[test]
fn keys_are_spelled_in_one_way() {
    let mut written = BTreeMap::new();
    for (_, plan) in plans() {
        objects("", &plan, &mut written);
    }
    let is_kebab = |key: &String| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    for (place, keys) in written {
        let odd: Vec<_> = keys.iter().filter(|key| !is_kebab(key)).collect();
        assert!(odd.is_empty(), "`{place}`: {odd:?}");
    }
}

/// The groups of `plan.json` have the keys and types that other tools rely on.
#[test]
fn groups_have_the_promised_form() {
    for (file, plan) in plans() {
        let file = file.display();
        assert_eq!(plan["version"], 4, "{file}");
        for group in plan["groups"].as_array().unwrap() {
            assert!(group["name"].is_string(), "{file}");
            let domain = group["default-domain"].as_str().unwrap();
            assert!(
                ["dma", "identity", "blocked", "mixed"].contains(&domain),
                "{file}"
            );
            assert!(
                group["owners"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .all(|owner| owner["kind"] == "task" && owner["name"].is_string())
            );
            for device in group["devices"].as_array().unwrap() {
                let rid = &device["rid"];
                let of_pci = rid
                    .as_str()
                    .is_some_and(|rid| rid.len() == "0000:01:00.0".len());
                assert!(of_pci || rid.is_null(), "{file}: {rid}");
                let streams = device["streams"].as_array().unwrap();
                assert!(streams.iter().all(Value::is_u64), "{file}");
                assert_eq!(streams.len(), device["smmus"].as_array().unwrap().len());
            }
            let members: BTreeSet<&str> = group["devices"]
                .as_array()
                .unwrap()
                .iter()
                .map(|device| device["name"].as_str().unwrap())
                .collect();
            for edge in group["edges"].as_array().unwrap() {
                let kind = edge["kind"].as_str().unwrap();
                assert!(["alias", "isolation", "reset"].contains(&kind), "{file}");
                for end in ["from", "to"] {
                    assert!(
                        members.contains(edge[end].as_str().unwrap()),
                        "{file}: {edge}"
                    );
                }
                assert!(edge["because"].is_string());
            }
        }
        for set in plan["alias-sets"].as_array().unwrap() {
            assert!(
                set["devices"].is_array() && set["domain"].is_string(),
                "{file}"
            );
        }
        assert!(
            plan["waivers"].is_array() && plan["warnings"].is_array(),
            "{file}"
        );
    }
}
