//! Device tree blobs beside a good dump: a text that can be planned or is refused, or a reason why not.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use import::AcsState;
use planner::board;
use planner::failure::Failure;

use crate::{app_toml, lspci};

/// The first functions of a real dump.
static DUMP: LazyLock<String> = LazyLock::new(|| {
    let seed = lspci::seeds().swap_remove(0);
    String::from_utf8(seed).expect("a dump is text")
});

/// What `cargo xtask import` makes of a dump and a device tree blob, or why it refuses them.
fn import(lspci: &str, blob: &[u8]) -> Result<String, String> {
    let described = board::describe(Some(lspci), Some(blob), AcsState::AsIs);
    described
        .map(|description| description.text)
        .map_err(|failure| match failure {
            Failure::Message(why) => why,
            Failure::Shown => String::new(),
        })
}

/// Any blob.
pub fn run(bytes: &[u8]) {
    match import(&DUMP, bytes) {
        Ok(text) => app_toml::run(text.as_bytes()),
        Err(why) => assert!(!why.is_empty(), "refused without a reason"),
    }
}

/// QEMU's, and one of two segments.
pub fn seeds() -> Vec<Vec<u8>> {
    let folder: PathBuf =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../xtask/planner/src/board");
    ["virt.dtb", "two-segments.dtb"]
        .iter()
        .map(|file| {
            let path = folder.join(file);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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
            assert!(import(&DUMP, &seed).is_ok());
        }
    }
}
