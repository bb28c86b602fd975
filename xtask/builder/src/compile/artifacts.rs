//! The artifacts that cargo built, from its messages.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use planner::failure::{Failure, Outcome};

/// The artifacts of one build.
pub struct Artifacts {
    /// The programs, by the name of their package.
    pub programs: BTreeMap<String, PathBuf>,
    /// How many crates were compiled, rather than found as an earlier build left them.
    pub compiled: usize,
}

/// Runs a cargo build. Cargo's own output goes to the terminal untouched.
pub fn run(cargo: Command) -> Outcome<Artifacts> {
    let messages = messages(cargo)?;
    let fresh = |message: &&Value| message.get("fresh").and_then(Value::as_bool) == Some(true);
    Ok(Artifacts {
        programs: messages.iter().filter_map(program).collect(),
        compiled: messages.len() - messages.iter().filter(fresh).count(),
    })
}

/// Runs cargo: its `compiler-artifact` messages.
pub fn messages(mut cargo: Command) -> Outcome<Vec<Value>> {
    let mut child = cargo
        .args(["--message-format", "json-render-diagnostics"])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(Failure::when("cannot run cargo"))?;
    let mut messages = Vec::new();
    let output = child.stdout.take();
    for line in output
        .into_iter()
        .flat_map(|out| BufReader::new(out).lines())
    {
        let line = line.map_err(Failure::when("cannot read what cargo says"))?;
        let message: Option<Value> = serde_json::from_str(&line).ok();
        messages.extend(message.filter(|message| {
            message.get("reason").and_then(Value::as_str) == Some("compiler-artifact")
        }));
    }
    let status = child
        .wait()
        .map_err(Failure::when("cannot wait for cargo"))?;
    if status.success() {
        Ok(messages)
    } else {
        Err(Failure::Shown)
    }
}

/// The package and the program of a message, if it is one of an executable.
pub fn program(message: &Value) -> Option<(String, PathBuf)> {
    let file = message.get("executable")?.as_str()?;
    let manifest = PathBuf::from(message.get("manifest_path")?.as_str()?);
    let text = std::fs::read_to_string(manifest).ok()?;
    let document = toml_edit::Document::parse(text).ok()?;
    let name = document.get("package")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(file)))
}
