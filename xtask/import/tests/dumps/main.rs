//! Dumps with something wrong, and dumps in the other forms `lspci` has.

mod broken;
mod odd;
mod text;
mod told;
mod way;

use std::path::PathBuf;

use import::{Error, ErrorKind, parse};

fn dump() -> String {
    let path: PathBuf = [
        env!("CARGO_MANIFEST_DIR"),
        "../../tests/data/oracles/t1/acpi/lspci-Dnxxxx.txt",
    ]
    .iter()
    .collect();
    std::fs::read_to_string(path).expect("the oracle")
}

/// The dump with the lines of each function changed by `edit`; an empty result drops the function.
fn edited(edit: impl Fn(&str, Vec<String>) -> Vec<String>) -> String {
    dump()
        .split("\n\n")
        .filter(|block| !block.trim().is_empty())
        .map(|block| {
            let address = block.split(' ').next().unwrap_or_default().to_string();
            edit(&address, block.lines().map(String::from).collect())
        })
        .filter(|lines| !lines.is_empty())
        .map(|lines| lines.join("\n") + "\n\n")
        .collect()
}

fn errors(text: &str) -> Vec<Error> {
    parse(text).expect_err("an error")
}

fn kinds(text: &str) -> Vec<ErrorKind> {
    errors(text).into_iter().map(|error| error.kind).collect()
}

/// The dump with a function that reads as ones.
fn silenced(addresses: &[&str]) -> String {
    edited(|at, mut lines| {
        if addresses.contains(&at) {
            for line in lines.iter_mut().skip(1) {
                let offset = line.split(':').next().unwrap_or_default().to_string();
                *line = format!("{offset}:{}", " ff".repeat(16));
            }
        }
        lines
    })
}

/// Replaces the bytes at `offset` of one function.
fn patched(address: &str, offset: usize, bytes: &[u8]) -> String {
    edited(|at, mut lines| {
        if at == address {
            let line = &mut lines[1 + offset / 16];
            let mut words: Vec<String> = line.split(' ').map(String::from).collect();
            for (index, byte) in bytes.iter().enumerate() {
                words[1 + offset % 16 + index] = format!("{byte:02x}");
            }
            *line = words.join(" ");
        }
        lines
    })
}
