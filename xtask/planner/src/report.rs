//! Diagnostics: collected while a file is read, shown all at once.

mod mistake;

pub use mistake::Mistake;

use std::cell::{Cell, RefCell};
use std::io::IsTerminal;
use std::ops::Range;
use std::path::Path;

use codespan_reporting::diagnostic::{Diagnostic, Label, LabelStyle, Severity};
use codespan_reporting::files::SimpleFiles;
use codespan_reporting::term;

/// A place in one of the files of a [`Report`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Index of the file in the report.
    pub file: usize,
    /// Bytes of the file's text.
    pub range: Range<usize>,
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value as it was written.
    pub value: T,
    /// The place where the value was written.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// A value and its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// How a note starts that says what to do.
const REMEDY: &str = "remedy: ";

/// Marks that errors were reported; whoever has one stops, the report tells why.
#[derive(Clone, Copy, Debug)]
pub struct Reported;

/// All files read and everything found wrong with them.
#[derive(Default)]
pub struct Report {
    files: RefCell<SimpleFiles<String, String>>,
    found: RefCell<Vec<Diagnostic<usize>>>,
    /// How many of them were shown.
    shown: Cell<usize>,
}

/// Stands before what needs a part of the work to have succeeded. The part itself goes on after a mistake, so that
/// one look at the report shows all of them.
#[must_use]
pub struct Gate<'a> {
    report: &'a Report,
    /// Errors that do not close it.
    before: usize,
}

impl Gate<'_> {
    /// The result of the part, unless an error closed the gate.
    pub fn pass<T>(self, result: T) -> Result<T, Reported> {
        if self.report.errors() > self.before {
            Err(Reported)
        } else {
            Ok(result)
        }
    }
}

/// One mistake on its way into the report.
pub struct Draft<'a> {
    report: &'a Report,
    diagnostic: Diagnostic<usize>,
    /// Remedy unless a better one is given.
    usual: Option<&'static str>,
}

impl Report {
    /// Keeps the text of a file for diagnostics; returns its index.
    pub fn add_file(&self, path: &Path, text: &str) -> usize {
        self.files
            .borrow_mut()
            .add(path.display().to_string(), text.to_owned())
    }

    /// Starts an error; it is recorded when the draft is dropped.
    pub fn error(&self, mistake: Mistake, message: impl Into<String>) -> Draft<'_> {
        Draft {
            report: self,
            diagnostic: Diagnostic::error()
                .with_code(mistake.code())
                .with_message(message.into()),
            usual: Some(mistake.remedy()),
        }
    }

    /// Starts a warning: something that does not stop anything.
    pub fn warning(&self, mistake: Mistake, message: impl Into<String>) -> Draft<'_> {
        Draft {
            report: self,
            diagnostic: Diagnostic::warning()
                .with_code(mistake.code())
                .with_message(message.into()),
            usual: Some(mistake.remedy()),
        }
    }

    /// An error with a code that somebody else numbers.
    pub fn error_with_code(&self, code: String, message: &str) -> Draft<'_> {
        Draft {
            report: self,
            diagnostic: Diagnostic::error().with_code(code).with_message(message),
            usual: None,
        }
    }

    /// A warning with a code that somebody else numbers.
    pub fn warning_with_code(&self, code: String, message: &str) -> Draft<'_> {
        Draft {
            report: self,
            diagnostic: Diagnostic::warning().with_code(code).with_message(message),
            usual: None,
        }
    }

    /// How many errors there are up to now.
    pub fn errors(&self) -> usize {
        let found = self.found.borrow();
        let errors = found.iter().filter(|f| f.severity == Severity::Error);
        errors.count()
    }

    /// A gate that every error closes which is reported from now on.
    pub fn gate(&self) -> Gate<'_> {
        Gate {
            report: self,
            before: self.errors(),
        }
    }

    /// A gate that every error of the report closes, those of earlier steps included. It is for what makes sense
    /// only if nothing at all was wrong.
    pub fn gate_of_all(&self) -> Gate<'_> {
        Gate {
            report: self,
            before: 0,
        }
    }

    /// The diagnostics as plain text, in the order of the files and places.
    pub fn text(&self) -> String {
        self.text_from(0)
    }

    fn text_from(&self, first: usize) -> String {
        let files = self.files.borrow();
        let config = term::Config::default();
        self.sorted(first)
            .iter()
            .filter_map(|found| term::emit_into_string(&config, &*files, found).ok())
            .collect()
    }

    /// Shows the diagnostics that were not shown yet on standard error, in colour on a terminal.
    pub fn show(&self) {
        let first = self.shown.replace(self.found.borrow().len());
        if !std::io::stderr().is_terminal() {
            eprint!("{}", self.text_from(first));
            return;
        }
        let files = self.files.borrow();
        let config = term::Config::default();
        let styles = term::Styles::default();
        let mut stream =
            term::termcolor::StandardStream::stderr(term::termcolor::ColorChoice::Auto);
        for found in self.sorted(first) {
            let mut writer = term::StylesWriter::new(&mut stream, &styles);
            // A terminal that went away is no reason to fail differently.
            let _ = term::emit_to_write_style(&mut writer, &config, &*files, &found);
        }
    }

    /// The diagnostics that were reported from `first` on.
    fn sorted(&self, first: usize) -> Vec<Diagnostic<usize>> {
        let mut found = self
            .found
            .borrow()
            .get(first..)
            .unwrap_or_default()
            .to_vec();
        let files = self.files.borrow();
        for diagnostic in &mut found {
            // Without a place that cannot be shown rather than not at all.
            diagnostic
                .labels
                .retain(|label| files.get(label.file_id).is_ok());
        }
        found.sort_by_key(|diagnostic| {
            diagnostic
                .labels
                .iter()
                .find(|label| label.style == LabelStyle::Primary)
                .map(|label| (label.file_id, label.range.start))
        });
        found
    }
}

