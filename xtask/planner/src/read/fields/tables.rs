//! Tables below a table.

use toml_edit::{Item, TableLike, Value};

use super::{Fields, Layer};
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
                    file: item.span.file,
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

    /// The named tables below a table, in the order of the file and then of the included one, each with its name.
    pub fn tables(&self, key: &'static str) -> Vec<(Spanned<String>, Fields<'a>)> {
        self.known.borrow_mut().push(key);
        let mut list: Vec<(Spanned<String>, Fields<'a>)> = Vec::new();
        for layer in self.layers() {
            let Some(item) = layer.table.get(key) else {
                continue;
            };
            let span = layer.span_of(key, item);
            let Some(parent) = item.as_table_like() else {
                self.wrong(key, &span, "a table");
                continue;
            };
            let parent = Layer {
                table: parent,
                span,
            };
            for (name, item) in parent.table.iter() {
                let path = format!("{}.{name}", self.key_path(key));
                let span = parent.key_span(name, item);
                let Some(table) = item.as_table_like() else {
                    self.wrong(&format!("{key}.{name}"), &span, "a table");
                    continue;
                };
                self.check_name(name, &span);
                match list.iter_mut().find(|(known, _)| known.value == name) {
                    Some((_, fields)) => fields.included = Some(Layer { table, span }),
                    None => {
                        let fields = Fields::new(self.report, path, table, span.clone());
                        list.push((Spanned::new(name.to_owned(), span), fields));
                    }
                }
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
        let layer = &parent.first;
        for (name, item) in layer.table.iter() {
            let span = layer.key_span(name, item);
            parent.check_name(name, &span);
            match item.as_value() {
                Some(value) => list.push((
                    Spanned::new(name.to_owned(), span),
                    Spanned::new(value, layer.span_of(name, item)),
                )),
                None => parent.wrong(name, &span, "a value"),
            }
        }
        list
    }
}
