//! Crates whose code must not panic: the lints that each of them denies, where clippy and an editor see them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::systems::entries;
use planner::failure::{Failure, Outcome};

/// The lints that servers and drivers deny outside their tests.
pub const LINTS: [&str; 4] = ["indexing_slicing", "unwrap_used", "expect_used", "panic"];

/// Folders of the crates of servers and drivers, and of the demo: what it shows is how they are used.
const CRATES: [&str; 3] = ["task", "tests/demo", "drv"];

/// The crates that a program of the target is built on, apart from the kernel.
const BELOW: [&str; 5] = ["abi", "plan", "vmsa", "smmu", "userlib"];

/// Folders of the crates that are programs.
pub fn programs(root: &Path) -> Outcome<BTreeSet<PathBuf>> {
    let mut found = BTreeSet::new();
    for folder in CRATES {
        let crates = entries(&root.join(folder))?.into_iter();
        found.extend(crates.filter(|of| of.join("src/main.rs").is_file()));
    }
    Ok(found)
}

/// First files of libraries and programs that do not deny all of [`LINTS`], from the root.
pub fn lax(root: &Path) -> Outcome<Vec<PathBuf>> {
    let mut crates: Vec<PathBuf> = BELOW
        .iter()
        .map(|name| root.join("sys").join(name))
        .collect();
    for folder in CRATES {
        crates.extend(entries(&root.join(folder))?);
    }
    let files = crates.iter().flat_map(|folder| {
        let first = ["src/lib.rs", "src/main.rs"].map(|file| folder.join(file));
        first.into_iter().filter(|file| file.is_file())
    });
    let mut lax = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .map_err(Failure::when(format!("cannot read {}", file.display())))?;
        if !denies(&text) {
            lax.push(file.strip_prefix(root).unwrap_or(&file).to_path_buf());
        }
    }
    Ok(lax)
}

/// Whether the attributes at a file's beginning deny all of the lints.
fn denies(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    let denied = bare
        .split_once("#![cfg_attr(not(test),deny(")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(list, _)| list.split(',').collect::<BTreeSet<_>>())
        .unwrap_or_default();
    LINTS
        .iter()
        .all(|lint| denied.contains(format!("clippy::{lint}").as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: &str = "#![forbid(unsafe_code)]\n#![cfg_attr(\n    not(test),\n    deny(\n        clippy::indexing_slicing,\n        \
                       clippy::unwrap_used,\n        clippy::expect_used,\n        clippy::panic\n    )\n)]\n";

    #[test]
    fn each_lint_counts() {
        assert!(denies(ALL));
        assert!(!denies(""));
        for lint in LINTS {
            assert!(!denies(&ALL.replace(lint, "other")), "{lint}");
        }
        assert!(!denies(&ALL.replace("deny", "allow")));
    }

    #[test]
    fn a_lax_crate_is_named() {
        let root = std::env::temp_dir().join(format!("portcullis-strict-{}", std::process::id()));
        let write = |file: &str, text: &str| {
            let file = root.join(file);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write("task/log/src/lib.rs", ALL);
        write("task/log/src/main.rs", ALL);
        write("tests/demo/rogue/src/main.rs", "fn main() {}");
        write("drv/edu/src/lib.rs", "");
        write("sys/abi/src/lib.rs", "");
        let lax = lax(&root);
        let programs = programs(&root);
        std::fs::remove_dir_all(&root).unwrap();
        let named = [
            "sys/abi/src/lib.rs",
            "tests/demo/rogue/src/main.rs",
            "drv/edu/src/lib.rs",
        ];
        assert_eq!(lax.unwrap(), named.map(PathBuf::from));
        let programs: Vec<_> = programs.unwrap().into_iter().collect();
        assert_eq!(
            programs,
            ["task/log", "tests/demo/rogue"].map(|folder| root.join(folder))
        );
    }
}
