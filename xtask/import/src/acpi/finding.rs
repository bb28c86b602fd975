//! What is wrong with a table.

use core::fmt;

/// One thing that is wrong with a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// The table cannot be used.
    pub error: bool,
    /// Name of the file, which is the table's signature.
    pub table: String,
    /// The place in the table, if there is one.
    pub offset: Option<usize>,
    /// The mistake with both of its parties, in one sentence.
    pub message: String,
    /// What would mend it.
    pub remedy: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table)?;
        if let Some(offset) = self.offset {
            write!(f, ", offset {offset:#x}")?;
        }
        write!(f, ": {} ({})", self.message, self.remedy)
    }
}

/// How to get tables without damage.
pub(super) const COPY_AGAIN: &str =
    "copy /sys/firmware/acpi/tables again, as root and byte by byte";
/// What to do with a table that says something impossible.
pub(super) const FIRMWARE: &str =
    "firmware wrote this; look for an update of it, or describe this part by hand in app.toml";

/// The findings of one table, as they come.
pub(super) struct Findings<'a> {
    pub table: &'a str,
    pub list: Vec<Finding>,
}

impl Findings<'_> {
    fn add(&mut self, error: bool, at: Option<usize>, message: String, remedy: &'static str) {
        self.list.push(Finding {
            error,
            table: self.table.to_owned(),
            offset: at,
            message,
            remedy,
        });
    }

    /// The table cannot be used.
    pub fn error(&mut self, at: usize, message: String, remedy: &'static str) {
        self.add(true, Some(at), message, remedy);
    }

    /// The table can be used without what this is about.
    pub fn warning(&mut self, at: usize, message: String, remedy: &'static str) {
        self.add(false, Some(at), message, remedy);
    }
}
