//! Every system of the repository, wherever it is: what lints and tests must not forget.

use std::path::{Component, Path, PathBuf};

use planner::failure::{Failure, Outcome};

/// Folders with systems in them, however deep.
const WHERE: [&str; 2] = ["tests", "docs/guide"];

/// Folders whose files are read by tests, and are no systems to build.
const READ: [&str; 1] = ["tests/data"];

/// The files, sorted: `app.toml` at the root, and in the folders of tests and of the guide every file that declares
/// tasks, whatever it is called and wherever it is.
pub fn files(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut found = vec![root.join("app.toml")];
    let mut folders = Vec::from(WHERE.map(|folder| root.join(folder)));
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            if is_system(&entry) {
                found.push(entry);
            } else if entry.is_dir() && !is_skipped(root, &entry) {
                folders.push(entry);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether nothing below a folder is a system of the repository: data, and what builds leave.
fn is_skipped(root: &Path, folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let is_made = name.starts_with('.') || name == "target";
    is_made || READ.iter().any(|data| folder == root.join(data))
}

/// The entries of a folder, sorted.
pub fn entries(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let cannot = || format!("cannot read {}", folder.display());
    let entries = std::fs::read_dir(folder).map_err(Failure::when(cannot()))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<PathBuf> = paths
        .collect::<Result<_, _>>()
        .map_err(Failure::when(cannot()))?;
    paths.sort();
    Ok(paths)
}

/// A path without `..` behind other parts, so that a file has one name.
pub fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        if part == Component::ParentDir && tidy.file_name().is_some() {
            tidy.pop();
        } else {
            tidy.push(part);
        }
    }
    tidy
}

/// A file that cannot be read as TOML is taken for one if it is called so: its reader says what is wrong.
fn is_system(file: &Path) -> bool {
    if file.extension().is_none_or(|kind| kind != "toml") {
        return false;
    }
    let text = std::fs::read_to_string(file).unwrap_or_default();
    match toml_edit::Document::parse(text) {
        Ok(document) => document.contains_key("tasks"),
        Err(_) => file.file_name().is_some_and(|name| name == "app.toml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_declare_tasks_are_found_by_any_name() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let put = |file: &str, text: &str| {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        let system = "[tasks.one]\n";
        put("docs/guide/first/app.toml", system);
        put("docs/guide/first/Cargo.toml", "[package]\n");
        put("tests/coverage.toml", "[IPC-1]\n");
        put("tests/systems/target/made/app.toml", system);
        put("tests/other/app.toml", system);
        put("tests/data/configs/wrong.toml", system);
        put("tests/systems/shapes/switch.toml", system);
        put("tests/suites/kernel/app.toml", system);
        put("tests/bench/rows/app.toml", system);
        put("tests/systems/shapes/notes.txt", system);
        put("tests/systems/broken/app.toml", "[tasks\n");
        put("tests/systems/shapes/deeper/app.toml", system);
        let found = files(root).unwrap_or_else(|_| panic!("it can be read"));
        let found: Vec<_> = found
            .iter()
            .map(|file| file.strip_prefix(root).unwrap().display().to_string())
            .collect();
        assert_eq!(
            found,
            [
                "app.toml",
                "docs/guide/first/app.toml",
                "tests/bench/rows/app.toml",
                "tests/other/app.toml",
                "tests/suites/kernel/app.toml",
                "tests/systems/broken/app.toml",
                "tests/systems/shapes/deeper/app.toml",
                "tests/systems/shapes/switch.toml"
            ]
        );
    }
}
