//! The record of what was run: for each file its state, its score and every change that no test noticed, with the judgement on it.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use planner::failure::{self, Failure};
use serde::Deserialize;

use super::judge::Verdict;
use super::list::Change;

/// The files of a package that were run.
pub type Record = BTreeMap<String, Of>;

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Of {
    /// A digest of its text: while that is so, it need not be run again.
    pub source: String,
    /// The commit that was run.
    pub commit: String,
    pub caught: usize,
    pub hung: usize,
    pub unbuildable: usize,
    #[serde(default)]
    pub missed: Vec<Missed>,
    /// What is not run yet, since cargo-mutants has to do it.
    #[serde(default)]
    pub left: Vec<Missed>,
}

/// A change that no test noticed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Missed {
    pub change: String,
    pub line: String,
    #[serde(default = "one")]
    pub ordinal: usize,
    /// Why it may be so; who runs it writes it.
    #[serde(default)]
    pub reason: String,
}

fn one() -> usize {
    1
}

impl Missed {
    /// Without a reason.
    pub fn new(change: &Change) -> Self {
        Self {
            change: change.name.clone(),
            line: change.line.clone(),
            ordinal: change.ordinal,
            reason: String::new(),
        }
    }

    /// Whether it is this change.
    pub fn is(&self, change: &Change) -> bool {
        self.change == change.name && self.line == change.line && self.ordinal == change.ordinal
    }
}

impl Of {
    /// Adds what became of a change; a reason that is known stays.
    pub fn add(&mut self, change: &Change, verdict: Verdict, known: &Self) {
        match verdict {
            Verdict::Caught => self.caught += 1,
            Verdict::Hung => self.hung += 1,
            Verdict::Unbuildable => self.unbuildable += 1,
            Verdict::Missed => {
                let mut missed = Missed::new(change);
                missed.reason = known.reason(change).unwrap_or_default().to_owned();
                self.missed.push(missed);
            }
        }
    }

    /// The reason that was written for a change.
    pub fn reason(&self, change: &Change) -> Option<&str> {
        let known = self.missed.iter().find(|missed| missed.is(change));
        known.map(|missed| missed.reason.as_str())
    }
}

/// Reads a record.
///
/// # Errors
/// If it is none.
pub fn read(text: &str) -> failure::Outcome<Record> {
    toml_edit::de::from_str(text).map_err(Failure::when("the record of mutations is none"))
}

/// Writes a record as it is kept.
pub fn write(record: &Record) -> String {
    let mut text = String::from(
        "# Written by `cargo xtask test mutations`, except for the reasons: what no test notices, and why that may be so.\n",
    );
    for (file, of) in record {
        let _ = write!(
            text,
            "\n[{}]\nsource = {}\ncommit = {}\ncaught = {}\nhung = {}\nunbuildable = {}\n",
            quoted(file),
            quoted(&of.source),
            quoted(&of.commit),
            of.caught,
            of.hung,
            of.unbuildable
        );
        let missed = of.missed.iter().map(|missed| ("missed", missed));
        for (kind, missed) in missed.chain(of.left.iter().map(|left| ("left", left))) {
            let _ = write!(
                text,
                "\n[[{}.{kind}]]\nchange = {}\nline = {}\n",
                quoted(file),
                quoted(&missed.change),
                quoted(&missed.line)
            );
            if missed.ordinal > 1 {
                let _ = writeln!(text, "ordinal = {}", missed.ordinal);
            }
            if !missed.reason.is_empty() {
                let _ = writeln!(text, "reason = {}", quoted(&missed.reason));
            }
        }
    }
    text
}

fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::mutations::list::{Genre, sample};

    #[test]
    fn a_reason_stays() {
        let change = sample(Genre::BinaryOperator, (1, 1), (1, 2), "^");
        let mut known = Of::default();
        known.add(&change, Verdict::Missed, &Of::default());
        assert_eq!(known.reason(&change), Some(""));
        known.missed[0].reason = "It is so.".to_owned();
        let mut of = Of::default();
        of.add(&change, Verdict::Missed, &known);
        assert_eq!(of.reason(&change), Some("It is so."));
        of.add(&change, Verdict::Caught, &known);
        assert_eq!((of.caught, of.missed.len()), (1, 1));
    }

    #[test]
    fn what_is_written_can_be_read() {
        let mut change = sample(Genre::BinaryOperator, (1, 1), (1, 2), "\"^\"");
        change.line = "a | 'b' \\ \"c\"".to_owned();
        change.ordinal = 2;
        let mut missed = Missed::new(&change);
        missed.reason = "The bits are apart.".to_owned();
        assert!(missed.is(&change));
        let of = Of {
            source: "12".to_owned(),
            commit: "89299c9".to_owned(),
            caught: 3,
            hung: 2,
            unbuildable: 1,
            missed: vec![missed],
            left: vec![Missed::new(&change)],
        };
        assert_eq!(of.reason(&change), Some("The bits are apart."));
        let record = Record::from([("a/src/b.rs".to_owned(), of)]);
        let text = write(&record);
        assert_eq!(read(&text).expect("it was written so"), record, "{text}");
    }
}
