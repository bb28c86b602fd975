//! ACPI tables of machines and of none, compared with the right answers beside them.

mod iort;
mod malformed;
mod others;

use std::path::{Path, PathBuf};

use import::acpi::{Finding, Tables};
use serde_json::{Map, Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/oracles/acpi")
}

/// The files of a folder as the tool reads them.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let entry = entry.expect("a folder can be listed");
            let name = entry.file_name().into_string().expect("a name is text");
            (
                name,
                std::fs::read(entry.path()).expect("a table can be read"),
            )
        })
        .collect();
    files.sort();
    files
}

fn read(set: &str) -> Result<Tables, Vec<Finding>> {
    import::acpi::read(&files(&folder().join(set)))
}

fn expected(set: &str) -> Value {
    let path = folder().join(set).join("expect.json");
    let text = std::fs::read_to_string(&path).expect("an answer can be read");
    serde_json::from_str(&text).expect("an answer is JSON")
}

/// All sets of good tables.
fn sets() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the sets can be listed");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut sets: Vec<String> = names
        .filter(|name| !name.ends_with(".md") && name != "constructed-malformed")
        .collect();
    sets.sort();
    sets
}

fn hex(value: impl Into<u64>) -> Value {
    json!(format!("{:#x}", value.into()))
}

fn tables(found: &Tables) -> Value {
    let mut all = Map::new();
    for header in &found.headers {
        let mut one = json!({
            "signature": header.signature,
            "length": header.len,
            "revision": header.revision,
            "checksum_ok": header.checksum_right,
            "oem_id": header.oem_id,
            "oem_table_id": header.oem_table_id,
            "oem_revision": hex(header.oem_revision),
        });
        if header.signature == "IORT" {
            one["node_count"] = json!(found.iort.node_count);
            one["node_array_offset"] = json!(found.iort.node_array_offset);
            one["bytes_after_last_node"] = json!(found.iort.bytes_after_last_node);
        }
        all.insert(header.signature.clone(), one);
    }
    Value::Object(all)
}

/// Everything that was read, in the shape of the answers.
fn shown(found: &Tables) -> Map<String, Value> {
    let mut all = Map::new();
    all.insert("tables".into(), tables(found));
    iort::show(&found.iort, &mut all);
    others::show(found, &mut all);
    all.insert("errors".into(), json!([]));
    all
}

/// Keys of an answer that are words about the set, and what Linux made of it, which `planner` compares.
const WORDS: [&str; 8] = [
    "name",
    "machine",
    "origin",
    "real_hardware",
    "options",
    "traps",
    "right",
    "functions",
];

#[test]
fn every_field_of_every_set() {
    let sets = sets();
    assert_eq!(sets.len(), 21);
    for set in sets {
        let found = read(&set).unwrap_or_else(|why| panic!("{set}: {why:?}"));
        let Value::Object(mut right) = expected(&set) else {
            panic!("{set}: no object");
        };
        right.retain(|key, _| !WORDS.contains(&key.as_str()));
        let mut shown = shown(&found);
        // DBG2 is told only where there is no SPCR.
        if right.contains_key("uart") {
            shown.remove("debug_ports");
        }
        for (key, value) in &right {
            let found = shown
                .remove(key)
                .unwrap_or_else(|| panic!("{set}: no {key}"));
            match (value, &found) {
                (Value::Array(value), Value::Array(found)) => {
                    for (index, (right, found)) in value.iter().zip(found).enumerate() {
                        assert_eq!(found, right, "{set}: {key} {index}");
                    }
                    assert_eq!(found.len(), value.len(), "{set}: {key}");
                }
                _ => assert_eq!(&found, value, "{set}: {key}"),
            }
        }
        shown.retain(|_, value| *value != json!([]) && !value.is_null());
        assert!(shown.is_empty(), "{set}: {shown:?}");
    }
}

/// Names of files as Linux and `acpidump -b` give them.
#[test]
fn names_of_files() {
    for (name, signature) in [
        ("IORT", Some("IORT")),
        ("APIC1", Some("APIC")),
        ("iort.dat", Some("IORT")),
        ("facp.dat", Some("FACP")),
        ("dbg22.dat", Some("DBG2")),
        ("SSDT1", None),
        ("dsdt.dat", None),
        ("IORT.dsl", None),
        ("expect.json", None),
    ] {
        assert_eq!(import::acpi::signature(name), signature, "{name}");
    }
}

#[test]
fn two_tables_of_one_signature() {
    let mut files = files(&folder().join("q111-virt-none"));
    let at = files.iter().position(|file| file.0 == "IORT").unwrap();
    let mut second = files[at].clone();
    second.0 = "iort1.dat".into();
    files.push(second.clone());
    assert!(import::acpi::read(&files).is_ok(), "the same table twice");
    let other = self::files(&folder().join("q111-virt-two-smmuv3"));
    second.1 = other.into_iter().find(|file| file.0 == "IORT").unwrap().1;
    *files.last_mut().unwrap() = second;
    let errors = import::acpi::read(&files).unwrap_err();
    let text = errors[0].to_string();
    assert!(
        text.contains("IORT and iort1.dat are two different"),
        "{text}"
    );
}

#[test]
fn a_folder_without_an_iort() {
    let mut files = files(&folder().join("q111-virt-none"));
    files.retain(|file| file.0 != "IORT");
    let errors = import::acpi::read(&files).unwrap_err();
    assert!(
        errors[0]
            .to_string()
            .starts_with("IORT: there is no such table")
    );
    assert!(import::acpi::read(&[]).is_err());
}
