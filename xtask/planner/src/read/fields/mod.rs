//! Typed access to a TOML table that reports what is missing, wrong or unknown.

mod lists;
mod nearest;
mod scalars;
mod tables;

pub use nearest::{distance, nearest};

use std::cell::RefCell;

use toml_edit::{Item, TableLike};

use crate::report::{Mistake, Report, Span, Spanned};

/// Whether reports, the image and command lines can have it for a name: what begins with `-` is an option there.
fn is_name(text: &str, most: usize) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric();
    (1..=most).contains(&text.len())
        && text.as_bytes().first().is_some_and(letter)
        && text
            .bytes()
            .all(|byte| letter(&byte) || byte == b'-' || byte == b'_')
}

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

    pub fn check_name(&self, name: &str, span: &Span) {
        self.check_name_within(name, span, plan::Name::CAPACITY);
    }

    /// A name of at most so many letters.
    pub fn check_name_within(&self, name: &str, span: &Span, most: usize) {
        if !is_name(name, most) {
            self.report
                .error(Mistake::BadName, format!("`{name}` cannot be a name"))
                .at(
                    span,
                    format!("letters, digits, `-` and `_`, at most {most} of them, a letter or digit first"),
                );
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
