//! Checks of the project's pages: links, paths, names of tests, and figures. Every link leads to a page and a
//! heading, every path and every test that a page names exists, and every figure is in the part of Mermaid that
//! these checks know.

mod figures;
mod links;
mod names;

use std::path::{Path, PathBuf};

/// Folders without pages of the project.
const SKIPPED: [&str; 2] = ["target", ".git"];

/// A page and its place below the root.
struct Page {
    place: PathBuf,
    text: String,
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

/// All Markdown files of the project.
fn pages(root: &Path) -> Vec<Page> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !SKIPPED.contains(&name.as_str()) {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                found.push(Page {
                    place: path.strip_prefix(root).unwrap().to_owned(),
                    text: std::fs::read_to_string(&path).unwrap(),
                });
            }
        }
    }
    found.sort_by(|a, b| a.place.cmp(&b.place));
    assert!(found.len() >= 20, "pages are missing");
    found
}

/// Complaints about all pages, each with its page in front.
fn complaints(check: impl Fn(&Page) -> Vec<String>) -> String {
    let pages = pages(&root());
    let all = pages.iter().flat_map(|page| {
        let place = page.place.display();
        let found = check(page).into_iter();
        found
            .map(|what| format!("{place}: {what}\n"))
            .collect::<Vec<_>>()
    });
    all.collect()
}

/// The lines of a text that are in no fenced block, and those that are, with the language of the block.
fn lines(text: &str) -> Vec<(Option<&str>, &str)> {
    let mut within = None;
    let mut all = Vec::new();
    for line in text.lines() {
        match (line.trim_start().strip_prefix("```"), within) {
            (Some(language), None) => within = Some(language),
            (Some(_), Some(_)) => within = None,
            (None, _) => all.push((within, line)),
        }
    }
    all
}

#[test]
fn every_link_leads_somewhere() {
    let root = root();
    let wrong = complaints(|page| links::complaints(&root, page));
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_path_is_there() {
    let root = root();
    let wrong = complaints(|page| names::missing_paths(&root, &page.text));
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_test_is_there() {
    let root = root();
    let tests = names::Tests::all(&root);
    let wrong = complaints(|page| tests.complaints(&page.text));
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_figure_can_be_drawn() {
    let wrong = complaints(|page| figures::complaints(&page.text));
    assert!(wrong.is_empty(), "{wrong}");
}
