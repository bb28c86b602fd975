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

#[cfg(test)]
mod tests;
