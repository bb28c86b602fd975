//! Tables below a table.

use toml_edit::{Item, TableLike, Value};

use super::Fields;
use crate::report::{Span, Spanned};

/// A table of a list, and where it is.
type Row<'a> = (&'a dyn TableLike, Option<std::ops::Range<usize>>);

impl<'a> Fields<'a> {
    /// The tables of an array of tables or of inline tables.
    pub fn rows(&self, key: &'static str) -> Vec<Fields<'a>> {
        let Some(item) = self.item(key) else {
            return Vec::new();
        };
        let tables: Option<Vec<Row<'a>>> = match item.value {
            Item::ArrayOfTables(array) => Some(
                array
                    .iter()
                    .map(|table| (table as &dyn TableLike, table.span()))
                    .collect(),
            ),
            Item::Value(Value::Array(array)) => array
                .iter()
                .map(|value| {
                    let table = value.as_inline_table()?;
                    Some((table as &dyn TableLike, table.span()))
                })
                .collect(),
            _ => None,
        };
        let Some(tables) = tables else {
            self.wrong(key, &item.span, "a list of tables");
            return Vec::new();
        };
        tables
            .into_iter()
            .map(|(table, range)| {
                let span = Span {
                    file: self.file,
                    range: range.unwrap_or_else(|| item.span.range.clone()),
                };
                Fields::new(self.report, self.key_path(key), table, span)
            })
            .collect()
    }

    /// A table below this one.
    pub fn table(&self, key: &'static str) -> Option<Fields<'a>> {
        let item = self.item(key)?;
        match item.value.as_table_like() {
            Some(table) => Some(Fields::new(
                self.report,
                self.key_path(key),
                table,
                item.span,
            )),
            None => {
                self.wrong(key, &item.span, "a table");
                None
            }
        }
    }

    /// The named tables below a table, in the order of the file, each with its name.
    pub fn tables(&self, key: &'static str) -> Vec<(Spanned<String>, Fields<'a>)> {
        let Some(parent) = self.table(key) else {
            return Vec::new();
        };
        let mut list = Vec::new();
        for (name, item) in parent.table.iter() {
            let span = parent.key_span(name, item);
            match item.as_table_like() {
                Some(table) => {
                    parent.check_name(name, &span);
                    let fields =
                        Fields::new(self.report, parent.key_path(name), table, span.clone());
                    list.push((Spanned::new(name.to_owned(), span), fields));
                }
                None => parent.wrong(name, &span, "a table"),
            }
        }
        list
    }

    /// The entries of a table whose keys are the user's, each value a size, number or string.
    pub fn entries(&self, key: &'static str) -> Vec<(Spanned<String>, Spanned<&'a Value>)> {
        let Some(parent) = self.table(key) else {
            return Vec::new();
        };
        let mut list = Vec::new();
        for (name, item) in parent.table.iter() {
            let span = parent.key_span(name, item);
            parent.check_name(name, &span);
            match item.as_value() {
                Some(value) => list.push((
                    Spanned::new(name.to_owned(), span),
                    Spanned::new(value, parent.span_of(name, item)),
                )),
                None => parent.wrong(name, &span, "a value"),
            }
        }
        list
    }
}
