//! What cargo built, from its messages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::failure::{Failure, Outcome};

/// Runs a cargo build: the programs by the name of their package. Cargo's own output goes to the
/// terminal untouched.
pub fn run(mut cargo: Command) -> Outcome<BTreeMap<String, PathBuf>> {
    let mut child = cargo
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::when("cannot run cargo"))?;
    let mut programs = BTreeMap::new();
    for line in child
        .stdout
        .take()
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        let line = line.map_err(Failure::when("cannot read what cargo says"))?;
        if let Some((package, program)) = program(&line) {
            programs.insert(package, program);
        }
    }
    let status = child
        .wait()
        .map_err(Failure::when("cannot wait for cargo"))?;
    if status.success() {
        Ok(programs)
    } else {
        Err(Failure::Shown)
    }
}

/// The package and the program of a `compiler-artifact` message, if it is one of an executable.
fn program(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    if message.get("reason")?.as_str()? != "compiler-artifact" {
        return None;
    }
    let file = message.get("executable")?.as_str()?;
    let manifest = PathBuf::from(message.get("manifest_path")?.as_str()?);
    let text = std::fs::read_to_string(manifest).ok()?;
    let document = toml_edit::Document::parse(text).ok()?;
    let name = document.get("package")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(file)))
}
