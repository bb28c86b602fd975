//! `app.toml`: a text is planned and shown, or refused with diagnostics.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..")
}

/// Any text.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match xtask::hostile::plan(&root(), &text) {
        Ok(shown) => assert!(!shown.is_empty()),
        Err(said) => assert!(said.contains("error[P"), "refused without a reason: {said}"),
    }
}

/// The demo, and a system of bridges and alias sets, as if it lay at the root.
pub fn seeds() -> Vec<Vec<u8>> {
    ["app.toml", "tests/systems/alias/app.toml"]
        .iter()
        .map(|file| {
            let path = root().join(file);
            let text = std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            text.replace("crate = \"../../../", "crate = \"")
                .into_bytes()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes start from what is accepted.
    #[test]
    fn seeds_are_systems() {
        for seed in seeds() {
            let text = String::from_utf8(seed).expect("text");
            assert_eq!(xtask::hostile::plan(&root(), &text).err(), None);
        }
    }
}
