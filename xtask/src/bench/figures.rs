//! Figures that were kept in a file, and what became of them.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Figure;
use super::rows::{KERNEL_TEXT, ROWS, Row};
use crate::testing::{Case, Outcome as End, fits};
use planner::failure::{Failure, Outcome};

/// The figures of this repository, below its root.
pub const FIGURES: &str = "tests/bench/figures.json";

/// The file.
#[derive(Serialize, Deserialize)]
struct File {
    rows: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instructions: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
}

/// Figures by the names of their rows.
pub struct Kept(BTreeMap<String, u64>);

impl Kept {
    /// Reads a file of figures.
    pub fn read(file: &Path) -> Outcome<Self> {
        let cannot = || format!("cannot read the figures of {}", file.display());
        let text = std::fs::read_to_string(file).map_err(Failure::when(cannot()))?;
        let read: File = serde_json::from_str(&text).map_err(Failure::when(cannot()))?;
        let entries = read.rows.into_iter();
        let figures = entries.filter_map(|row| Some((row.name, row.instructions.or(row.bytes)?)));
        Ok(Self(figures.collect()))
    }

    fn of(&self, row: &Row) -> Option<u64> {
        self.0.get(row.name).copied()
    }

    /// Why a figure is refused: it is worse by more than the row's tolerance. Better is never worse.
    fn complaint(&self, figure: &Figure) -> Option<String> {
        let Figure { row, value } = figure;
        let old = self.of(row)?;
        let most = u128::from(old) * u128::from(100 + row.tolerance);
        (u128::from(*value) * 100 > most).then(|| {
            format!(
                "{value}, and {old} are kept: {} is more than {} %. If that is meant, `cargo xtask bench --save` keeps it",
                percent(old, *value),
                row.tolerance
            )
        })
    }
}

/// `+12.3 %`.
fn percent(old: u64, new: u64) -> String {
    let change = 100.0 * (new as f64 - old as f64) / old.max(1) as f64;
    format!("{change:+.1} %")
}

/// The figures as a file.
pub fn json(figures: &[Figure]) -> String {
    let rows = figures.iter().map(|Figure { row, value }| {
        let bytes = row.name == KERNEL_TEXT;
        Entry {
            name: row.name.to_owned(),
            instructions: (!bytes).then_some(*value),
            bytes: bytes.then_some(*value),
        }
    });
    let file = File {
        rows: rows.collect(),
    };
    format!(
        "{}\n",
        serde_json::to_string_pretty(&file).unwrap_or_default()
    )
}

/// The table of old and new, and how many rows are worse than they may be.
pub fn changes(figures: &[Figure], kept: &Kept) -> (String, usize) {
    let mut text = format!(
        "{:<30} {:>9} {:>9} {:>9}\n",
        "instructions", "kept", "now", "change"
    );
    let mut worse = 0;
    for figure in figures {
        let Figure { row, value } = figure;
        let (old, change) = match kept.of(row) {
            Some(old) => (old.to_string(), percent(old, *value)),
            None => (String::new(), "new".to_owned()),
        };
        let complaint = kept.complaint(figure).is_some();
        worse += usize::from(complaint);
        let mark = if complaint { "  worse" } else { "" };
        text += &format!("{:<30} {old:>9} {value:>9} {change:>9}{mark}\n", row.name);
    }
    let gone = kept
        .0
        .keys()
        .filter(|name| ROWS.iter().all(|row| row.name != **name));
    for name in gone {
        text += &format!("{name:<30} is no row any more\n");
    }
    (text, worse)
}

/// A case for each row that a filter means: `bench::ROW`.
pub fn cases(figures: &[Figure], kept: &Kept, filter: Option<&str>) -> Vec<Case> {
    let cases = figures.iter().map(|figure| {
        let outcome = match (kept.of(figure.row), kept.complaint(figure)) {
            (_, Some(why)) => End::Failed(why),
            (None, None) => End::Failed(format!(
                "{FIGURES} has no figure for it: `cargo xtask bench --save`"
            )),
            (Some(_), None) => End::Passed,
        };
        Case::new(figure.row.case(), outcome)
    });
    cases.filter(|case| fits(filter, &case.name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(name: &str, value: u64) -> Figure {
        let row = Row::named(name).ok().unwrap();
        Figure { row, value }
    }

    fn kept(figures: &[Figure]) -> Kept {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures.json");
        std::fs::write(&file, json(figures)).unwrap();
        Kept::read(&file).unwrap_or_else(|why| panic!("{why:?}"))
    }

    #[test]
    fn three_percent_and_no_more() {
        let kept = kept(&[figure("ipc-0", 1000), figure("kernel-text", 32_000)]);
        for (value, worse) in [(0, 0), (970, 0), (1000, 0), (1030, 0), (1031, 1)] {
            let (text, found) = changes(&[figure("ipc-0", value)], &kept);
            assert_eq!(found, worse, "{text}");
            assert_eq!(text.contains("worse"), worse == 1, "{text}");
            let [case] = &cases(&[figure("ipc-0", value)], &kept, None)[..] else {
                panic!("one case");
            };
            assert_eq!(case.name, "bench::ipc-0");
            assert_eq!(case.failed(), worse == 1);
        }
        // Small figures are no exception, and bytes are compared too.
        assert_eq!(changes(&[figure("kernel-text", 32_961)], &kept).1, 1);
    }

    #[test]
    fn rows_that_vary_may_vary() {
        let kept = kept(&[figure("blk-read-4k-qd1", 1000)]);
        assert_eq!(changes(&[figure("blk-read-4k-qd1", 1050)], &kept).1, 0);
        assert_eq!(changes(&[figure("blk-read-4k-qd1", 1051)], &kept).1, 1);
    }

    #[test]
    fn a_row_without_a_figure_fails_its_case_only() {
        let kept = kept(&[figure("ipc-0", 1000)]);
        let new = [figure("ipc-64", 1)];
        assert_eq!(changes(&new, &kept).1, 0);
        let cases = cases(&new, &kept, None);
        assert!(cases[0].failed());
        assert!(
            changes(&[], &super::Kept(BTreeMap::from([("old".to_owned(), 1)])))
                .0
                .contains("old ")
        );
    }

    #[test]
    fn a_file_that_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("figures.json");
        std::fs::write(&file, "{}").unwrap();
        assert!(Kept::read(&file).is_err());
        assert!(Kept::read(&folder.path().join("none")).is_err());
    }

    #[test]
    fn the_figures_of_this_repository_are_of_its_rows() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let kept = Kept::read(&root.join(FIGURES)).unwrap_or_else(|why| panic!("{why:?}"));
        let names: Vec<&str> = kept.0.keys().map(String::as_str).collect();
        let mut rows: Vec<&str> = ROWS.iter().map(|row| row.name).collect();
        rows.sort_unstable();
        assert_eq!(names, rows);
    }
}
