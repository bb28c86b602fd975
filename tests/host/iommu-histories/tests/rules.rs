//! The table of rules, the clauses of the model, the seeded faults and the tests name each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use iommu_histories::mutants;
use smmu_model::rig::steps::STEPS;

const TABLE: &str = include_str!("../../../../docs/reference/smmu-rules.md");
const LIBERTIES: &str = include_str!("../../smmu-model/tests/liberties.rs");

/// Rule, and what its last column names: mutants, tests.
fn rows() -> Vec<(String, BTreeSet<String>, BTreeSet<String>)> {
    let rows = TABLE
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id"));
    rows.map(|line| {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        assert_eq!(cells.len(), 6, "{line}");
        let quoted = |quote: char| {
            let names = cells[5].split(',').map(str::trim);
            let names = names.filter(|name| name.starts_with(quote) && name.ends_with(quote));
            names
                .map(|name| name.trim_matches(quote).to_owned())
                .collect()
        };
        (cells[0].to_owned(), quoted('`'), quoted('*'))
    })
    .collect()
}

/// Name and rules of every mutant, those of the small driver too.
fn faults() -> BTreeMap<&'static str, &'static str> {
    let of_server = mutants::all().map(|mutant| (mutant.name, mutant.rule));
    let of_driver = STEPS.iter().map(|step| (step.name, step.rule));
    of_server.chain(of_driver).collect()
}

/// The model's and the harness's source by module, and the tests by path.
fn sources() -> BTreeMap<String, String> {
    fn read(folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let module = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(&path).unwrap();
                found.entry(module).or_default().push_str(&text);
            }
        }
    }
    let mut found = BTreeMap::new();
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    read(&own.join("src"), &mut found);
    read(&own.join("../smmu-model/src"), &mut found);
    found
}

/// Whether some line of `text` begins, but for its visibility, with one of `beginnings`.
fn defines(text: &str, beginnings: &[String]) -> bool {
    text.lines().any(|line| {
        let line = line.trim_start();
        let line = ["pub(crate) ", "pub(super) ", "pub "]
            .iter()
            .find_map(|visibility| line.strip_prefix(visibility))
            .unwrap_or(line);
        let line = line
            .strip_prefix("const ")
            .filter(|rest| rest.starts_with("fn "))
            .unwrap_or(line);
        beginnings
            .iter()
            .any(|beginning| line.starts_with(beginning.as_str()))
    })
}

/// Whether something is defined that a clause names: a module, an item of a module, a type, or a function, a
/// field or a constant of a type.
fn is_defined(clause: &str, sources: &BTreeMap<String, String>) -> bool {
    if clause.ends_with(".rs") {
        // A path from the project's root, as in all pages.
        let mut folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
        return folders.any(|folder| folder.join("docs").exists() && folder.join(clause).exists());
    }
    let item = |name: &str| {
        let functions = ["(", "<"].map(|end| format!("fn {name}{end}"));
        let others = [format!("const {name}:"), format!("{name}:")];
        let types = ["struct", "enum"].map(|kind| format!("{kind} {name} {{"));
        functions
            .into_iter()
            .chain(others)
            .chain(types)
            .collect::<Vec<_>>()
    };
    let Some((of, name)) = clause.split_once("::") else {
        return sources.contains_key(clause)
            || sources.values().any(|text| defines(text, &item(clause)));
    };
    if let Some(module) = sources.get(of) {
        return defines(module, &item(name));
    }
    // An `impl` of a type may be in any module.
    let of_type = |line: &str| {
        let begins = ["impl", "pub struct", "pub enum", "struct"];
        begins.iter().any(|beginning| line.starts_with(beginning))
            && line.split([' ', '<']).any(|word| word == of)
    };
    sources
        .values()
        .any(|text| text.lines().any(of_type) && defines(text, &item(name)))
}

#[test]
fn every_rule_has_a_clause_of_the_model() {
    let sources = sources();
    let rows = TABLE
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| id"));
    let mut wrong = Vec::new();
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let clauses: Vec<&str> = cells[4].split('`').skip(1).step_by(2).collect();
        if clauses.is_empty() {
            wrong.push(format!("{} names no clause", cells[0]));
        }
        let undefined = clauses
            .iter()
            .filter(|clause| !is_defined(clause, &sources));
        wrong.extend(
            undefined.map(|clause| format!("{} names {clause}, which is nowhere", cells[0])),
        );
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_rule_has_a_caught_fault() {
    let known: BTreeSet<&str> = faults().into_keys().collect();
    for (rule, mutants, tests) in rows() {
        assert!(
            !mutants.is_empty() || !tests.is_empty(),
            "{rule} has no fault"
        );
        for mutant in &mutants {
            assert!(known.contains(mutant.as_str()), "{rule} names {mutant}");
        }
        for test in &tests {
            assert!(
                LIBERTIES.contains(&format!("fn {test}()")),
                "{rule} names {test}"
            );
        }
    }
}

#[test]
fn every_fault_is_in_the_table() {
    let rows = rows();
    for (name, rule) in faults() {
        let of_rule = |(_, mutants, _): &&(String, BTreeSet<String>, BTreeSet<String>)| {
            mutants.contains(name)
        };
        let rules: Vec<&str> = rows
            .iter()
            .filter(of_rule)
            .map(|(rule, _, _)| rule.as_str())
            .collect();
        assert_eq!(rules.join(", "), rule, "{name}");
    }
}
