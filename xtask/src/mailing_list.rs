//! `docs/mailing-list/README.md`: what it quotes of files is in them, and what it and the auditor's guide quote of `plan`
//! is printed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Parser;

use crate::command::plan::{self, Arguments};
use crate::project;
use crate::steps;
use planner::report::Report;

/// The folder of the page and its files.
const FOLDER: &str = "docs/mailing-list";
/// The guide that quotes answers, beside the page of the mailing list.
const GUIDE: &str = "docs/guide/auditor.md";
/// A line of an answer that stands for any number of lines.
const GAP: &str = "...";

/// A command line of the page, read as the tool reads it.
#[derive(Parser)]
struct Asked {
    #[command(flatten)]
    plan: Arguments,
}

fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap()
}

fn page() -> String {
    std::fs::read_to_string(root().join(FOLDER).join("README.md")).unwrap()
}

/// The fenced blocks of one language.
fn blocks(page: &str, language: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(of) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let block = block.map(str::to_owned).collect();
            if of == language {
                found.push(block);
            }
        }
    }
    found
}

/// The line at which `part` begins in `whole` from `from` on, as whole lines that follow each
/// other.
fn position(whole: &[&str], part: &[String], from: usize) -> Option<usize> {
    let mut places = whole.get(from..)?.windows(part.len());
    places.position(|place| place == part).map(|at| from + at)
}

/// Asserts that the parts of `quoted`, which lines equal to `between` separate, are in `text` in that order.
fn assert_quoted(text: &str, quoted: &[String], between: &str, what: &str) {
    let whole: Vec<&str> = text.lines().collect();
    let mut from = 0;
    let parts = quoted.split(|line| line.trim() == between);
    for part in parts.filter(|part| !part.is_empty()) {
        let at = position(&whole, part, from);
        let at = at.unwrap_or_else(|| panic!("{what} has no\n{}\nbut\n{text}", part.join("\n")));
        from = at + part.len();
    }
    assert!(from > 0, "nothing is quoted of {what}");
}

/// The output of a command line, and how many errors it has.
fn printed(command: &str) -> (String, usize) {
    let words = command.strip_prefix("cargo xtask ").expect(command);
    let mut asked = Asked::try_parse_from(words.split(' ')).unwrap_or_else(|e| panic!("{e}"));
    let project = project::find().unwrap();
    asked.plan.app = asked.plan.app.map(|app| project.root.join(app));
    let report = Report::default();
    let app = asked.plan.app.as_deref();
    let planned = steps::plan_reported(&project, &report, app, asked.plan.mode());
    let answer = planned.map(|plan| plan::answer(&plan, &asked.plan).unwrap());
    let text = report.text() + &answer.unwrap_or_default();
    let folder = format!("{}/", project.root.display());
    (text.replace(&folder, ""), report.errors())
}

#[test]
fn what_the_page_quotes_of_files_is_in_them() {
    let mut quoted = BTreeSet::new();
    for block in blocks(&page(), "toml") {
        let (name, tables) = block.split_first().unwrap();
        let name = name
            .strip_prefix("# ")
            .expect("the file's name comes first");
        let text = std::fs::read_to_string(root().join(FOLDER).join(name)).expect(name);
        assert_quoted(&text, tables, "", name);
        quoted.insert(name.to_owned());
    }
    let entries = std::fs::read_dir(root().join(FOLDER)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let files: BTreeSet<String> = names.filter(|name| name.ends_with(".toml")).collect();
    assert_eq!(quoted, files, "files that the page does not quote");
}

/// One answer to several commands is the same for all of them, to the last byte.
#[test]
fn what_the_page_quotes_of_plans_is_printed() {
    let page = page();
    assert!(blocks(&page, "text").len() >= blocks(&page, "toml").len());
    assert_printed(&page);
}

#[test]
fn what_the_guide_quotes_of_plans_is_printed() {
    let guide = std::fs::read_to_string(root().join(GUIDE)).unwrap();
    assert!(!blocks(&guide, "text").is_empty());
    assert_printed(&guide);
}

/// Asserts that the commands of each block print what it quotes.
fn assert_printed(page: &str) {
    for block in blocks(page, "text") {
        let commands: Vec<&str> = block
            .iter()
            .map_while(|line| line.strip_prefix("$ "))
            .collect();
        let answer = &block[commands.len()..];
        let (text, errors) = printed(commands[0]);
        for command in &commands {
            assert_eq!(printed(command).0, text, "{commands:?}");
        }
        assert_quoted(&text, answer, GAP, commands[0]);
        let shown = answer.iter().filter(|line| line.starts_with("error["));
        assert_eq!(shown.count(), errors, "errors of {}", commands[0]);
    }
}

/// All that is promised of the run is a requirement of the server's protocol, which has its own tests.
#[test]
fn the_requirements_that_the_page_names_exist() {
    let page = page();
    let protocol = root().join("docs/reference/iommu-protocol.md");
    let protocol = std::fs::read_to_string(protocol).unwrap();
    let part = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    let named = page.split(part).filter(|word| word.starts_with("IOMMU-"));
    let named: BTreeSet<&str> = named.collect();
    assert!(!named.is_empty());
    for requirement in named {
        let defined = format!("**{requirement}** ");
        assert!(protocol.contains(&defined), "there is no {requirement}");
    }
}