impl Draft<'_> {
    /// The place that has to change.
    pub fn at(mut self, span: &Span, message: impl Into<String>) -> Self {
        self.diagnostic
            .labels
            .push(Label::primary(span.file, span.range.clone()).with_message(message.into()));
        self
    }

    /// Adds the other party to the diagnostic.
    pub fn with(mut self, span: &Span, message: impl Into<String>) -> Self {
        self.diagnostic
            .labels
            .push(Label::secondary(span.file, span.range.clone()).with_message(message.into()));
        self
    }

    /// Adds a line below the excerpt.
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.diagnostic.notes.push(note.into());
        self
    }

    /// Adds a remedy.
    pub fn remedy(self, remedy: impl AsRef<str>) -> Self {
        self.note(format!("{REMEDY}{}", remedy.as_ref()))
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        let empty = Diagnostic::error();
        let mut diagnostic = std::mem::replace(&mut self.diagnostic, empty);
        let has_remedy = diagnostic.notes.iter().any(|note| note.starts_with(REMEDY));
        if let (false, Some(usual)) = (has_remedy, self.usual) {
            diagnostic.notes.push(format!("{REMEDY}{usual}"));
        }
        self.report.found.borrow_mut().push(diagnostic);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_another_reports_file_is_no_reason_to_be_silent() {
        let report = Report::default();
        let elsewhere = Span {
            file: 3,
            range: 10..20,
        };
        report
            .error(Mistake::NotBuildable, "it cannot be built")
            .at(&elsewhere, "this");
        let text = report.text();
        assert!(
            text.contains("error[P0037]: it cannot be built"),
            "{text:?}"
        );
    }

    #[test]
    fn errors_close_the_gates_before_them_and_warnings_none() {
        let report = Report::default();
        drop(report.warning_with_code("P0".into(), "a warning"));
        assert!(report.gate_of_all().pass(1).is_ok());
        let first = report.gate();
        drop(report.error(Mistake::NotBuildable, "an error"));
        assert!(first.pass(1).is_err());
        assert!(report.gate_of_all().pass(1).is_err());
        assert_eq!(report.gate().pass(1).ok(), Some(1));
    }

    #[test]
    fn what_was_shown_is_not_shown_again() {
        let report = Report::default();
        drop(report.error(Mistake::NotBuildable, "first"));
        report.show();
        drop(report.error(Mistake::NotBuildable, "second"));
        let left = report.text_from(report.shown.get());
        assert!(left.contains("second") && !left.contains("first"), "{left}");
    }
}
