//! `lspci` dumps: a text is a machine or a list of errors, and a machine can be solved.

use std::path::Path;

use import::AcsState;
use solver::{Options, solve};

/// Any text.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match import::parse(&text) {
        Ok(functions) => {
            assert!(!functions.is_empty());
            for acs in [AcsState::AsIs, AcsState::Enabled] {
                let machine = import::machine(&functions, acs);
                assert_eq!(machine.nodes.len(), functions.len());
                let solution = solve(&machine, &Options::default());
                assert_eq!(solution.devices.len(), functions.len());
            }
        }
        Err(errors) => {
            let lines = text.lines().count();
            assert!(!errors.is_empty(), "refused without a reason");
            for error in &errors {
                assert!(error.line <= lines, "{error}");
                assert!(!error.message.is_empty());
                // The advice stands once, at the last error of a kind.
                let same = errors.iter().rfind(|other| other.kind == error.kind);
                assert!(same.is_some_and(|last| !last.help.is_empty()), "{error}");
            }
        }
    }
}

/// The first functions of real dumps.
pub fn seeds() -> Vec<Vec<u8>> {
    let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/oracles");
    ["t1/dt", "t2/acpi"]
        .iter()
        .map(|machine| {
            let path = oracles.join(machine).join("lspci-Dnxxxx.txt");
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let functions = text.split("\n\n").take(6).enumerate();
            let functions: Vec<&str> = functions
                .map(|(number, function)| match number {
                    // A dump in which nobody has extended space is refused as a whole.
                    1 => function,
                    _ => shortened(function),
                })
                .collect();
            functions.join("\n\n").into_bytes()
        })
        .collect()
}

/// A function's first 256 bytes: its name, then 16 lines. All 4096 would make most changes meaningless.
fn shortened(function: &str) -> &str {
    let end = function.match_indices('\n').nth(16);
    end.map_or(function, |(at, _)| &function[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes start from dumps that would make a machine.
    #[test]
    fn seeds_are_machines() {
        for seed in seeds() {
            let text = String::from_utf8(seed).expect("a dump is text");
            let functions = import::parse(&text).map(|functions| functions.len());
            assert_eq!(functions, Ok(6));
        }
    }
}
