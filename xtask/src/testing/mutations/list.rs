//! The changes that cargo-mutants would make, as it lists them.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use planner::failure::{self, Failure};
use serde::Deserialize;

/// A place in a file: line and column, both from 1.
pub type Place = (usize, usize);

/// The kinds of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// One change of the source.
#[derive(Clone, Debug)]
pub struct Change {
    /// As cargo-mutants names it, without the place.
    pub name: String,
    /// The line that it changes, and which of the changes with this name in such a line it is. With the name it stands
    /// for the change in the record, where a number of a line would soon be wrong.
    pub line: String,
    pub ordinal: usize,
    pub genre: Genre,
    pub start: Place,
    pub end: Place,
    pub replacement: String,
    /// As cargo-mutants names it, with the place.
    pub full_name: String,
}

/// The changes of each file.
pub type Changes = BTreeMap<String, Vec<Change>>;

#[derive(Deserialize)]
struct Listed {
    file: String,
    genre: Genre,
    name: String,
    replacement: String,
    span: Span,
}

#[derive(Deserialize)]
struct Span {
    start: LineColumn,
    end: LineColumn,
}

#[derive(Deserialize)]
struct LineColumn {
    line: usize,
    column: usize,
}

/// All changes of a package.
///
/// # Errors
/// If cargo-mutants cannot be run, or says something unknown.
pub fn changes(root: &Path, package: &str) -> failure::Outcome<Changes> {
    let output = Command::new("cargo")
        .args(["mutants", "--package", package, "--list", "--json"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .map_err(Failure::when("cannot run cargo mutants"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(Failure::new(format!("cargo mutants lists nothing: {why}")));
    }
    let listed: Vec<Listed> = serde_json::from_slice(&output.stdout)
        .map_err(Failure::when("cannot read the list of cargo mutants"))?;
    let mut files = Changes::new();
    for listed in listed {
        let file = listed.file.clone();
        files.entry(file).or_default().push(of_listed(listed));
    }
    for (file, changes) in &mut files {
        let file = root.join(file);
        let text = std::fs::read_to_string(&file)
            .map_err(Failure::when(format!("cannot read {}", file.display())))?;
        number(changes, &text);
    }
    Ok(files)
}

fn of_listed(listed: Listed) -> Change {
    let Span { start, end } = listed.span;
    let place = format!("{}:{}:{}: ", listed.file, start.line, start.column);
    let name = listed.name.strip_prefix(&place).unwrap_or(&listed.name);
    Change {
        name: name.to_owned(),
        line: String::new(),
        ordinal: 0,
        genre: listed.genre,
        start: (start.line, start.column),
        end: (end.line, end.column),
        replacement: listed.replacement,
        full_name: listed.name,
    }
}

/// Notes the changed line of each change, and numbers those that would otherwise be the same.
fn number(changes: &mut [Change], text: &str) {
    let lines: Vec<&str> = text.lines().collect();
    let mut seen = BTreeMap::new();
    for change in changes {
        let line = lines.get(change.start.0 - 1).copied().unwrap_or_default();
        change.line = line.trim().to_owned();
        let before = seen.entry((change.name.clone(), change.line.clone()));
        let before: &mut usize = before.or_default();
        *before += 1;
        change.ordinal = *before;
    }
}

#[cfg(test)]
pub fn sample(genre: Genre, start: Place, end: Place, replacement: &str) -> Change {
    Change {
        name: format!("replace with {replacement}"),
        line: String::new(),
        ordinal: 1,
        genre,
        start,
        end,
        replacement: replacement.to_owned(),
        full_name: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_known_by_name_line_and_order() {
        let at = |line, column| sample(Genre::BinaryOperator, (line, column), (line, column), "^");
        let mut changes = [at(1, 3), at(1, 7), at(2, 3), at(3, 3)];
        number(&mut changes, "a | b | c\n  d | e\n  a | b | c\n");
        let known = changes.map(|change| (change.line, change.ordinal));
        let line = "a | b | c".to_owned();
        let other = "d | e".to_owned();
        assert_eq!(
            known,
            [(line.clone(), 1), (line.clone(), 2), (other, 1), (line, 3)]
        );
    }

    #[test]
    fn the_place_is_no_part_of_a_name() {
        let json = r#"{"file": "a.rs", "genre": "UnaryOperator", "name": "a.rs:3:5: delete ! in f",
            "replacement": "", "span": {"start": {"line": 3, "column": 5}, "end": {"line": 3, "column": 6}}}"#;
        let change = of_listed(serde_json::from_str(json).expect("as cargo-mutants writes it"));
        assert_eq!(change.name, "delete ! in f");
        assert_eq!((change.start, change.end), ((3, 5), (3, 6)));
    }
}
