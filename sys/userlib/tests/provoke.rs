//! What breaks Rust's rules in a caller's hands is for tests alone.

use std::path::{Path, PathBuf};

/// Every manifest below `folder`.
fn manifests(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name");
        if path.is_dir() && name != "target" && name != ".git" {
            manifests(&path, found);
        } else if name == "Cargo.toml" {
            found.push(path);
        }
    }
}

#[test]
fn only_tests_ask_for_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut found = Vec::new();
    manifests(&root, &mut found);
    let asks = |path: &&PathBuf| {
        let text = std::fs::read_to_string(path).expect("a manifest");
        ["\"provoke\"", "\"every-instruction\""]
            .iter()
            .any(|feature| text.contains(feature))
    };
    let (of_tests, others): (Vec<&PathBuf>, Vec<&PathBuf>) = found
        .iter()
        .filter(asks)
        .partition(|path| path.starts_with(root.join("tests")));
    assert!(of_tests.len() > 5, "the tests no longer ask for it");
    assert_eq!(others, [&root.join("sys/userlib/Cargo.toml")]);
}
