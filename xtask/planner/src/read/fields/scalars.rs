//! Values of one key.

use super::Fields;
use crate::read::units;
use crate::report::{Mistake, Span, Spanned};

impl Fields<'_> {
    /// A string of one line, such as reports repeat: without control characters, which a terminal obeys.
    pub fn line(&self, key: &'static str) -> Option<Spanned<String>> {
        let text = self.string(key)?;
        if text.value.contains(char::is_control) {
            self.wrong(key, &text.span, "one line, without control characters");
            return None;
        }
        Some(text)
    }

    /// A string.
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

    /// A size of at least `least` bytes, or what holds without the key.
    pub fn at_least(&self, key: &'static str, least: u64, usual: u64) -> u64 {
        let Some(size) = self.size(key) else {
            return usual;
        };
        if size.value < least {
            let least = units::show_size(least);
            self.report
                .error(
                    Mistake::BadValue,
                    format!("`{}` is too small to work", self.key_path(key)),
                )
                .at(&size.span, format!("at least {least}"))
                .remedy(format!(
                    "write {least} or more, or leave it out for {}",
                    units::show_size(usual)
                ));
        }
        size.value
    }

    /// The place where a key says `true`, if it does.
    pub fn flag(&self, key: &'static str) -> Option<Span> {
        self.boolean(key)
            .and_then(|flag| flag.value.then_some(flag.span))
    }

    /// Nanoseconds, more than none.
    pub fn time(&self, key: &'static str, least: u64, remedy: &str) -> Option<Spanned<u64>> {
        let time = self.duration(key)?;
        if time.value < least {
            self.report
                .error(
                    Mistake::BadValue,
                    format!("`{}` is too short a time", self.key_path(key)),
                )
                .at(&time.span, format!("at least {least} ns"))
                .remedy(remedy);
        }
        Some(time)
    }

    /// Nanoseconds.
    pub fn duration(&self, key: &'static str) -> Option<Spanned<u64>> {
        self.parsed(key, "a time such as \"20 ms\"", units::duration)
    }

    /// Whether the key has another word for what is called `name`; that is reported.
    pub fn is_named_otherwise(&self, key: &str, word: &str, name: &str) -> bool {
        let found = self.find(key);
        let Some((layer, item)) = found.filter(|(_, item)| item.as_str() == Some(word)) else {
            return false;
        };
        self.report
            .error(
                Mistake::BadValue,
                format!("`{}` cannot be \"{word}\"", self.key_path(key)),
            )
            .at(
                &layer.span_of(key, item),
                format!("what is meant is called \"{name}\""),
            )
            .remedy(format!("write \"{name}\""));
        true
    }

    /// A value that is one of a few words.
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
}
