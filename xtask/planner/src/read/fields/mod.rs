//! Typed access to a TOML table that reports what is missing, wrong or unknown.

mod lists;
mod nearest;
mod scalars;
mod tables;

pub use nearest::{distance, nearest};

use std::cell::RefCell;

use toml_edit::{Item, TableLike};

use crate::report::{Mistake, Report, Span, Spanned};

/// Whether `text` can be a name in reports, in the image and on command lines, where what begins with `-` is an
/// option.
fn is_name(text: &str, most: usize) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric();
    (1..=most).contains(&text.len())
        && text.as_bytes().first().is_some_and(letter)
        && text
            .bytes()
            .all(|byte| letter(&byte) || byte == b'-' || byte == b'_')
}

/// A table as one file has it.
#[derive(Clone)]
struct Layer<'a> {
    table: &'a dyn TableLike,
    span: Span,
}

impl Layer<'_> {
    fn span_of(&self, key: &str, item: &Item) -> Span {
        let range = item
            .span()
            .or_else(|| self.table.key(key).and_then(|key| key.span()));
        Span {
            file: self.span.file,
            range: range.unwrap_or_else(|| self.span.range.clone()),
        }
    }

    fn key_span(&self, key: &str, item: &Item) -> Span {
        let range = self.table.key(key).and_then(|key| key.span());
        range.map_or_else(
            || self.span_of(key, item),
            |range| Span {
                file: self.span.file,
                range,
            },
        )
    }
}

/// One table while it is read. Keys asked for are the known ones; `finish` reports the others.
///
/// A table may be in the file and in the one that it includes. It then has the keys of both, and of a key that is in
/// both the value of the file that includes.
pub struct Fields<'a> {
    report: &'a Report,
    /// The table's path, such as `tasks.disk`, for messages; empty for the file itself.
    path: String,
    first: Layer<'a>,
    /// The table of this path in the included file.
    included: Option<Layer<'a>>,
    known: RefCell<Vec<&'static str>>,
    /// Required keys that are not there. They are reported at the end, when it is known whether one of them is there
    /// misspelt, which is one mistake and not two.
    missing: RefCell<Vec<&'static str>>,
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
            path: path.into(),
            first: Layer { table, span },
            included: None,
            known: RefCell::default(),
            missing: RefCell::default(),
        }
    }

    /// Adds the keys that the same table has in an included file.
    pub fn including(mut self, table: &'a dyn TableLike, span: Span) -> Self {
        self.included = Some(Layer { table, span });
        self
    }

    pub fn span(&self) -> &Span {
        &self.first.span
    }

    fn layers(&self) -> impl Iterator<Item = &Layer<'a>> {
        std::iter::once(&self.first).chain(&self.included)
    }

    /// The layer whose value of a key counts, and that value.
    fn find(&self, key: &str) -> Option<(&Layer<'a>, &'a Item)> {
        self.layers()
            .find_map(|layer| Some((layer, layer.table.get(key)?)))
    }

    pub fn report(&self) -> &'a Report {
        self.report
    }

    fn item(&self, key: &'static str) -> Option<Spanned<&'a Item>> {
        self.known.borrow_mut().push(key);
        let (layer, item) = self.find(key)?;
        Some(Spanned::new(item, layer.span_of(key, item)))
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
        if value.is_none() && !self.contains(key) {
            self.missing.borrow_mut().push(key);
        }
        value
    }

    /// Whether the key is there and a string.
    pub fn is_string(&self, key: &str) -> bool {
        self.find(key)
            .is_some_and(|(_, item)| item.as_str().is_some())
    }

    /// Whether the key is there.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// Whether the key is there and a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.find(key)
            .is_some_and(|(_, item)| item.as_table_like().is_some())
    }

    /// Whether the key is this string; the key is known from then on.
    pub fn string_is(&self, key: &'static str, text: &str) -> bool {
        self.item(key)
            .is_some_and(|item| item.value.as_str() == Some(text))
    }

    /// Reports a key that is kept for a declaration that is not possible yet, if it is there. Messages do not list it among the
    /// known ones, since nobody is to write it.
    pub fn not_yet(&self, key: &'static str, what: &str) {
        let Some((layer, item)) = self.find(key) else {
            return;
        };
        self.known.borrow_mut().push(key);
        self.report
            .error(Mistake::NotYet, format!("{what} cannot be declared yet"))
            .at(
                &layer.key_span(key, item),
                format!("`{}` is reserved for them", self.key_path(key)),
            )
            .remedy(format!("leave `{}` out", self.key_path(key)));
    }

    /// Reports a key that is spelled as what has another name, if it is there.
    pub fn named_otherwise(&self, key: &'static str, name: &str) {
        let Some((layer, item)) = self.find(key) else {
            return;
        };
        self.known.borrow_mut().push(key);
        self.report
            .error(
                Mistake::UnknownKey,
                format!("unknown key `{key}` {}", self.place()),
            )
            .at(
                &layer.key_span(key, item),
                format!("what is meant is called `{name}`"),
            )
            .remedy(format!("write `{name}`"));
    }

    /// The table's place, for messages about its keys.
    fn place(&self) -> String {
        if self.path.is_empty() {
            "at the top of the file".to_owned()
        } else {
            format!("in [{}]", self.path)
        }
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
        let keys = self.layers().flat_map(|layer| {
            layer
                .table
                .iter()
                .map(move |(key, item)| (layer, key, item))
        });
        for (layer, key, item) in keys {
            if known.contains(&key) {
                continue;
            }
            let place = self.place();
            let near = nearest(key, known.iter().copied());
            let mut missing = self.missing.borrow_mut();
            let needed = near.filter(|near| missing.contains(near));
            missing.retain(|key| Some(*key) != needed);
            let why = needed.map(|key| format!("not a key of this table, which needs `{key}`"));
            let draft = self
                .report
                .error(Mistake::UnknownKey, format!("unknown key `{key}` {place}"))
                .at(
                    &layer.key_span(key, item),
                    why.unwrap_or_else(|| "not a key of this table".to_owned()),
                );
            let _draft = match near {
                Some(near) => draft.remedy(format!("did you mean `{near}`?")),
                None => draft.note(format!("known keys: {}", known.join(", "))),
            };
        }
    }
}

/// However the reading of a table ends, what it lacks is said.
impl Drop for Fields<'_> {
    fn drop(&mut self) {
        for key in self.missing.take() {
            let place = if self.path.is_empty() {
                "the file".to_owned()
            } else {
                format!("[{}]", self.path)
            };
            self.report
                .error(Mistake::MissingKey, format!("{place} needs `{key}`"))
                .at(self.span(), format!("`{key}` is missing"));
        }
    }
}
