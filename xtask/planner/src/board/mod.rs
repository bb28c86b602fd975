//! A board's description from what it says of itself: `lspci` and, if there is one, its device tree blob.

mod describe;
mod device_tree;

use import::AcsState;

use crate::failure::{Failure, Outcome};

/// A complete `app.toml` for the machine that the texts describe.
pub fn describe(lspci: &str, blob: Option<&[u8]>, acs: AcsState) -> Outcome<String> {
    let functions = import::parse(lspci).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
        Failure::new(format!("the dump cannot be used\n{}", lines.join("\n")))
    })?;
    let tree = blob
        .map(device_tree::read)
        .transpose()
        .map_err(|error| Failure::new(format!("the device tree cannot be used: {error}")))?;
    let machine = import::machine(&functions, acs);
    Ok(describe::text(&functions, &machine, tree.as_ref()))
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
