//! Modules of one crate that use each other in a circle: none of them can be read, tested or moved without the others.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use super::modules::{self, Modules, Names};
use planner::failure::{Failure, Outcome};

/// Folders without crates of the project.
const SKIPPED: [&str; 1] = ["target"];

/// Fails if modules of any crate below `root` use each other in a circle.
pub fn circles(root: &Path) -> Outcome<()> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let cannot = || Failure::when(format!("cannot list `{}`", folder.display()));
        for entry in std::fs::read_dir(&folder).map_err(cannot())? {
            let entry = entry.map_err(cannot())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_folder = entry.file_type().map_err(cannot())?.is_dir();
            if is_folder && !name.starts_with('.') && !SKIPPED.contains(&name.as_str()) {
                folders.push(entry.path());
            }
        }
        if !folder.join("Cargo.toml").exists() {
            continue;
        }
        for file in ["src/lib.rs", "src/main.rs"] {
            let file = folder.join(file);
            if file.exists() {
                found.extend(of_crate(root, &modules::read(&file)?));
            }
        }
    }
    found.sort();
    if found.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "modules use each other in a circle:\n{}\
         move what two of them need into a module that uses neither, or let the caller join them",
        found.concat()
    )))
}

/// The circles of a crate, each as lines that say which module uses which, and where.
fn of_crate(root: &Path, modules: &Modules) -> Vec<String> {
    let uses = uses(modules);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for start in modules.keys() {
        if seen.contains(start) {
            continue;
        }
        let Some(circle) = shortest_circle(&uses, start) else {
            continue;
        };
        let mut text = String::new();
        for (number, module) in circle.iter().enumerate() {
            let next = &circle[(number + 1) % circle.len()];
            let file = &modules[module].file;
            let file = file.strip_prefix(root).unwrap_or(file).display();
            let line = uses[module][next];
            let (user, used) = (module.join("::"), next.join("::"));
            text += &format!("  {file}:{line}: `{user}` uses `{used}`\n");
        }
        seen.extend(circle);
        found.push(text + "\n");
    }
    found
}

/// Which module uses which, and in which line first. A module that uses what is around it is a part that knows its whole.
fn uses(modules: &Modules) -> BTreeMap<&Names, BTreeMap<Names, usize>> {
    let mut uses = BTreeMap::new();
    for (user, module) in modules {
        let of_user: &mut BTreeMap<Names, usize> = uses.entry(user).or_default();
        for mention in &module.mentions {
            match modules::find(modules, user, &mention.names) {
                Some(used) if !user.starts_with(&used) => {
                    of_user.entry(used).or_insert(mention.line);
                }
                _ => {}
            }
        }
    }
    uses
}

/// The fewest modules that lead from `start` back to it.
fn shortest_circle(
    uses: &BTreeMap<&Names, BTreeMap<Names, usize>>,
    start: &Names,
) -> Option<Vec<Names>> {
    let mut came_from: BTreeMap<&Names, &Names> = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(user) = waiting.pop_front() {
        for used in uses[user].keys() {
            if used == start {
                let mut circle = vec![user.clone()];
                let mut at = user;
                while let Some(before) = came_from.get(at) {
                    circle.push((*before).clone());
                    at = before;
                }
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(used) {
                came_from.insert(used, user);
                waiting.push_back(used);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A crate of these files below `src`, and what is said of its modules.
    fn said_of(files: &[(&str, &str)]) -> Vec<String> {
        let root = tempfile::tempdir().unwrap();
        let source = root.path().join("src");
        for (name, text) in files {
            let file = source.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        }
        let modules = modules::read(&source.join("lib.rs")).unwrap();
        of_crate(root.path(), &modules)
    }

    #[test]
    fn a_circle_is_told_with_its_lines() {
        let said = said_of(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            (
                "a.rs",
                "//! A.\n\nuse crate::{c, b::{self as other, Thing}};\n",
            ),
            ("b.rs", "pub struct Thing;\nfn f() { crate::c::g(); }\n"),
            ("c/mod.rs", "mod d;\npub fn g() {}\n"),
            ("c/d.rs", "use super::super::a;\n"),
        ]);
        // Whoever uses `c` does not use what is in it.
        assert_eq!(said, Vec::<String>::new());
        let said = said_of(&[
            ("lib.rs", "mod a;\nmod b;\nmod c;\n"),
            (
                "a.rs",
                "//! A.\n\nuse crate::{c, b::{self as other, Thing}};\n",
            ),
            ("b.rs", "pub struct Thing;\nfn f() { crate::c::g(); }\n"),
            ("c/mod.rs", "mod d;\npub fn g() { d::h(); }\n"),
            (
                "c/d.rs",
                "pub fn h() {\n    println!(\"{}\", crate::b::Thing);\n}\n",
            ),
        ]);
        assert_eq!(
            said,
            [
                "  src/b.rs:2: `b` uses `c`\n  src/c/mod.rs:2: `c` uses `c::d`\n  src/c/d.rs:2: `c::d` uses `b`\n\n"
            ]
        );
    }

    #[test]
    fn a_name_that_is_passed_on_is_of_the_module_that_has_it() {
        let passed_on = |used: &str| {
            said_of(&[
                ("lib.rs", "mod a;\nmod b;\npub use a::Thing;\n"),
                (
                    "a.rs",
                    "mod deep;\npub use deep::Inner as Other;\npub struct Thing;\nuse crate::b;\n",
                ),
                ("a/deep.rs", "pub struct Inner;\n"),
                ("b.rs", used),
            ])
        };
        assert_eq!(passed_on("use crate::Thing;\n").len(), 1);
        // `a` uses `b`, and `b` what lies in `a` and uses neither.
        assert_eq!(passed_on("use crate::a::Other;\n"), Vec::<String>::new());
        assert_eq!(
            passed_on("use other_crate::a::Thing;\n"),
            Vec::<String>::new()
        );
        assert_eq!(passed_on("use std::{a::Thing, b};\n"), Vec::<String>::new());
    }

    #[test]
    fn tests_and_parts_may_use_what_they_belong_to() {
        let said = said_of(&[
            ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod tests;\n"),
            (
                "a.rs",
                "mod part;\nuse crate::b;\nuse part::Part;\npub struct A;\n",
            ),
            ("a/part.rs", "use super::A;\npub struct Part;\n"),
            (
                "b.rs",
                "#[cfg(test)]\nmod tests {\n    use crate::a;\n}\n#[cfg(test)]\nuse crate::a::A;\n",
            ),
            ("tests.rs", "use crate::a;\n"),
        ]);
        assert_eq!(said, Vec::<String>::new());
        let said = said_of(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use crate::b;\n"),
            ("b.rs", "#[cfg(not(test))]\nuse crate::a;\n"),
        ]);
        assert_eq!(said.len(), 1);
    }
}
