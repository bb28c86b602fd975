//! ACPI's tables instead of a device tree.

use std::path::Path;

use import::AcsState;
use import::acpi;

use super::{Description, described, functions};
use crate::failure::{Failure, Outcome};

/// A table's file: its name and its contents.
pub type File = (String, Vec<u8>);

/// The files of the tables in a folder that are read, as /sys/firmware/acpi/tables has them.
pub fn files(folder: &Path) -> Outcome<Vec<File>> {
    let cannot = || format!("cannot read {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Failure::when(cannot()))? {
        let entry = entry.map_err(Failure::when(cannot()))?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // Folders, such as `data`, have what comes beside tables.
        if acpi::signature(&name).is_none() || entry.path().is_dir() {
            continue;
        }
        let contents = std::fs::read(entry.path()).map_err(Failure::when(format!(
            "cannot read {}",
            entry.path().display()
        )))?;
        files.push((name, contents));
    }
    // Two of one signature are told in the same order each time.
    files.sort();
    Ok(files)
}

/// A complete `app.toml` of tables, and of functions if they were listed.
pub fn describe(lspci: Option<&str>, files: &[File], acs: AcsState) -> Outcome<Description> {
    let functions = lspci.map(functions).transpose()?;
    let tables = acpi::read(files).map_err(|findings| {
        let lines: Vec<String> = findings.iter().map(|line| format!("  {line}")).collect();
        Failure::new(format!(
            "the ACPI tables cannot be used\n{}",
            lines.join("\n")
        ))
    })?;
    described(functions.as_deref(), Some(&acpi::board(&tables)), acs)
}

#[cfg(test)]
mod tests;
