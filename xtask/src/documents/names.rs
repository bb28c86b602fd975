//! Paths and tests that pages name.

use std::path::{Path, PathBuf};

use super::lines;
use crate::requirements;
use crate::testing;

/// The folders with which a path of the repository begins.
const FOLDERS: [&str; 8] = [
    "sys", "task", "drv", "xtask", "tests", "docs", ".ci", ".github",
];
/// The beginning of a paragraph of a page that lists tests and nothing else.
const LIST: &str = "Shown by:";

/// Paths of the repository that a text names and that are not there. `*` stands for any one name.
pub fn missing_paths(root: &Path, text: &str) -> Vec<String> {
    let in_a_path = |letter: char| letter.is_ascii_alphanumeric() || "_-./*".contains(letter);
    let words = text.split(|letter| !in_a_path(letter));
    let words = words.map(|word| word.trim_end_matches(['.', '/']));
    let mut missing: Vec<_> = words
        .filter(|word| {
            let first = word.split_once('/').map(|(first, _)| first);
            first.is_some_and(|first| FOLDERS.contains(&first))
        })
        .filter(|word| !exists(root, word))
        .map(|word| format!("there is no `{word}`"))
        .collect();
    missing.sort();
    missing.dedup();
    missing
}

fn exists(root: &Path, path: &str) -> bool {
    let mut found = vec![root.to_owned()];
    for name in path.split('/') {
        let below = |folder: &PathBuf| match name {
            "*" => entries(folder),
            name => vec![folder.join(name)],
        };
        found = found.iter().flat_map(below).collect();
        found.retain(|path| path.exists());
    }
    !found.is_empty()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// All tests that a page may name but those of the host, which are looked for in the sources.
pub struct Tests {
    root: PathBuf,
    on_target: Vec<String>,
}

impl Tests {
    /// The names of the project's tests.
    pub fn all(root: &Path) -> Self {
        let known = "the tables of tests can be read";
        let suites = testing::images(root).unwrap_or_else(|_| panic!("{known}"));
        let cases = suites.iter().flat_map(|suite| {
            let cases = suite.cases().unwrap_or_else(|_| panic!("{known}"));
            let name = |case| format!("{}::{case}", suite.name);
            cases.into_iter().map(move |case| name(case.name))
        });
        let systems = testing::systems(root).unwrap_or_else(|_| panic!("{known}"));
        let systems = systems.into_iter().map(|system| system.name);
        Self {
            root: root.to_owned(),
            on_target: cases.chain(systems).collect(),
        }
    }

    /// Tests that a text names and that are not there, and what stands in a list of tests and is none.
    pub fn complaints(&self, text: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut listing = false;
        for (_, line) in lines(text).iter().filter(|(within, _)| within.is_none()) {
            let begins = line.contains(LIST);
            listing = begins || (listing && !line.is_empty());
            let list = if begins {
                line.split_once(LIST).map_or("", |(_, list)| list)
            } else {
                line
            };
            for span in list.split('`').skip(1).step_by(2) {
                match self.is_test(span) {
                    Some(true) => {}
                    None if !listing => {}
                    _ => wrong.push(format!("`{span}` is no test")),
                }
            }
        }
        wrong
    }

    /// Whether a test has this name: `folder::function` on the host, with `*` anywhere on target. None for what does
    /// not look like a test's name.
    fn is_test(&self, name: &str) -> Option<bool> {
        let (place, function) = name.split_once("::").unwrap_or((name, ""));
        let first = place.split('/').next().unwrap_or_default();
        if FOLDERS.contains(&first) {
            let folder = self.root.join(place);
            let sources = requirements::sources(&folder).unwrap_or_default();
            let mut sources = sources.iter();
            return (!function.is_empty())
                .then(|| sources.any(|source| requirements::has_test(source, function)));
        }
        let begins = |known: &String| {
            let known = known.split_once("::").map_or("", |(first, _)| first);
            !function.is_empty() && known == place
        };
        if self.on_target.iter().any(|known| matches(name, known)) {
            return Some(true);
        }
        self.on_target.iter().any(begins).then_some(false)
    }
}

/// Whether `*` of the pattern can stand for what makes it the name.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(rest) = name.strip_prefix(before) else {
        return false;
    };
    let ends = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    ends.filter_map(|at| rest.get(at..))
        .any(|rest| matches(after, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_are_not_there() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("sys/a")).unwrap();
        std::fs::write(root.join("sys/a/b.rs"), "").unwrap();
        let text = "`sys/a/b.rs`, `sys/*/b.rs`, sys/a/ and sys/a/b.rs. (sys/a/c.rs) `sys/*/d.rs` \
            https://host/sys/a/e.rs ../sys/f crate = \"task/g\" system/h";
        assert_eq!(
            missing_paths(root, text),
            [
                "there is no `sys/*/d.rs`",
                "there is no `sys/a/c.rs`",
                "there is no `task/g`"
            ]
        );
    }

    #[test]
    fn tests_that_are_not_there() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        std::fs::create_dir_all(root.join("sys/a")).unwrap();
        std::fs::write(
            root.join("sys/a/b.rs"),
            "#[test]\nfn good() {}\nfn help() {}\n",
        )
        .unwrap();
        let tests = Tests {
            root: root.to_owned(),
            on_target: ["suite::one", "suite::more::two", "whole"]
                .map(str::to_owned)
                .to_vec(),
        };
        let text = "`suite::one` `suite::*::two` `suite::on` `sys::good` `sys/a::good` `sys/a::help` `word` `Type::name`\n\
            \n* Shown by: `whole`, `suite::one`,\n`word` and `sys/a`.\n\n`word`\n";
        assert_eq!(
            tests.complaints(text),
            [
                "`suite::on` is no test",
                "`sys/a::help` is no test",
                "`word` is no test",
                "`sys/a` is no test"
            ]
        );
    }
}
