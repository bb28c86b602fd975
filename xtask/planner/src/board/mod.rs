//! A board's description from what it says of itself: `lspci`, and its device tree blob or its ACPI tables.

pub mod acpi;
mod describe;

use import::AcsState;
use import::board::{Board, Word};

pub use describe::Description;

use crate::failure::{Failure, Outcome};

/// A complete `app.toml` for the machine that the texts describe. One of the two is needed.
pub fn describe(lspci: Option<&str>, blob: Option<&[u8]>, acs: AcsState) -> Outcome<Description> {
    let functions = lspci.map(functions).transpose()?;
    let board = blob.map(device_tree).transpose()?;
    described(functions.as_deref(), board.as_ref(), acs)
}

/// A complete `app.toml` of functions, if they were listed, and of what the board states.
pub fn described(
    functions: Option<&[import::Function]>,
    board: Option<&Board>,
    acs: AcsState,
) -> Outcome<Description> {
    let machine = match (functions, board) {
        (Some(functions), _) => import::machine(functions, acs),
        (None, Some(board)) => import::root_buses(board),
        (None, None) => {
            return Err(Failure::new(
                "there is nothing to import: give `--lspci`, `--dtb` or `--acpi`",
            ));
        }
    };
    Ok(describe::text(functions, &machine, board))
}

fn functions(lspci: &str) -> Outcome<Vec<import::Function>> {
    import::parse(lspci).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
        Failure::new(format!("the dump cannot be used\n{}", lines.join("\n")))
    })
}

fn device_tree(blob: &[u8]) -> Outcome<Board> {
    import::device_tree::read(blob).map_err(|errors: Vec<Word>| {
        let lines: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
        Failure::new(format!(
            "the device tree cannot be used\n{}",
            lines.join("\n")
        ))
    })
}

/// Warnings of one kind that are told one by one: the rest is in the file, at its functions.
const TOLD: usize = 8;

/// What is odd about a dump that can be taken, a line each; at most a screen of them.
pub fn warnings(lspci: &str) -> Vec<String> {
    let mut warnings = import::read(lspci).map_or(Vec::new(), |dump| dump.warnings);
    let more = warnings.len().saturating_sub(TOLD);
    if more > 1 {
        warnings.truncate(TOLD);
        warnings.push(format!(
            "and {more} more, which the file has at their functions"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests;
