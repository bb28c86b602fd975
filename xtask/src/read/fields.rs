//! Typed access to a TOML table that reports what is missing, wrong or unknown.

use std::cell::RefCell;

use toml_edit::{Item, TableLike, Value};

use super::units;
use crate::report::{Mistake, Report, Span, Spanned};

/// A table of a list, and where it is.
type Row<'a> = (&'a dyn TableLike, Option<std::ops::Range<usize>>);

/// One table while it is read. Keys asked for are the known ones; `finish` reports the others.
pub struct Fields<'a> {
    report: &'a Report,
    file: usize,
    /// Its path, such as `tasks.disk`, for messages; empty for the file itself.
    path: String,
    table: &'a dyn TableLike,
    span: Span,
    known: RefCell<Vec<&'static str>>,
}

impl<'a> Fields<'a> {
    pub fn new(
        report: &'a Report,
        path: impl Into<String>,
        table: &'a dyn TableLike,
        span: Span,
    ) -> Self {
        Self {
            report,
            file: span.file,
            path: path.into(),
            table,
            span,
            known: RefCell::default(),
        }
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    pub fn report(&self) -> &'a Report {
        self.report
    }

    fn item(&self, key: &'static str) -> Option<Spanned<&'a Item>> {
        self.known.borrow_mut().push(key);
        let item = self.table.get(key)?;
        Some(Spanned::new(item, self.span_of(key, item)))
    }

    fn span_of(&self, key: &str, item: &Item) -> Span {
        let range = item
            .span()
            .or_else(|| self.table.key(key).and_then(|key| key.span()));
        Span {
            file: self.file,
            range: range.unwrap_or_else(|| self.span.range.clone()),
        }
    }

    fn key_span(&self, key: &str, item: &Item) -> Span {
        let range = self.table.key(key).and_then(|key| key.span());
        range.map_or_else(
            || self.span_of(key, item),
            |range| Span {
                file: self.file,
                range,
            },
        )
    }

    fn wrong(&self, key: &str, span: &Span, expected: &str) {
        self.report
            .error(
                Mistake::WrongType,
                format!("`{}` must be {expected}", self.key_path(key)),
            )
            .at(span, format!("expected {expected}"));
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A key without which the table means nothing.
    pub fn required<T>(
        &self,
        key: &'static str,
        get: impl FnOnce(&Self, &'static str) -> Option<T>,
    ) -> Option<T> {
        let value = get(self, key);
        if value.is_none() && self.table.get(key).is_none() {
            let place = if self.path.is_empty() {
                "the file".to_owned()
            } else {
                format!("[{}]", self.path)
            };
            self.report
                .error(Mistake::MissingKey, format!("{place} needs `{key}`"))
                .at(&self.span, format!("`{key}` is missing"));
        }
        value
    }

    pub fn string(&self, key: &'static str) -> Option<Spanned<String>> {
        let item = self.item(key)?;
        match item.value.as_str() {
            Some(text) => Some(Spanned::new(text.to_owned(), item.span)),
            None => {
                self.wrong(key, &item.span, "a string");
                None
            }
        }
    }

    pub fn boolean(&self, key: &'static str) -> Option<Spanned<bool>> {
        let item = self.item(key)?;
        match item.value.as_bool() {
            Some(value) => Some(Spanned::new(value, item.span)),
            None => {
                self.wrong(key, &item.span, "true or false");
                None
            }
        }
    }

    /// A number that is not negative.
    pub fn integer(&self, key: &'static str) -> Option<Spanned<u64>> {
        let item = self.item(key)?;
        match item.value.as_integer().and_then(|n| u64::try_from(n).ok()) {
            Some(value) => Some(Spanned::new(value, item.span)),
            None => {
                self.wrong(key, &item.span, "a number from 0 up");
                None
            }
        }
    }

    /// A number within 32 bits.
    pub fn word(&self, key: &'static str) -> Option<Spanned<u32>> {
        let number = self.integer(key)?;
        match u32::try_from(number.value) {
            Ok(value) => Some(Spanned::new(value, number.span)),
            Err(_) => {
                self.wrong(key, &number.span, "a number below 2^32");
                None
            }
        }
    }

    /// A string that `parse` understands; `expected` describes it.
    pub fn parsed<T>(
        &self,
        key: &'static str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<Spanned<T>> {
        let item = self.item(key)?;
        let Some(text) = item.value.as_str() else {
            self.wrong(key, &item.span, &format!("a string, {expected}"));
            return None;
        };
        let text = Spanned::new(text.to_owned(), item.span);
        match parse(&text.value) {
            Some(value) => Some(Spanned::new(value, text.span)),
            None => {
                self.report
                    .error(
                        Mistake::BadValue,
                        format!("`{}` is not {expected}", self.key_path(key)),
                    )
                    .at(&text.span, format!("expected {expected}"));
                None
            }
        }
    }

    pub fn size(&self, key: &'static str) -> Option<Spanned<u64>> {
        self.parsed(key, "a size such as \"64 KiB\"", units::size)
    }

    /// Nanoseconds.
    pub fn duration(&self, key: &'static str) -> Option<Spanned<u64>> {
        self.parsed(key, "a time such as \"20 ms\"", units::duration)
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<Spanned<T>> {
        let words: Vec<String> = choices
            .iter()
            .map(|choice| format!("\"{}\"", choice.0))
            .collect();
        self.parsed(key, &words.join(" or "), |text| {
            choices
                .iter()
                .find(|choice| choice.0 == text)
                .map(|choice| choice.1)
        })
    }

    /// Whether the key is there and a string.
    pub fn is_string(&self, key: &str) -> bool {
        self.table
            .get(key)
            .is_some_and(|item| item.as_str().is_some())
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// Whether the key is there and a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.table
            .get(key)
            .is_some_and(|item| item.as_table_like().is_some())
    }

    /// Whether the key is this string; the key is known from then on.
    pub fn string_is(&self, key: &'static str, text: &str) -> bool {
        self.item(key)
            .is_some_and(|item| item.value.as_str() == Some(text))
    }

    /// A list of strings; empty if the key is absent.
    pub fn strings(&self, key: &'static str) -> Vec<Spanned<String>> {
        let Some(item) = self.item(key) else {
            return Vec::new();
        };
        let Some(array) = item.value.as_array() else {
            self.wrong(key, &item.span, "a list of strings");
            return Vec::new();
        };
        let mut list = Vec::new();
        for value in array {
            let span = Span {
                file: self.file,
                range: value.span().unwrap_or_else(|| item.span.range.clone()),
            };
            match value.as_str() {
                Some(text) => list.push(Spanned::new(text.to_owned(), span)),
                None => self.wrong(key, &span, "a list of strings"),
            }
        }
        list
    }

    /// A list of numbers within 32 bits, at least one.
    pub fn numbers(&self, key: &'static str) -> Option<Spanned<Vec<u32>>> {
        let item = self.item(key)?;
        let numbers: Option<Vec<u32>> = item.value.as_array().and_then(|array| {
            array
                .iter()
                .map(|value| value.as_integer().and_then(|n| u32::try_from(n).ok()))
                .collect()
        });
        match numbers {
            Some(numbers) if !numbers.is_empty() => Some(Spanned::new(numbers, item.span)),
            _ => {
                self.wrong(key, &item.span, "a list of numbers from 0 up");
                None
            }
        }
    }

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

    /// A list of two numbers.
    pub fn pair(&self, key: &'static str) -> Option<Spanned<[u64; 2]>> {
        let item = self.item(key)?;
        let numbers: Option<Vec<u64>> = item.value.as_array().and_then(|array| {
            array
                .iter()
                .map(|value| value.as_integer().and_then(|n| u64::try_from(n).ok()))
                .collect()
        });
        match numbers.as_deref() {
            Some(&[first, second]) => Some(Spanned::new([first, second], item.span)),
            _ => {
                self.wrong(key, &item.span, "a list of two numbers");
                None
            }
        }
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

    fn check_name(&self, name: &str, span: &Span) {
        let good = (1..=plan::Name::CAPACITY).contains(&name.len())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !good {
            self.report
                .error(Mistake::BadName, format!("`{name}` cannot be a name"))
                .at(span, "letters, digits, `-` and `_`, at most 24 of them");
        }
    }

    /// Reports every key that nobody asked for.
    pub fn finish(self) {
        let known = self.known.borrow();
        for (key, item) in self.table.iter() {
            if known.contains(&key) {
                continue;
            }
            let place = if self.path.is_empty() {
                "at the top of the file".to_owned()
            } else {
                format!("in [{}]", self.path)
            };
            let draft = self
                .report
                .error(Mistake::UnknownKey, format!("unknown key `{key}` {place}"))
                .at(&self.key_span(key, item), "not a key of this table");
            let _draft = match nearest(key, known.iter().copied()) {
                Some(near) => draft.remedy(format!("did you mean `{near}`?")),
                None => draft.note(format!("known keys: {}", known.join(", "))),
            };
        }
    }
}

/// The known word that `word` was probably meant to be.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(word.len()) / 3 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Edits that turn one word into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(&to) {
            let substituted = diagonal + usize::from(a != *b);
            diagonal = *cell;
            left = substituted.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{distance, nearest};

    #[test]
    fn distances() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
    }

    #[test]
    fn nearest_word() {
        assert_eq!(nearest("priorty", ["priority", "stack"]), Some("priority"));
        assert_eq!(nearest("zzzzzz", ["priority", "stack"]), None);
    }
}
