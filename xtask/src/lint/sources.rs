//! The Rust files of the repository.

use std::path::{Path, PathBuf};

use planner::failure::{Failure, Outcome};

use crate::systems::entries;

/// Every Rust file below `root` with its text, by its path from there. What builds leave is left out.
pub fn below(root: &Path) -> Outcome<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in entries(&folder)? {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            if entry.is_dir() && name != "target" && !name.starts_with('.') {
                folders.push(entry);
            } else if entry.is_file() && name.ends_with(".rs") {
                let cannot = Failure::when(format!("cannot read {}", entry.display()));
                let text = std::fs::read_to_string(&entry).map_err(cannot)?;
                let name = entry.strip_prefix(root).unwrap_or(&entry);
                files.push((name.to_owned(), text));
            }
        }
    }
    files.sort();
    Ok(files)
}
