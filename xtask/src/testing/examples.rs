//! Packages whose documentation has examples: rustdoc takes a second for each package, and most have none.

use std::path::{Path, PathBuf};

use crate::systems::entries;
use planner::failure::{Failure, Outcome};

/// Names and folders of the workspace's libraries with examples.
pub fn packages(root: &Path) -> Outcome<Vec<(String, PathBuf)>> {
    let workspace = document(&root.join("Cargo.toml"))?;
    let members = workspace
        .get("workspace")
        .and_then(|workspace| workspace.get("members")?.as_array())
        .ok_or_else(|| Failure::new("the workspace has no list of members"))?;
    let mut packages = Vec::new();
    for member in members.iter().filter_map(toml_edit::Value::as_str) {
        let folder = root.join(member);
        // rustdoc runs no examples of a program.
        if folder.join("src/lib.rs").is_file() && has_examples(&folder.join("src"))? {
            let manifest = document(&folder.join("Cargo.toml"))?;
            let name = manifest
                .get("package")
                .and_then(|package| package.get("name")?.as_str());
            packages.push((name.unwrap_or(member).to_owned(), folder));
        }
    }
    Ok(packages)
}

fn document(file: &Path) -> Outcome<toml_edit::Document<String>> {
    let cannot = || format!("cannot read {}", file.display());
    let text = std::fs::read_to_string(file).map_err(Failure::when(cannot()))?;
    toml_edit::Document::parse(text).map_err(Failure::when(cannot()))
}

fn has_examples(folder: &Path) -> Outcome<bool> {
    for entry in entries(folder)? {
        let has = if entry.is_dir() {
            has_examples(&entry)?
        } else if entry.extension().is_some_and(|kind| kind == "rs") {
            let text = std::fs::read_to_string(&entry)
                .map_err(Failure::when(format!("cannot read {}", entry.display())))?;
            example(&text)
        } else {
            false
        };
        if has {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether documentation in a source file has a block that rustdoc compiles: one without a language.
fn example(source: &str) -> bool {
    let documentation = source.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("//!")
            .or_else(|| line.strip_prefix("///"))
    });
    let mut within = false;
    for line in documentation {
        let Some(of) = line.trim().strip_prefix("```") else {
            continue;
        };
        within = !within;
        let compiled = ["rust", "no_run", "should_panic", "compile_fail"];
        if within && (of.is_empty() || compiled.iter().any(|word| of.starts_with(word))) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_that_are_compiled() {
        for fence in ["", "rust", "no_run", "should_panic", "compile_fail,E0277"] {
            let text =
                format!("//! Text.\n//!\n//! ```{fence}\n//! let x = 1;\n//! ```\nfn f() {{}}\n");
            assert!(example(&text), "{fence}");
            assert!(example(&text.replace("//!", "    ///")), "{fence}");
            assert!(!example(&text.replace("//!", "//")), "{fence}");
        }
        // The end of a block with a language begins none.
        assert!(!example("//! ```text\n//! a\n//! ```\n"));
        assert!(example(
            "//! ```text\n//! a\n//! ```\n//! ```\n//! b();\n//! ```\n"
        ));
    }

    #[test]
    fn this_workspace() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let packages = packages(&root).unwrap();
        let names: Vec<&str> = packages.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["edu", "iommu-api", "solver"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(!names.contains(&"suite"), "its blocks are texts");
    }
}
