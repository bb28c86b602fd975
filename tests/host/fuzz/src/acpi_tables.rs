//! ACPI tables: a text that can be planned or is refused, or a reason why not with a place.
//!
//! An input is files that follow each other, as a seed has them: each begins with its signature, and its length
//! says where the next one is. Sums are made right, as nobody damages a table by chance so that its sum stays.

use std::path::Path;

use import::AcsState;
use planner::board::acpi::{self, File};
use planner::failure::Failure;

use crate::app_toml;

/// What `cargo xtask import` makes of tables, or why it refuses them.
fn import(files: &[File]) -> Result<String, String> {
    let described = acpi::describe(None, files, AcsState::AsIs);
    described
        .map(|description| description.text)
        .map_err(|failure| match failure {
            Failure::Message(why) => why,
            Failure::Shown => String::new(),
        })
}

/// The files in an input.
fn files(bytes: &[u8]) -> Vec<File> {
    let mut files = Vec::new();
    let mut rest = bytes;
    while let (Some(signature), Some(len)) = (rest.first_chunk::<4>(), rest.get(4..8)) {
        let len = len.try_into().map_or(0, u32::from_le_bytes) as usize;
        let len = len.clamp(8, rest.len());
        let mut table = rest[..len].to_vec();
        rest = &rest[len..];
        if let Some(sum) = table.get_mut(9) {
            *sum = 0;
            let others = table.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte));
            table[9] = others.wrapping_neg();
        }
        files.push((String::from_utf8_lossy(signature).into_owned(), table));
    }
    files
}

/// Any tables.
pub fn run(bytes: &[u8]) {
    match import(&files(bytes)) {
        Ok(text) => app_toml::run(text.as_bytes()),
        Err(why) => assert!(why.lines().count() > 1, "refused without a reason: {why}"),
    }
}

/// Machines with nodes of every kind.
pub fn seeds() -> Vec<Vec<u8>> {
    let oracles = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/oracles/acpi");
    [
        "q111-virt-two-smmuv3",
        "constructed-rmr",
        "arm-morello-fvp",
        "q111-virt-gicv2",
    ]
    .iter()
    .map(|set| {
        let folder = oracles.join(set);
        let files = acpi::files(&folder);
        let files = files.unwrap_or_else(|_| panic!("{} cannot be read", folder.display()));
        files.into_iter().flat_map(|file| file.1).collect()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes start from what is accepted.
    #[test]
    fn seeds_are_boards() {
        for seed in seeds() {
            let files = files(&seed);
            assert!(!files.is_empty());
            import(&files).unwrap_or_else(|why| panic!("{why}"));
        }
    }
}
